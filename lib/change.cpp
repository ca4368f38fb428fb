// SPDX-License-Identifier: LGPL-2.1-or-later
#include "change.hpp"

#include "job_impl.hpp"
#include "recorded_change.hpp"
#include "signal_guard.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <unistd.h>

namespace storage::inline v1 {

using nlohmann::json;

namespace {

const std::string& look_up(const Arguments& values, std::string_view name)
{
    static const std::string nothing;
    const auto found = values.find(name);
    return found == values.end() ? nothing : found->second;
}

} // namespace

const std::string& StepRun::argument(std::string_view name) const
{
    return look_up(arguments_, name);
}
const std::string& StepRun::evidence(std::string_view name) const
{
    return look_up(evidence_, name);
}

void StepRun::declare(std::string_view name, std::string value)
{
    if (recorder_)
        recorder_->record(index_, name, value, true);
    evidence_.insert_or_assign(std::string(name), std::move(value));
}

void StepRun::remember(std::string_view name, std::string value)
{
    if (recorder_)
        recorder_->record(index_, name, value, false);
    evidence_.insert_or_assign(std::string(name), std::move(value));
}

namespace {

json to_json_object(const Step& step)
{
    return {{"action", step.action->name},
            {"arguments", step.arguments},
            {"summary", step.record.summary}};
}

/** Something that is not there now, and may be next time: a server, a library, a secret, room, a
 * file system or directory that may be written to, memory and descriptors. */
bool is_passing(const std::exception& error)
{
    const auto* known = dynamic_cast<const Error*>(&error);
    if (!known)
        return dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
    constexpr std::array codes{ErrorCode::unavailable, ErrorCode::no_space, ErrorCode::no_memory};
    constexpr std::array system_errors{EROFS, EACCES, EPERM, EMFILE, ENFILE};
    return known->retryable() ||
           std::find(codes.begin(), codes.end(), known->code()) != codes.end() ||
           std::find(system_errors.begin(), system_errors.end(), known->os_error()) !=
               system_errors.end();
}

/** The step has declared that the storage did not say how far it came; a recovery goes on from
 * there. */
bool is_unanswered(const Step& step)
{
    return step.action->forward && step.evidence.contains("unanswered");
}

void undo_steps(std::vector<Step>& steps, std::size_t count, const Host& host,
                std::string& problems, const std::function<bool(const std::exception&)>& ends = {},
                const std::function<void(std::size_t)>& undone = {}, Recorder* recorder = nullptr)
{
    for (auto index = count; index-- > 0;) {
        auto& step = steps[index];
        if (!step.action->undo)
            continue;
        try {
            StepRun run(step.arguments, step.evidence, recorder, index, host);
            step.action->undo(run);
            if (undone)
                undone(index);
        } catch (const std::exception& error) {
            if (ends && ends(error))
                return;
            problems += "not undone: " + step.record.summary + ": " + error.what() + '\n';
        }
    }
}

} // namespace

bool ChangePlace::excludes(const ChangePlace& other) const
{
    if (pool_uuid.empty() || pool_uuid != other.pool_uuid)
        return false;
    return volumes.empty() || other.volumes.empty() ||
           std::find_first_of(volumes.begin(), volumes.end(), other.volumes.begin(),
                              other.volumes.end()) != volumes.end();
}

void Change::expect(std::string_view identity)
{
    if (!identity.starts_with(file_identity_prefix))
        return; // of what the programs and libraries know by themselves
    for (auto& step : steps_)
        if (step.arguments.contains("identity"))
            step.arguments["expected"] = identity.substr(file_identity_prefix.size());
}

std::string Change::serialise() const
{
    json steps = json::array();
    for (const auto& step : steps_)
        steps.push_back(to_json_object(step));
    json line{{"operation", operation_}, {"commit", commit_}, {"steps", steps}};
    if (!place_.pool_uuid.empty())
        line["pool"] = {
            {"uuid", place_.pool_uuid}, {"name", place_.pool_name}, {"volumes", place_.volumes}};
    return line.dump();
}

const std::string& Change::evidence(std::size_t step, std::string_view name) const
{
    return look_up(steps_.at(step).evidence, name);
}

namespace {

/** Of a change that was undone, or finished later. A power cut may bring the file's name back, and
 * what has been done since must not be undone. */
void close_for_good(JournalEntry& entry) noexcept
{
    try {
        entry.append(json{{"over", true}}.dump());
    } catch (const Error&) { // no room: then the name alone has to go
    }
    entry.remove();
}

} // namespace

void put_off(JournalEntry& entry, const std::string& why, bool first)
{
    entry.put_off(json{{"pending", why}}.dump(), first);
}

class Change::JournalRecorder final : public Recorder {
public:
    JournalRecorder(const Change& change, const Journal& journal)
        : change_(change), journal_(journal)
    {
    }

