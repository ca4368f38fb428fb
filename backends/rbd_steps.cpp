// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_steps.hpp"

#include "file_io.hpp"
#include "job_impl.hpp"
#include "names.hpp"
#include "numbers.hpp"
#include "rbd_flatten.hpp"
#include "rbd_images.hpp"
#include "rbd_locks.hpp"
#include "rbd_step_parts.hpp"
#include "step_parts.hpp"

#include <cerrno>
#include <chrono>
#include <thread>

namespace storage::inline v1 {
namespace {

using Mode = RbdImage::Mode;

std::uint64_t size_argument(const StepRun& run, std::string_view name)
{
    return std::stoull(run.argument(name));
}

class Options {
public:
    explicit Options(const RbdLibrary& library) : library_(library)
    {
        library_.rbd_image_options_create(&options_);
    }
    ~Options() { library_.rbd_image_options_destroy(options_); }
    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;
    void set(int option, std::uint64_t value)
    {
        library_.rbd_image_options_set_uint64(options_, option, value);
    }
    RbdOptions get() const { return options_; }

private:
    const RbdLibrary& library_;
    RbdOptions options_{};
};

// Features, order, stripes and data pool are Ceph's defaults, which a definition's config_opts
// change: rbd_default_features and so on.
int create(const RbdStepPool& pool, const std::string& name, std::uint64_t size)
{
    const Options options(pool.library());
    return pool.library().rbd_create4(pool->pool(), name.c_str(), size, options.get());
}

Error invalid_layout(const std::string& what)
{
    return Error(
        ErrorCode::invalid_argument,
        what + ": Ceph does not accept the size, or not with these features, objects and stripes",
        "choose a smaller size: an image with an object map has at most 256,000,000 "
        "objects, of 4 MiB as a rule; or correct rbd_default_features, "
        "rbd_default_order and their like in the pool's config_opts",
        {}, EINVAL);
}

void check_created(const RbdStepPool& pool, int code, const std::string& name)
{
    const auto what = "cannot create '" + pool->path_of(name) + "'";
    if (code == -EINVAL)
        throw invalid_layout(what);
    if (code != -ENOENT)
        return pool->check(code, what);
    pool->require_pool();
    throw Error(ErrorCode::not_found, what + ": the pool for its data is not there",
                "correct rbd_default_data_pool in the pool's config_opts", {}, ENOENT);
}

void apply_create(StepRun& run)
{
    const RbdStepPool pool(run);
    const auto& name = run.argument("name");
    const auto size = size_argument(run, "size");
    const auto code = create(pool, name, size);
    if (code == -EEXIST) {
        run.remember("made", "by another");
        if (id_of(pool, name).empty())
            throw Error(ErrorCode::already_exists,
                        "'" + pool->path_of(name) +
                            "': an image that cannot be opened has the name",
                        "choose another name; what is left of a creation that was cut short goes "
                        "by 'rbd rm'",
                        {}, EEXIST);
    }
    if (code == -EPERM || code == -EACCES) // nor may the user look whether something was made
        run.remember("made", "no");
    check_created(pool, code, name);
    run.remember("made", "yes");
    run.work(-1, name);
}

/** What a kill left behind has no header, without which no image can be opened. Any other is whole,
 * even where it cannot be opened for want of its parent, and who knows whose: it stays. */
void undo_create(StepRun& run)
{
    const RbdStepPool pool(run);
    const auto& name = run.argument("name");
    if (!run.evidence("made").empty())
        return;
    const auto id = listed_id(list_directory(*pool), name);
    if (id.empty() || has_header(pool, id))
        return;
    // Nor has one that another host is making at this moment, but soon.
    std::this_thread::sleep_for(std::chrono::seconds(1));
    if (listed_id(list_directory(*pool), name) == id && !has_header(pool, id))
        clear_away(pool, name, id);
}

void apply_begin(StepRun& run)
{
    const RbdStepPool pool(run);
    check_created(pool, create(pool, run.argument("temporary"), size_argument(run, "size")),
                  run.argument("name"));
}

/** Whatever has the random name is ours. */
void undo_begin(StepRun& run)
{
    clear_away(RbdStepPool(run), run.argument("temporary"), "");
}

/** The pool of a clone's source, by the connection of the clone. */
class SourcePool {
public:
    SourcePool(const StepRun& run, const RbdStepPool& pool) : library_(pool.library())
    {
        pool->check(library_.rados_ioctx_create(pool->cluster(),
                                                run.argument("source_pool").c_str(), &pool_),
                    "cannot open RADOS pool '" + run.argument("source_pool") + "'");
        try_although_full(library_, pool_);
        library_.rados_ioctx_set_namespace(pool_, run.argument("source_namespace").c_str());
    }
    ~SourcePool() { library_.rados_ioctx_destroy(pool_); }
    SourcePool(const SourcePool&) = delete;
    SourcePool& operator=(const SourcePool&) = delete;
    RadosPool get() const { return pool_; }

private:
    const RbdLibrary& library_;
    RadosPool pool_{};
};

/** The source, open for making and removing the snapshot. */
class SourceImage {
public:
    SourceImage(const StepRun& run, const RbdStepPool& pool, const SourcePool& source)
        : library_(pool.library())
    {
        const auto& name_space = run.argument("source_namespace");
        const auto path = run.argument("source_pool") + '/' +
                          (name_space.empty() ? "" : name_space + '/') + run.argument("source");
        const auto code = library_.rbd_open_by_id(source.get(), run.argument("source_id").c_str(),
                                                  &handle_, nullptr);
        if (code == -ENOENT)
            throw Error(ErrorCode::not_found,
                        "'" + path + "' is not the image any more that was meant",
                        "refresh the pool and look again", {}, ENOENT);
        pool->check(code, "cannot open '" + path + "'");
    }
    ~SourceImage() { close_image(library_, handle_); }
    SourceImage(const SourceImage&) = delete;
    SourceImage& operator=(const SourceImage&) = delete;
    RbdHandle get() const { return handle_; }

private:
    const RbdLibrary& library_;
    RbdHandle handle_{};
};

int remove_snapshot(const RbdLibrary& library, RbdHandle image, const std::string& snapshot)
{
    RbdJob nobody;
    return library.rbd_snap_remove2(image, snapshot.c_str(), 0, RbdJob::report, &nobody);
}

/** The pool of the headers; false where that cannot be asked: it is the caller's failure that is to
 * be told. */
bool is_full(const StepRun& run, const RbdStepPool& pool)
try {
    auto def = pool_from_json(run.argument("pool"));
    def.config_options.clear(); // which may name a pool for data
    const auto sizes = rbd_pool_sizes(*pool, def);
    return sizes.capacity != 0 && sizes.available == 0;
} catch (const Error&) {
    return false;
}

int clone(const StepRun& run, const RbdStepPool& pool, const SourcePool& source,
          const std::string& snapshot)
{
    Options options(pool.library());
    options.set(rbd_option_clone_format, 2); // its snapshot need not be protected
    const auto code =
        pool.library().rbd_clone3(source.get(), run.argument("source").c_str(), snapshot.c_str(),
                                  pool->pool(), run.argument("temporary").c_str(), options.get());
    // librbd (seen with 16.2) says so too where there is no space for the clone.
    return code == -ENOENT && is_full(run, pool) ? -EDQUOT : code;
}

void apply_clone(StepRun& run)
{
    run.remember("snapshot", "none");
    const RbdStepPool pool(run);
    const auto& library = pool.library();
    const SourcePool source_pool(run, pool);
    const SourceImage source(run, pool, source_pool);
    const auto what = "cannot clone '" + run.argument("source") + "'";
    const auto needs = what + " (clones of format 2 need a cluster of Ceph 13 or later)";
    if (const auto& given = run.argument("snapshot"); !given.empty()) {
        pool->check(clone(run, pool, source_pool, given), needs);
        return;
    }
    const auto& snapshot = run.argument("temporary");
    run.declare("snapshot", "begun");
    pool->check(library.rbd_snap_create(source.get(), snapshot.c_str()), what);
    const auto cloned = clone(run, pool, source_pool, snapshot);
    // A clone of format 2 keeps the snapshot alive, in Ceph's trash and out of sight.
    const auto removed = remove_snapshot(library, source.get(), snapshot);
    pool->check(cloned, needs);
    pool->check(removed, what + ": its snapshot cannot be taken away");
}

void undo_clone(StepRun& run)
{
    undo_begin(run);
    // An older journal has no evidence, and the snapshot may be there.
    if (!run.argument("snapshot").empty() || run.evidence("snapshot") == "none")
        return;
    const RbdStepPool pool(run);
    try {
        const SourcePool source_pool(run, pool);
        const SourceImage source(run, pool, source_pool);
        const auto code = remove_snapshot(pool.library(), source.get(), run.argument("temporary"));
        if (code != -ENOENT)
            pool->check(code, "cannot remove the snapshot for a clone");
    } catch (const Error& error) { // nor is its snapshot there, where the source is gone
        if (error.os_error() != ENOENT)
            throw;
    }
}

void apply_fill(StepRun& run)
{
    run.work(-1, run.argument("path"));
}

void resize(const RbdImage& image, std::uint64_t size, Job* job)
{
    enter_phase(job, "resizing", image.info().num_objs);
    RbdJob progress{.job = job};
    const auto code = progress.follow([&] {
        return image.library().rbd_resize2(image.get(), size, true, RbdJob::report, &progress);
    });
    const auto what = "cannot make its size " + std::to_string(size) + " bytes";
    if (code == -EINVAL)
        throw invalid_layout("'" + image.path() + "': " + what);
    image.check(code, what);
}

void apply_extend(StepRun& run)
{
    const RbdStepPool pool(run);
    const RbdImage image(pool.shared(), run.argument("temporary"), Mode::write);
    resize(image, size_argument(run, "size"), run.job());
}

void apply_publish(StepRun& run)
{
    const RbdStepPool pool(run);
    const auto& temporary = run.argument("temporary");
    const auto& name = run.argument("name");
    run.declare("id", id_of(pool, temporary));
    pool->check(pool.library().rbd_rename(pool->pool(), temporary.c_str(), name.c_str()),
                "cannot give '" + pool->path_of(name) + "' its name");
}

void undo_publish(StepRun& run)
{
    const RbdStepPool pool(run);
    const auto& name = run.argument("name");
    const auto& id = run.evidence("id");
    if (id.empty())
        return;
    settle_names(pool, id, {run.argument("temporary"), name});
    if (id_of(pool, name) == id)
        pool->check(pool.library().rbd_rename(pool->pool(), name.c_str(),
                                              run.argument("temporary").c_str()),
                    "cannot take the name of '" + pool->path_of(name) + "' back");
}

// ---- on images that exist ----------------------------------------------------------------------

/** Before an image's data goes: says who does it. */
void pass_no_return(StepRun& run, const RbdStepPool& pool)
{
    if (run.evidence("client").empty())
        run.declare("client",
                    std::to_string(pool.library().rados_get_instance_id(pool->cluster())));
}

/** After a kill: locks out the dead process, which else has the image for half a minute more. Who
 * else uses the image does so since, and what they wrote must stay, also when they are done with
 * it: the error is none that a recovery tries again after.
 * @param image  open for reading, so that this process is none of them
 * @throws Error invalid_state */
void leave_to_users(const StepRun& run, const RbdImage& image, const std::string& remedy)
{
    const auto& dead = run.evidence("client");
    evict_watchers(image, dead);
    std::string users;
    for (const auto& user : image_users(image, dead))
        users += (users.empty() ? "" : ", ") + user;
    if (!users.empty())
        throw Error(ErrorCode::invalid_state, "'" + image.path() + "' is in use by now (" + users +
                                                  "), and so stays as it is: " + remedy);
}

/** After a kill. As long as the image is whole, others may use it: then it stays. */
void finish_removal(const StepRun& run, const RbdStepPool& pool)
{
    const auto& name = run.argument("name");
    const auto& id = run.argument("id");
    if (id_of(pool, name) != id) {
        if (listed_id(list_directory(*pool), name) == id)
            clear_away(pool, name, id);
        return;
    }
    if (!run.evidence("unanswered").empty()) // it was said to have failed
        return;
    const auto code = remove_after(pool, name, id, run.evidence("client"));
    if (code != -EBUSY && code != -ENOTEMPTY && code != -ENOENT)
        pool->check(code, "cannot remove '" + pool->path_of(name) + "'");
}

void apply_remove(StepRun& run)
{
    const RbdStepPool pool(run);
    const auto& name = run.argument("name");
    if (!run.evidence("client").empty())
        return finish_removal(run, pool);
    {
        const RbdImage image(pool.shared(), name, Mode::read);
        require_changeable(image, run.argument("id"));
    }
    pass_no_return(run, pool);
    enter_phase(run.job(), "removing", 0);
    auto code = remove_image(pool, name);
    // librbd (seen with 16.2) says so too where a pool without a trash has no room for one.
    if (code == -ENOENT && id_of(pool, name) == run.argument("id") && is_full(run, pool))
        code = -EDQUOT;
    if (code == -ETIMEDOUT || code == -ENOTCONN || code == -ESHUTDOWN)
        run.declare("unanswered", "yes");
    if (code == -ENOENT)
        throw Error(ErrorCode::not_found, "'" + pool->path_of(name) + "': there is no such image",
                    {}, {}, ENOENT);
    if (code == -EINVAL) // seen with 16.2
        throw Error(ErrorCode::invalid_argument,
                    "cannot remove '" + pool->path_of(name) +
                        "': Ceph does not do that to the copy of a mirror",
                    "promote it ('rbd mirror image promote'), or end the mirroring", {}, EINVAL);
    pool->check(code, "cannot remove '" + pool->path_of(name) + "'");
}

void rename(const RbdStepPool& pool, const std::string& from, const std::string& to)
{
    pool->check(pool.library().rbd_rename(pool->pool(), from.c_str(), to.c_str()),
                "cannot rename '" + pool->path_of(from) + "' to '" + to + "'");
}

void apply_rename(StepRun& run)
{
    const RbdStepPool pool(run);
    const auto& name = run.argument("name");
    require_changeable(RbdImage(pool.shared(), name, Mode::read), run.argument("id"));
    rename(pool, name, run.argument("new_name"));
}

void undo_rename(StepRun& run)
{
    const RbdStepPool pool(run);
    settle_names(pool, run.argument("id"), {run.argument("name"), run.argument("new_name")});
    if (id_of(pool, run.argument("new_name")) == run.argument("id") &&
        id_of(pool, run.argument("name")).empty())
        rename(pool, run.argument("new_name"), run.argument("name"));
}

void apply_resize(StepRun& run)
{
    const RbdStepPool pool(run);
    const auto& name = run.argument("name");
    const auto size = size_argument(run, "size");
    if (!run.evidence("client").empty()) {
        const RbdImage image(pool.shared(), name, Mode::read);
        image.require_id(run.argument("id"));
        if (image.info().size <= size)
            return; // Ceph sets the size last
        leave_to_users(run, image,
                       "shrinking it to " + std::to_string(size) +
                           " bytes was cut short, and what lay behind them may be gone already; "
                           "resize it again once nobody uses it");
    }
    const RbdImage image(pool.shared(), name, Mode::write);
    require_changeable(image, run.argument("id"));
    if (size < image.info().size)
        pass_no_return(run, pool);
    resize(image, size, run.job());
}

void apply_snapshot(StepRun& run)
{
    const RbdStepPool pool(run);
    const RbdImage image(pool.shared(), run.argument("name"), Mode::write);
    require_changeable(image, run.argument("id"));
    image.check(image.library().rbd_snap_create(image.get(), run.argument("snapshot").c_str()),
                "cannot make snapshot '" + run.argument("snapshot") + "'");
}

void apply_remove_snapshot(StepRun& run)
{
    const RbdStepPool pool(run);
    const RbdImage image(pool.shared(), run.argument("name"), Mode::write);
    require_changeable(image, run.argument("id"));
    image.check(remove_snapshot(image.library(), image.get(), run.argument("snapshot")),
                "cannot remove snapshot '" + run.argument("snapshot") + "'");
}

void apply_protect(StepRun& run)
{
    const RbdStepPool pool(run);
    const RbdImage image(pool.shared(), run.argument("name"), Mode::write);
    require_changeable(image, run.argument("id"));
    const auto& library = image.library();
    const auto& snapshot = run.argument("snapshot");
    const bool on = run.argument("on") == "yes";
    const auto code = on ? library.rbd_snap_protect(image.get(), snapshot.c_str())
                         : library.rbd_snap_unprotect(image.get(), snapshot.c_str());
    if (code == -EBUSY && on)
        return; // somebody else was faster
    if (code == -EBUSY)
        throw Error(ErrorCode::busy,
                    "'" + image.path() + "': clones that are based on snapshot '" + snapshot +
                        "' need its protection",
                    "delete or flatten the clones first", {}, EBUSY);
    if (code != -EINVAL || on) // is not protected any more
        image.check(code, "cannot change the protection of snapshot '" + snapshot + "'");
}

void apply_set_metadata(StepRun& run)
{
    const RbdStepPool pool(run);
    const RbdImage image(pool.shared(), run.argument("name"), Mode::write);
    require_changeable(image, run.argument("id"));
    const auto& library = image.library();
    const auto& key = run.argument("key");
    if (run.argument("remove") == "yes")
        image.check(library.rbd_metadata_remove(image.get(), key.c_str()),
                    "cannot remove metadata key " + shown(key));
    else
        image.check(
            library.rbd_metadata_set(image.get(), key.c_str(), run.argument("value").c_str()),
            "cannot set metadata key " + shown(key));
}

void apply_roll_back(StepRun& run)
{
    const RbdStepPool pool(run);
    const auto& name = run.argument("name");
    const auto& snapshot = run.argument("snapshot");
    if (!run.evidence("client").empty()) {
        const RbdImage image(pool.shared(), name, Mode::read);
        image.require_id(run.argument("id"));
        leave_to_users(run, image,
                       "bringing it back to snapshot '" + snapshot +
                           "' was cut short, and parts of it may be back already; revert it "
                           "again once nobody uses it");
    }
    const RbdImage image(pool.shared(), name, Mode::write);
    require_changeable(image, run.argument("id"));
    pass_no_return(run, pool);
    enter_phase(run.job(), "rolling back", image.info().num_objs);
    RbdJob progress{}; // half of it back is no state that anybody wants
    image.check(image.library().rbd_snap_rollback_with_progress(image.get(), snapshot.c_str(),
                                                                RbdJob::report, &progress),
                "cannot go back to snapshot '" + snapshot + "'");
}

} // namespace

const std::array<Action, rbd_action_count> rbd_actions{
    // One call, but of many messages: what a kill leaves behind has to be cleared away.
    Action{.name = "rbd_create",
           .apply = apply_create,
           .undo = undo_unless_gone<undo_create>,
           .brief = true},
    Action{"rbd_begin", apply_begin, undo_unless_gone<undo_begin>},
    // Its source may be in another pool, with a snapshot to take away.
    Action{"rbd_clone", apply_clone, undo_clone},
    Action{"rbd_fill", apply_fill, nullptr},
    Action{"rbd_change", apply_fill, nullptr, true}, // in place: cannot be taken back
    Action{"rbd_extend", apply_extend, nullptr},
    Action{"rbd_publish", apply_publish, undo_unless_gone<undo_publish>},
    Action{.name = "rbd_remove",
           .apply = finish_unless_gone<apply_remove>,
           .atomic = true,
           .forward = true},
    Action{"rbd_rename", apply_rename, undo_unless_gone<undo_rename>},
    Action{.name = "rbd_resize",
           .apply = finish_unless_gone<apply_resize>,
           .atomic = true,
           .forward = true},
    // Cut short, it is a clone still; but for its very end.
    Action{.name = "rbd_flatten",
           .apply = finish_unless_gone<apply_flatten>,
           .undo = undo_unless_gone<undo_flatten>,
           .atomic = true,
           .forward = true},
    Action{"rbd_snapshot", apply_snapshot, nullptr, true},
    Action{"rbd_remove_snapshot", apply_remove_snapshot, nullptr, true},
    Action{"rbd_protect_snapshot", apply_protect, nullptr, true},
    Action{"rbd_set_metadata", apply_set_metadata, nullptr, true},
    Action{.name = "rbd_roll_back",
           .apply = finish_unless_gone<apply_roll_back>,
           .atomic = true,
           .forward = true},
};

Step create_image_step(const PoolDef& def, const std::string& name, std::uint64_t size,
                       const Host& host)
{
    auto step = image_step(
        "rbd_create", def, {{"name", name}, {"size", std::to_string(size)}},
        {.call = {"rbd_create4", path_of(def, name), std::to_string(size)},
         .summary = "make image '" + path_of(def, name) + "' of " + std::to_string(size) + " bytes",
         .undo = "remove it"});
    // The step lives as long as the call does that it belongs to.
    step.work = [def, name, size, &host, call = std::make_shared<int>()](const FileWork& work) {
        RbdUse(def, host, work.job)->remember_new(name, size, call);
        return false;
    };
    return step;
}

Step begin_image_step(const PoolDef& def, const std::string& temporary, const std::string& name,
                      std::uint64_t size)
{
    return image_step("rbd_begin", def,
                      {{"temporary", temporary}, {"name", name}, {"size", std::to_string(size)}},
                      {.call = {"rbd_create4", path_of(def, temporary), std::to_string(size)},
                       .summary = "make an image of " + std::to_string(size) + " bytes for '" +
                                  path_of(def, name) + "'",
                       .undo = "remove it"});
}

Step clone_image_step(const PoolDef& def, const std::string& temporary, const std::string& name,
                      const RbdCloneSource& source)
{
    const auto from = source.pool + '/' +
                      (source.name_space.empty() ? "" : source.name_space + '/') + source.image +
                      (source.snapshot.empty() ? "" : '@' + source.snapshot);
    return image_step("rbd_clone", def,
                      {{"temporary", temporary},
                       {"name", name},
                       {"source_pool", source.pool},
                       {"source_namespace", source.name_space},
                       {"source", source.image},
                       {"source_id", source.id},
                       {"snapshot", source.snapshot}},
                      {.call = {"rbd_clone3", from, path_of(def, temporary)},
                       .summary = "make a clone of '" + from + "' for '" + path_of(def, name) + "'",
                       .undo = "remove it"});
}

Step fill_image_step(const PoolDef& def, const std::string& temporary, const std::string& name,
                     std::string call, std::string summary, FileFunction fill)
{
    auto step = image_step(
        "rbd_fill", def, {{"path", path_of(def, name)}},
        {.call = {std::move(call), path_of(def, temporary)}, .summary = std::move(summary)});
    step.work = std::move(fill);
    return step;
}

Step extend_image_step(const PoolDef& def, const std::string& temporary, std::uint64_t size)
{
    return image_step(
        "rbd_extend", def, {{"temporary", temporary}, {"size", std::to_string(size)}},
        {.call = {"rbd_resize2", path_of(def, temporary), std::to_string(size)},
         .summary = "make it larger than its source: " + std::to_string(size) + " bytes"});
}

Step publish_image_step(const PoolDef& def, const std::string& temporary, const std::string& name)
{
    return image_step("rbd_publish", def, {{"temporary", temporary}, {"name", name}},
                      {.call = {"rbd_rename", path_of(def, temporary), path_of(def, name)},
                       .summary = "give '" + path_of(def, name) + "' its name",
                       .undo = "take the name back"});
}

Step remove_image_step(const PoolDef& def, const std::string& name, const std::string& id)
{
    return image_step("rbd_remove", def, {{"name", name}, {"id", id}},
                      {.call = {"rbd_remove", path_of(def, name)},
                       .summary = "remove image '" + path_of(def, name) + "'",
                       .destructive = true});
}

Step rename_image_step(const PoolDef& def, const std::string& name, const std::string& id,
                       const std::string& new_name)
{
    return image_step("rbd_rename", def, {{"name", name}, {"id", id}, {"new_name", new_name}},
                      {.call = {"rbd_rename", path_of(def, name), path_of(def, new_name)},
                       .summary = "rename '" + path_of(def, name) + "' to '" + new_name + "'",
                       .undo = "rename it back"});
}

Step resize_image_step(const PoolDef& def, const std::string& name, const std::string& id,
                       std::uint64_t before, std::uint64_t size)
{
    return image_step("rbd_resize", def,
                      {{"name", name}, {"id", id}, {"size", std::to_string(size)}},
                      {.call = {"rbd_resize2", path_of(def, name), std::to_string(size)},
                       .summary = "set the size of '" + path_of(def, name) + "' from " +
                                  std::to_string(before) + " to " + std::to_string(size) + " bytes",
                       .destructive = size < before});
}

Step flatten_image_step(const PoolDef& def, const std::string& name, const std::string& id)
{
    return image_step("rbd_flatten", def, {{"name", name}, {"id", id}},
                      {.call = {"rbd_flatten", path_of(def, name)},
                       .summary = "copy into '" + path_of(def, name) +
                                  "' what it has of its parent, and forget that"});
}

Step change_image_step(const PoolDef& def, const std::string& name, std::vector<std::string> call,
                       std::string summary, FileFunction change)
{
    auto step =
        image_step("rbd_change", def, {{"path", path_of(def, name)}},
                   {.call = std::move(call), .summary = std::move(summary), .destructive = true});
    step.work = std::move(change);
    return step;
}

Step create_image_snapshot_step(const PoolDef& def, const std::string& name, const std::string& id,
                                const std::string& snapshot)
{
    return image_step(
        "rbd_snapshot", def, {{"name", name}, {"id", id}, {"snapshot", snapshot}},
        {.call = {"rbd_snap_create", path_of(def, name) + '@' + snapshot},
         .summary = "make snapshot '" + snapshot + "' of '" + path_of(def, name) + "'"});
}

Step remove_image_snapshot_step(const PoolDef& def, const std::string& name, const std::string& id,
                                const std::string& snapshot)
{
    return image_step(
        "rbd_remove_snapshot", def, {{"name", name}, {"id", id}, {"snapshot", snapshot}},
        {.call = {"rbd_snap_remove2", path_of(def, name) + '@' + snapshot},
         .summary = "remove snapshot '" + snapshot + "' of '" + path_of(def, name) + "'",
         .destructive = true});
}

Step protect_image_snapshot_step(const PoolDef& def, const std::string& name, const std::string& id,
                                 const std::string& snapshot, bool on)
{
    return image_step(
        "rbd_protect_snapshot", def,
        {{"name", name}, {"id", id}, {"snapshot", snapshot}, {"on", on ? "yes" : "no"}},
        {.call = {on ? "rbd_snap_protect" : "rbd_snap_unprotect",
                  path_of(def, name) + '@' + snapshot},
         .summary =
             (on ? "keep snapshot '" + snapshot + "' of '" + path_of(def, name) +
                       "' from being deleted"
                 : "let snapshot '" + snapshot + "' of '" + path_of(def, name) + "' be deleted")});
}

Step set_image_metadata_step(const PoolDef& def, const std::string& name, const std::string& id,
                             const std::string& key, const std::optional<std::string>& value)
{
    const auto path = path_of(def, name);
    if (!value)
        return image_step("rbd_set_metadata", def,
                          {{"name", name}, {"id", id}, {"key", key}, {"remove", "yes"}},
                          {.call = {"rbd_metadata_remove", path, key},
                           .summary = "remove metadata key " + shown(key) + " of '" + path + "'",
                           .destructive = true});
    return image_step("rbd_set_metadata", def,
                      {{"name", name}, {"id", id}, {"key", key}, {"value", *value}},
                      {.call = {"rbd_metadata_set", path, key, *value},
                       .summary = "set metadata key " + shown(key) + " of '" + path + "'"});
}

Step roll_back_image_step(const PoolDef& def, const std::string& name, const std::string& id,
                          const std::string& snapshot)
{
    return image_step(
        "rbd_roll_back", def, {{"name", name}, {"id", id}, {"snapshot", snapshot}},
        {.call = {"rbd_snap_rollback", path_of(def, name) + '@' + snapshot},
         .summary = "bring '" + path_of(def, name) + "' back to snapshot '" + snapshot + "'",
         .destructive = true});
}

} // namespace storage::inline v1
