// SPDX-License-Identifier: LGPL-2.1-or-later
// Change: the one engine for everything that alters the world outside the process. A list of steps,
// carried out in order, undone in reverse when one fails, finished or undone after a kill.
#pragma once

#include "host.hpp"
#include "journal.hpp"
#include "log.hpp"
#include "pool_lock.hpp"

#include <basin/job.hpp>

#include <map>

namespace storage::inline v1 {

/** What an action needs to know, as text, so that a journal can keep it for another process. */
using Arguments = std::map<std::string, std::string, std::less<>>;

/** Before what Backend::identity() says of a file. */
inline constexpr std::string_view file_identity_prefix = "file:";

/** Writes a change's journal, which it makes when it is first needed. */
class Recorder {
public:
    virtual ~Recorder() = default;
    virtual void record(std::size_t step, std::string_view key, const std::string& value,
                        bool must) = 0;
};

/** The file that a step is about, for the part of the step that is a function. */
struct FileWork {
    int fd{-1};        ///< open for reading and writing; -1 where a tool is to be given the path
    int directory{-1}; ///< of a file that a tool makes: where, open; path leads through it
    const std::string& path;
    Job* job{};
};
/** Returns whether it wrote data through fd. */
using FileFunction = std::function<bool(const FileWork&)>;

/** What one step is given while it runs or is undone. */
class StepRun {
public:
    StepRun(const Arguments& arguments, Arguments& evidence, Recorder* recorder, std::size_t index,
            const Host& host, Job* job = nullptr, const FileFunction* work = nullptr)
        : arguments_(arguments), evidence_(evidence), recorder_(recorder), index_(index),
          host_(host), job_(job), work_(work)
    {
    }

    /** The argument of that name; "" when it was not given. */
    const std::string& argument(std::string_view name) const;
    /** What declare() or remember() kept under that name; "" when nothing was. */
    const std::string& evidence(std::string_view name) const;
    /** Says, before doing something that a kill would leave half-done, how to find it. On the disk
     * when it returns. */
    void declare(std::string_view name, std::string value);
    /** Keeps a fact that undoing needs; on the disk only if the change has a journal. */
    void remember(std::string_view name, std::string value);
    const Host& host() const { return host_; }
    /** Null where a step is undone, or finished after a kill. */
    Job* job() const { return job_; }
    /** Does the step's own part on its file; true: data was written. */
    bool work(int fd, const std::string& path, int directory = -1) const
    {
        return work_ && *work_ &&
               (*work_)({.fd = fd, .directory = directory, .path = path, .job = job_});
    }

private:
    const Arguments& arguments_;
    Arguments& evidence_;
    Recorder* recorder_;
    std::size_t index_;
    const Host& host_;
    Job* job_;
    const FileFunction* work_;
};

/** One kind of step. */
struct Action {
    std::string_view name{};
    void (*apply)(StepRun&){};
    /** Takes back what apply() did, wholly or in part, going by evidence only; null: nothing to
     * take back. */
    void (*undo)(StepRun&){};
    /** apply() is one system call that happens or does not, so a step on its own needs no journal.
     */
    bool atomic{};
    /** apply() is over at once and undo() only clears away what nobody can use: the journal of a
     * change of such steps alone survives a kill, and is not flushed for the loss of power, after
     * which the remains stay until somebody comes upon them. */
    bool brief{};
    /** There is no way back once apply() has declared something: a recovery calls it again, with
     * what it declared, and it goes on from there. */
    bool forward{};
};

/** The action of that name, or null. Defined where the actions are. */
const Action* find_action(std::string_view name);

struct Step {
    const Action* action{};
    Arguments arguments{};
    StepRecord record{};
    Arguments evidence{};
    /** Fills in arguments that are known only once the steps before have run; undoing must not need
     * them. */
    std::function<void(Arguments&)> prepare{};
    /** What apply() does to its file that cannot be told as text: fill it from a caller's
     * descriptor, encrypt it with a secret. A recovery has to do without. */
    FileFunction work{};
};

/** What is locked while a change goes on: volumes, or without any the pool's life cycle. */
struct ChangePlace {
    std::string pool_uuid{}; ///< "": nothing but the registry
    std::string pool_name{};
    std::vector<std::string> volumes{};

    /** Whether a change there and one here exclude each other. */
    bool excludes(const ChangePlace& other) const;
};

/** Where and for whom a change is carried out. */
struct ChangeHost {
    const Journal& journal;
    const Host& host;
    Job* job{};
};

class Change {
public:
    /** @param operation  what people call it, e.g. "pool-build vms"
     * @param place  what the caller has locked for it; a recovery locks the same */
    explicit Change(std::string operation, ChangePlace place = {})
        : operation_(std::move(operation)), place_(std::move(place))
    {
    }

    void add(Step step) { steps_.push_back(std::move(step)); }
    /** After the step just added the change counts as done: a recovery then finishes the rest. */
    void commit_here() { commit_ = steps_.size(); }

    /** Has each step that goes by a file's identity accept no other one than this, of
     * Backend::identity(). */
    void expect(std::string_view identity);

    bool empty() const { return steps_.empty(); }
    const std::string& operation() const { return operation_; }

    /**
     * Carries the steps out, or in a dry run only tells the job what they are.
     * @return false in a dry run
     * @throws Error  what the failing step threw, after everything before it was undone
     */
    bool execute(const ChangeHost& host);

    /** What a step of an unfinished change left in its evidence; for the caller after execute(). */
    const std::string& evidence(std::size_t step, std::string_view name) const;

private:
    class JournalRecorder;
    std::string serialise() const;
    void run_step(std::size_t index, JournalRecorder& recorder, const ChangeHost& host);
    void give_up(std::size_t failed, JournalRecorder& recorder, const Host& host,
                 std::string& problems);

    std::string operation_;
    ChangePlace place_;
    std::vector<Step> steps_{};
    std::size_t commit_{SIZE_MAX};
};

/** How eager a recovery is about changes that another one had to put off. */
enum class Eagerness : bool {
    when_due, ///< not again within a minute
    now,
};

/** What a recovery needs and may do. */
struct RecoveryHost {
    const Journal& journal;
    const Host& host;
    const LockDirectory& locks;
    Eagerness eagerness{Eagerness::now};
    const ChangePlace* place{}; ///< only changes that exclude a change there; null: all
    /** Why what is there cannot be seen now; "" where it can. */
    std::function<std::string(const ChangePlace&)> hindrance{};
};

/**
 * Finishes or undoes each change in the journal whose process is gone, with what it had locked
 * locked again. One that needs a server which does not answer, a library or a secret that is not
 * there, what another process has locked, or a file system that is not mounted, read-only or full,
 * is left for the next recovery.
 */
std::vector<RecoveryResult> recover_changes(const RecoveryHost& recovery);
/** The same for one of the journal's abandoned entries; the job, or null, is told plan and trace.
 * @return nothing: there is nothing to tell */
std::optional<RecoveryResult> recover_change(JournalEntry& entry, const RecoveryHost& recovery,
                                             Job* job);
/** Says in an entry why it is left for later. @param first  false: it says that already */
void put_off(JournalEntry& entry, const std::string& why, bool first = true);
/** Tells the job the steps that a recovery would finish or undo now. */
void plan_recovery(const RecoveryHost& recovery, Job* job);

enum class Unsettled : bool {
    all,
    in_the_way, ///< of the pool's life cycle changes of single volumes are not
};

/** Whether a process that is gone left a change half-done that excludes one there, which the caller
 * has locked. */
bool is_unsettled(const Journal& journal, const ChangePlace& place, Unsettled which);

} // namespace storage::inline v1