    void open()
    {
        if (!entry_)
            entry_.emplace(journal_.open_entry(change_.serialise(), durability()));
    }
    void note(const char* what, std::size_t index)
    {
        if (entry_)
            entry_->append(json{{what, index}}.dump());
    }
    void record(std::size_t step, std::string_view key, const std::string& value,
                bool must) override
    {
        if (must && !entry_) {
            open();
            note("begin", step);
        }
        if (entry_)
            entry_->append(json{{"step", step}, {"key", key}, {"value", value}}.dump());
    }
    void close()
    {
        if (entry_)
            entry_->remove();
    }
    void close_undone()
    {
        if (entry_)
            close_for_good(*entry_);
    }

private:
    Durability durability() const
    {
        return std::all_of(change_.steps_.begin(), change_.steps_.end(),
                           [](const Step& step) { return step.action->brief; })
                   ? Durability::volatile_file
                   : Durability::durable;
    }

    const Change& change_;
    const Journal& journal_;
    std::optional<JournalEntry> entry_{};
};

void Change::run_step(std::size_t index, JournalRecorder& recorder, const ChangeHost& host)
{
    auto& step = steps_[index];
    if (index < commit_) // past it there is no way back, only forward
        check(host.job, operation_);
    if (step.prepare)
        step.prepare(step.arguments);
    recorder.note("begin", index);
    StepRun run(step.arguments, step.evidence, &recorder, index, host.host, host.job, &step.work);
    step.action->apply(run);
    recorder.note("done", index);
    if (host.job) {
        auto& impl = host.job->impl();
        const std::lock_guard lock(impl.mutex);
        impl.trace.push_back(step.record);
    }
}

void Change::give_up(std::size_t failed, JournalRecorder& recorder, const Host& host,
                     std::string& problems)
{
    undo_steps(steps_, failed + 1, host, problems, {}, {}, &recorder);
    if (problems.empty())
        recorder.close_undone();
}

bool Change::execute(const ChangeHost& host)
{
    if (host.job) {
        auto& impl = host.job->impl();
        const std::lock_guard lock(impl.mutex);
        for (const auto& step : steps_)
            impl.plan.push_back(step.record);
    }
    if (is_dry_run(host.job))
        return false;

    const SignalGuard no_signal(SIGXFSZ); // RLIMIT_FSIZE; EFBIG says it
    JournalRecorder recorder(*this, host.journal);
    if (steps_.size() > 1 ||
        std::any_of(steps_.begin(), steps_.end(), [](const Step& s) { return !s.action->atomic; }))
        recorder.open();

    bool complete = true;
    for (std::size_t index = 0; index < steps_.size(); ++index) {
        try {
            run_step(index, recorder, host);
        } catch (const Error& error) {
            if (index >= commit_) { // the journal stays, so that the next recovery finishes it
                host.host.log(LogLevel::warning, operation_ + ": " + steps_[index].record.summary +
                                                     ": " + error.what());
                complete = false;
                break;
            }
            if (is_unanswered(steps_[index]))
                throw;
            std::string problems;
            give_up(index, recorder, host.host, problems);
            if (problems.empty())
                throw;
            throw Error(error.code(), error.what(), error.remedy(), problems + error.detail(),
                        error.os_error());
        } catch (...) {
            std::string problems;
            give_up(index, recorder, host.host, problems);
            throw;
        }
    }
    if (complete)
        recorder.close();
    return true;
}

namespace {

constexpr std::chrono::seconds put_off_for{60};

/** The step that was cut short cannot be taken back. */
bool is_on_the_way(const RecordedChange& change)
{
    if (change.begun <= change.done)
        return false;
    const auto& step = change.steps[change.begun - 1];
    return step.action->forward && !step.evidence.empty();
}

bool is_due(const JournalEntry& entry, const RecordedChange& change)
{
    const auto age = entry.age(); // below 0 when the clock was set
    return change.pending.empty() || age >= put_off_for || age < std::chrono::seconds(0);
}

/** Else what was done is undone. */
bool is_to_be_finished(const RecordedChange& change)
{
    return change.done >= std::min(change.commit, change.steps.size()) || is_on_the_way(change);
}

void add_to(std::vector<StepRecord> Job::Impl::*list, Job* job, std::string summary)
{
    if (!job)
        return;
    auto& impl = job->impl();
    const std::lock_guard lock(impl.mutex);
    (impl.*list).push_back({.summary = std::move(summary)});
}

std::string summary_of(std::string_view verb, const RecordedChange& change, std::size_t index)
{
    return std::string(verb) + " of '" + change.operation +
           "': " + change.steps[index].record.summary;
}

std::string forgetting(const RecordedChange& change)
{
    return "forget '" + change.operation + "', of which nothing was begun";
}

std::string setting_aside(const JournalEntry& entry, const std::exception& error)
{
    return "set aside the journal '" + entry.path() + "': " + error.what();
}

/** What a recovery would do. */
void plan_recovery(const RecordedChange& change, Job* job)
{
    constexpr auto plan = &Job::Impl::plan;
    if (is_to_be_finished(change))
        for (auto index = change.done; index < change.steps.size(); ++index)
            add_to(plan, job, summary_of("finish", change, index));
    else
        for (auto index = change.begun; index-- > 0;)
            if (change.steps[index].action->undo)
                add_to(plan, job, summary_of("undo", change, index));
    if (change.begun == 0)
        add_to(plan, job, forgetting(change));
}

/** The recovery of one change, up to where something is passing. */
class Recovering {
public:
    Recovering(RecordedChange& change, const Host& host, Job* job)
        : change_(change), host_(host), job_(job)
    {
    }

