// SPDX-License-Identifier: LGPL-2.1-or-later
// What many callers did at once, and whether one after the other could have had the same results.
//
// The order comes from the library's own locks. Whatever a call changes it tells as an event while
// it still has the volume, the pool or the registry locked, and for each event it asks the context
// for the time. Our clock is a counter that all processes share, so that the number which a call
// last drew is a moment at which nobody else could change what it changed: accepted calls are
// replayed in the order of these numbers, and each must have been possible there. A call that was
// refused, and a list, have only their beginning and end on the same counter. They are judged by
// what may have been the case in between: a state can have been seen from the beginning of the call
// that made it to the end of the one that ended it.
#pragma once

#include <algorithm>
#include <basin/error.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

enum class Op : std::uint8_t {
    create,
    upload,
    clone,
    resize,
    rename,
    remove,
    list,
    refresh,
    start,
    stop,
    define,
    undefine,
};

/** One call. Plain data, so that processes can hand it over as bytes. */
struct Call {
    Op op{};
    std::uint8_t pool{};
    std::uint8_t volume{};
    std::uint8_t other{};   ///< rename: the new name; clone: the source
    bool waits{};           ///< was ready to wait for locks
    int code{};             ///< 0: accepted
    std::uint64_t value{};  ///< the capacity; for define, the mode; for list, the names as bits
    std::uint64_t marker{}; ///< the first bytes of an upload
    std::uint64_t begin{};
    std::uint64_t moment{}; ///< while what it changed was locked; 0: it changed nothing
    std::uint64_t end{};
};

class History {
public:
    struct Volume {
        std::uint64_t capacity{};
        std::uint64_t marker{};
        bool operator==(const Volume&) const = default;
    };
    struct Pool {
        bool active{};
        std::optional<std::uint64_t> mode{}; ///< nothing: not defined
        std::map<unsigned, Volume> volumes{};
        bool operator==(const Pool&) const = default;
    };

    /** @param state  what was there before the first call */
    History(std::vector<Call> calls, std::vector<Pool> state, unsigned volumes)
        : calls_(std::move(calls)), state_(std::move(state)), volumes_(volumes)
    {
        for (unsigned p = 0; p < state_.size(); ++p) {
            note(pool_fact(p, Fact::defined), state_[p].mode.has_value(), 0, 0);
            note(pool_fact(p, Fact::active), state_[p].active, 0, 0);
            for (unsigned v = 0; v < volumes_; ++v)
                note({p, v}, state_[p].volumes.contains(v), 0, 0);
        }
        replay();
        for (const auto& call : calls_)
            if (call.code == 0 && call.op == Op::start) // who defines has not the pool locked
                require(call, pool_fact(call.pool, Fact::defined), true, "it was not defined");
            else if (call.code != 0)
                judge_refusal(call);
            else if (call.op == Op::list)
                judge_list(call);
    }

    const std::vector<std::string>& complaints() const { return complaints_; }
    const std::vector<Pool>& final_state() const { return state_; }
    std::map<std::string, int> count() const
    {
        std::map<std::string, int> result;
        for (const auto& call : calls_)
            ++result[name(call.op) + ' ' + outcome(call)];
        return result;
    }

private:
    enum class Fact : unsigned { defined = 1000, active };
    using Key = std::pair<unsigned, unsigned>; ///< a pool, and a volume or a fact
    struct State {
        bool value{};
        std::uint64_t from{}, until{UINT64_MAX}; ///< when it can have been seen
    };

    static Key pool_fact(unsigned pool, Fact fact) { return {pool, static_cast<unsigned>(fact)}; }

    static std::string name(Op op)
    {
        constexpr const char* names[] = {"create", "upload", "clone",  "resize",
                                         "rename", "delete", "list",   "refresh",
                                         "start",  "stop",   "define", "undefine"};
        return names[static_cast<unsigned>(op)];
    }
    static std::string outcome(const Call& call)
    {
        return call.code == 0 ? "done"
                              : std::string(to_string(static_cast<storage::ErrorCode>(call.code)));
    }

    static std::string text(const Call& call)
    {
        return name(call.op) + " pool " + std::to_string(call.pool) + " volume " +
               std::to_string(call.volume) + " other " + std::to_string(call.other) + " at " +
               std::to_string(call.begin) + '-' + std::to_string(call.moment) + '-' +
               std::to_string(call.end) + (call.waits ? " waiting: " : ": ") + outcome(call);
    }

    void complain(const Call& call, const std::string& why)
    {
        complaints_.push_back(text(call) + ", but " + why);
        if (complaints_.size() > 1)
            return;
        complaints_.back() += "; meanwhile:";
        for (const auto& other : calls_)
            if (other.pool == call.pool && other.end + 40 > call.begin && other.begin < call.end)
                complaints_.back() += "\n    " + text(other);
    }

    void note(Key key, bool value, std::uint64_t begin, std::uint64_t end)
    {
        auto& states = facts_[key];
        if (!states.empty())
            states.back().until = end;
        states.push_back({.value = value, .from = begin});
    }

    bool possible(const Call& call, Key key, bool value) const
    {
        const auto& states = facts_.at(key);
        return std::any_of(states.begin(), states.end(), [&](const State& state) {
            return state.value == value && state.from <= call.end && state.until >= call.begin;
        });
    }

