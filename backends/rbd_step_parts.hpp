// SPDX-License-Identifier: LGPL-2.1-or-later
// What the steps on RBD images have in common.
#pragma once

#include "change.hpp"
#include "rbd_images.hpp"

namespace storage::inline v1 {

/** The pool that a step works in, with the call's deadline; in a recovery there is none. */
class RbdStepPool {
public:
    explicit RbdStepPool(const StepRun& run);
    RbdConnection* operator->() const { return &*use_; }
    RbdConnection& operator*() const { return *use_; }
    const RbdLibrary& library() const { return use_.library(); }
    const std::shared_ptr<RbdConnection>& shared() const { return use_.shared(); }

private:
    PoolDef def_;
    RbdUse use_;
};

/** The id that the pool's directory has for a name, whether or not the image can be opened; "":
 * none. */
std::string listed_id(const std::vector<RbdEntry>& entries, const std::string& name);
/** Of an image that can be opened; "": there is none. */
std::string id_of(const RbdStepPool& pool, const std::string& name);
/** Whether there is the object that says what the image is. */
bool has_header(const RbdStepPool& pool, const std::string& id);
/** @return Ceph's answer */
int remove_image(const RbdStepPool& pool, const std::string& name);
/** The same where a process died that may have it open still, for which it is tried several times.
 * @param id  of the image; -ENOENT where the name is another's by then. "": whichever has the name
 * @param client  of the dead process; "": everyone who has it open */
int remove_after(const RbdStepPool& pool, const std::string& name, const std::string& id,
                 const std::string& client);
/** Removes what nobody can use; who has it open is the process that died.
 * @param id  as above */
void clear_away(const RbdStepPool& pool, const std::string& name, const std::string& id);
/** Takes away what a kill left of names that the pool's directory does not have for the image,
 * which keeps everyone from using them: rbd_rename() makes the new name's object, changes the
 * directory, and removes the old name's object. */
void settle_names(const RbdStepPool& pool, const std::string& id,
                  std::initializer_list<std::string> names);

/** Nothing is left to take back of what has gone with its pool. */
template <void (*undo)(StepRun&)>
void undo_unless_gone(StepRun& run)
{
    try {
        undo(run);
    } catch (const RbdPlaceGone&) {
    }
}

/** Nor to finish, where this is what a recovery does. */
template <void (*apply)(StepRun&)>
void finish_unless_gone(StepRun& run)
{
    const bool goes_on = !run.evidence("client").empty() || !run.evidence("ending").empty();
    try {
        apply(run);
    } catch (const RbdPlaceGone&) {
        if (!goes_on)
            throw;
    }
}

/** Makes a step on an image. */
Step image_step(std::string_view action, const PoolDef& def, Arguments arguments,
                StepRecord record);
std::string path_of(const PoolDef& def, const std::string& name);

} // namespace storage::inline v1