    void finish()
    {
        for (auto index = change_.done; index < change_.steps.size(); ++index)
            try {
                auto& step = change_.steps[index];
                StepRun run(step.arguments, step.evidence, nullptr, index, host_);
                step.action->apply(run);
                note(summary_of("finish", change_, index));
            } catch (const std::exception& error) {
                if (!passes(error))
                    throw;
                return;
            }
    }
    void undo(std::string& problems)
    {
        undo_steps(
            change_.steps, change_.begun, host_, problems,
            [this](const std::exception& error) { return passes(error); },
            [this](std::size_t index) { note(summary_of("undo", change_, index)); });
    }
    void note(std::string summary) { add_to(&Job::Impl::trace, job_, std::move(summary)); }
    /** Why it ended early. */
    const std::string& passing() const { return passing_; }

private:
    bool passes(const std::exception& error)
    {
        if (is_passing(error))
            passing_ = error.what();
        return !passing_.empty();
    }

    RecordedChange& change_;
    const Host& host_;
    Job* job_;
    std::string passing_{};
};

/** @return nothing: the process was killed while it wrote what it was going to do
 * @throws Error  the journal makes no sense, or a step failed for good */
std::optional<RecoveryResult> recover(JournalEntry& entry, const Host& host, Eagerness eagerness,
                                      std::string& problems, Job* job)
{
    auto change = parse_recorded_change(entry.read());
    if (change.steps.empty())
        return std::nullopt;
    RecoveryResult result{.operation = change.operation, .finished = is_to_be_finished(change)};
    if (eagerness == Eagerness::when_due && !is_due(entry, change)) {
        result.message = change.pending;
    } else {
        plan_recovery(change, job);
        Recovering recovering(change, host, job);
        if (result.finished)
            recovering.finish();
        else
            recovering.undo(problems);
        if (const auto& passing = recovering.passing(); !passing.empty() && !problems.empty()) {
            problems += passing + '\n';
        } else if (!passing.empty()) {
            result.message = passing;
            put_off(entry, passing, change.pending.empty());
        } else if (change.begun == 0) {
            recovering.note(forgetting(change));
        }
    }
    result.pending = !result.message.empty();
    if (result.pending)
        result.finished = false;
    else
        result.message = !problems.empty() ? problems : result.finished ? "finished" : "undone";
    return result;
}

} // namespace

void plan_recovery(const RecoveryHost& recovery, Job* job)
{
    for (const auto& entry : recovery.journal.abandoned())
        try {
            if (entry.owner() != ::geteuid())
                continue; // that user's to recover
            const auto change = parse_recorded_change(entry.read());
            if (change.steps.empty())
                continue; // it is over, or was never whole
            if (!recovery.hindrance || recovery.hindrance(change.place).empty())
                plan_recovery(change, job);
        } catch (const std::exception& error) {
            if (!is_passing(error))
                add_to(&Job::Impl::plan, job, setting_aside(entry, error));
        }
}

namespace {

/** The locks that the change had, if they are to be had at once. */
std::vector<HeldLock> lock_again(const LockDirectory& locks, const ChangePlace& place)
{
    constexpr std::string_view operation = "recovery";
    std::vector<HeldLock> held;
    const auto volume = [&](std::size_t index) {
        return VolumeLock{place.pool_uuid, place.pool_name, place.volumes[index]};
    };
    if (place.pool_uuid.empty())
        return held;
    if (place.volumes.empty()) {
        held.push_back(locks.lock_pool(place.pool_uuid, place.pool_name, operation, nullptr));
    } else if (place.volumes.size() == 1) {
        held.push_back(locks.lock_volume(volume(0), operation, nullptr));
    } else {
        auto both = locks.lock_volumes(volume(0), volume(1), operation, nullptr);
        held.push_back(std::move(both.first));
        held.push_back(std::move(both.second));
    }
    return held;
}

/** What can be told of an entry that is not taken; nothing where it makes no sense. */
std::optional<RecordedChange> look_into(const JournalEntry& entry)
{
    try {
        return parse_recorded_change(entry.read(), false);
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

/** @return nothing: there is nothing to tell */
std::optional<RecoveryResult> recover_entry(JournalEntry& entry, const RecoveryHost& recovery,
                                            const Host& patient, std::string& problems, Job* job)
{
    const auto change = look_into(entry);
    if (recovery.place && (!change || !change->place.excludes(*recovery.place)))
        return std::nullopt;
    RecoveryResult left{.operation = change ? change->operation : std::string(), .pending = true};
    if (const auto owner = entry.owner(); owner != ::geteuid()) { // who could have anything undone
        left.message = "'" + entry.path() + "' belongs to user " + std::to_string(owner) +
                       ", who alone recovers it";
        return left;
    }
    if (change && recovery.hindrance)
        left.message = recovery.hindrance(change->place);
    if (!left.message.empty())
        return left;
    std::vector<HeldLock> locks;
    try {
        if (change)
            locks = lock_again(recovery.locks, change->place);
    } catch (const Error& error) {
        left.message = error.what();
        return left;
    }
    if (!entry.take())
        return std::nullopt;
    auto result = recover(entry, patient, recovery.eagerness, problems, job);
    if (!result)
        entry.remove();
    return result;
}

} // namespace

std::optional<RecoveryResult> recover_change(JournalEntry& entry, const RecoveryHost& recovery,
                                             Job* job)
{
    const auto& host = recovery.host;
    auto patient = host;
    patient.secret = [&host](const SecretRequest& request) {
        try {
            return host.secret(request);
        } catch (const Error& error) { // another program may know it
            throw Error(ErrorCode::unavailable, error.what(), error.remedy());
        }
    };
    const SignalGuard no_signal(SIGXFSZ);
    RecoveryResult result;
    std::string problems;
    try {
        auto recovered = recover_entry(entry, recovery, patient, problems, job);
        if (!recovered)
            return std::nullopt;
        result = std::move(*recovered);
    } catch (const std::exception& error) {
        result.message = std::string("journal '") + entry.path() + "': " + error.what();
        result.pending = is_passing(error);
        if (!result.pending) {
            problems = result.message;
            for (const auto list : {&Job::Impl::plan, &Job::Impl::trace})
                add_to(list, job, setting_aside(entry, error));
        }
    }
    if (!problems.empty())
        recovery.journal.set_aside(entry);
    else if (!result.pending)
        close_for_good(entry);
    const auto what = result.operation.empty() ? "a change" : "'" + result.operation + "'";
    if (!problems.empty())
        host.log(LogLevel::error,
                 "cannot recover " + what + ", its journal is set aside: " + result.message);
    else if (result.pending)
        host.log(LogLevel::warning, "cannot recover " + what + " yet: " + result.message);
    else
        host.log(LogLevel::info, "recovered " + what + ": " + result.message);
    return result;
}

std::vector<RecoveryResult> recover_changes(const RecoveryHost& recovery)
{
    std::vector<RecoveryResult> results;
    for (auto& entry : recovery.journal.abandoned())
        if (auto result = recover_change(entry, recovery, nullptr))
            results.push_back(std::move(*result));
    return results;
}

bool is_unsettled(const Journal& journal, const ChangePlace& place, Unsettled which)
{
    const auto entries = journal.abandoned();
    return std::any_of(entries.begin(), entries.end(), [&](const JournalEntry& entry) {
        const auto change = look_into(entry);
        return change && entry.owner() == ::geteuid() && change->place.excludes(place) &&
               (which == Unsettled::all || !place.volumes.empty() || change->place.volumes.empty());
    });
}

} // namespace storage::inline v1