    void require(const Call& call, Key key, bool value, const std::string& otherwise)
    {
        if (!possible(call, key, value))
            complain(call, otherwise);
    }

    // ---- what was accepted ------------------------------------------------------------------

    void replay()
    {
        std::vector<const Call*> accepted;
        for (const auto& call : calls_)
            if (call.code == 0 && call.op != Op::list && call.op != Op::refresh)
                accepted.push_back(&call);
        std::sort(accepted.begin(), accepted.end(),
                  [](const Call* a, const Call* b) { return a->moment < b->moment; });
        for (const auto* call : accepted) {
            if (call->moment < call->begin || call->moment > call->end)
                complain(*call, "it told nothing of it");
            apply(*call);
        }
    }

    void apply(const Call& call)
    {
        auto& pool = state_[call.pool];
        const auto require = [&](bool condition, const char* otherwise) {
            if (!condition)
                complain(call, otherwise);
        };
        const auto set = [&](Fact fact, bool value) {
            note(pool_fact(call.pool, fact), value, call.begin, call.end);
        };
        switch (call.op) {
        case Op::start:
            require(!pool.active, "it was active");
            pool.active = true;
            set(Fact::active, true);
            return;
        case Op::stop:
            require(pool.active, "it was not active");
            pool.active = false;
            set(Fact::active, false);
            return;
        case Op::define:
            if (!pool.mode)
                set(Fact::defined, true);
            pool.mode = call.value;
            return;
        case Op::undefine:
            require(pool.mode.has_value(), "it was not defined");
            require(!pool.active, "it was active");
            pool.mode.reset();
            set(Fact::defined, false);
            return;
        default:
            require(pool.active, "its pool was not active");
            apply_to_volumes(call, pool.volumes);
        }
    }

    void apply_to_volumes(const Call& call, std::map<unsigned, Volume>& volumes)
    {
        const auto add = [&](unsigned volume, Volume what) {
            if (!volumes.emplace(volume, what).second)
                complain(call, "there was one already");
            note({call.pool, volume}, true, call.begin, call.end);
        };
        const auto take = [&](unsigned volume) {
            const auto found = volumes.extract(volume);
            if (!found)
                complain(call, "there was none");
            note({call.pool, volume}, false, call.begin, call.end);
            return found ? found.mapped() : Volume{};
        };
        switch (call.op) {
        case Op::create: add(call.volume, {.capacity = call.value}); return;
        case Op::upload: add(call.volume, {call.value, call.marker}); return;
        case Op::clone:
            if (!volumes.contains(call.other))
                complain(call, "there was no source");
            add(call.volume, volumes[call.other]);
            return;
        case Op::rename: add(call.other, take(call.volume)); return;
        case Op::remove: take(call.volume); return;
        default: // resize
            if (!volumes.contains(call.volume))
                complain(call, "there was none");
            volumes[call.volume].capacity = call.value;
        }
    }

    // ---- what was not -----------------------------------------------------------------------

    bool another_was_at_work(const Call& call) const
    {
        return std::any_of(calls_.begin(), calls_.end(), [&](const Call& other) {
            return &other != &call && other.pool == call.pool && other.begin < call.end &&
                   other.end > call.begin;
        });
    }

    static bool is_about_pool(Op op) { return op >= Op::list; }

    void judge_refusal(const Call& call)
    {
        using storage::ErrorCode;
        const auto may_be = [&](Fact fact, bool value) {
            return possible(call, pool_fact(call.pool, fact), value);
        };
        const auto may_have = [&](unsigned volume, bool there) {
            return possible(call, {call.pool, volume}, there);
        };
        bool justified = false;
        switch (static_cast<ErrorCode>(call.code)) {
        case ErrorCode::busy: justified = !call.waits && another_was_at_work(call); break;
        case ErrorCode::not_found:
            justified =
                (call.op != Op::define && may_be(Fact::defined, false)) ||
                (!is_about_pool(call.op) && call.op != Op::create && call.op != Op::upload &&
                 may_have(call.op == Op::clone ? call.other : call.volume, false));
            break;
        case ErrorCode::already_exists:
            justified = !is_about_pool(call.op) && call.op != Op::resize && call.op != Op::remove &&
                        may_have(call.op == Op::rename ? call.other : call.volume, true);
            break;
        case ErrorCode::invalid_state:
            justified = call.op == Op::start || call.op == Op::undefine
                            ? may_be(Fact::active, true)
                            : call.op != Op::define && may_be(Fact::active, false);
            break;
        default: break;
        }
        if (!justified)
            complain(call, "nothing was in the way");
    }

    void judge_list(const Call& call)
    {
        require(call, pool_fact(call.pool, Fact::active), true, "its pool was not active");
        for (unsigned v = 0; v < volumes_; ++v) {
            const bool listed = call.value >> v & 1;
            require(call, {call.pool, v}, listed,
                    "volume " + std::to_string(v) + (listed ? " was not there" : " was there"));
        }
    }

    std::vector<Call> calls_;
    std::vector<Pool> state_;
    unsigned volumes_;
    std::map<Key, std::vector<State>> facts_{};
    std::vector<std::string> complaints_{};
};
