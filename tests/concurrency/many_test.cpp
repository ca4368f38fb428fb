// SPDX-License-Identifier: LGPL-2.1-or-later
// Many processes and threads do everything at once on the same pools. What they were told must be
// explained by some order of the calls (history.hpp), and what is on disk must be what that order
// leaves. BASIN_MANY=8x8x60 (processes, threads, seconds), BASIN_MANY=8x8x60:7 with another seed.
#include "aftermath.hpp"
#include "calling_thread.hpp"
#include "history.hpp"

#include <atomic>
#include <cstring>
#include <random>
#include <sys/mman.h>

using namespace storage;
using namespace std::chrono_literals;

namespace {

constexpr unsigned pool_count = 3, volume_count = 8;
/** Longer than any call takes on a busy machine: who comes so far is stuck. */
constexpr auto deadline = 120s, lock_wait = 100s, stuck = 150s;

struct Load {
    unsigned processes{4}, threads{4}, seconds{5}, seed{1};
};

Load load_asked_for()
{
    Load load;
    if (const auto* text = std::getenv("BASIN_MANY"))
        if (std::sscanf(text, "%ux%ux%u:%u", &load.processes, &load.threads, &load.seconds,
                        &load.seed) < 3)
            throw std::runtime_error("BASIN_MANY is not like 8x8x60:1");
    return load;
}

/** Counts for all processes. */
class SharedCounter {
public:
    SharedCounter()
        : memory_(::mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
          value_(new (memory_) std::atomic<std::uint64_t>(0))
    {
    }
    ~SharedCounter() { ::munmap(memory_, sizeof(std::atomic<std::uint64_t>)); }
    SharedCounter(const SharedCounter&) = delete;
    SharedCounter& operator=(const SharedCounter&) = delete;
    std::uint64_t next() { return ++*value_; }

private:
    void* memory_;
    std::atomic<std::uint64_t>* value_;
};

thread_local std::uint64_t last_moment = 0;

struct Stage {
    Scratch scratch{};
    SharedCounter counter{};

    ContextOptions options()
    {
        ContextOptions result;
        result.root = scratch.directory / "root";
        result.clock = [this] {
            const auto now = counter.next();
            on_calling_thread([now] { last_moment = now; });
            return Timestamp{.seconds = static_cast<std::int64_t>(now)};
        };
        return result;
    }

    static std::string pool_name(unsigned pool) { return "pool" + std::to_string(pool); }
    static std::string volume_name(unsigned volume) { return "v" + std::to_string(volume); }

    PoolDef pool(unsigned pool, std::uint64_t mode) const
    {
        auto def = scratch.dir_pool(pool_name(pool));
        def.uuid = "00000000-0000-4000-8000-00000000000" + std::to_string(pool);
        def.target.permissions.mode = static_cast<std::uint32_t>(mode);
        return def;
    }
};

/** One thread's calls. What it asks for depends on its number alone, not on the answers. */
class Caller {
public:
    Caller(Stage& stage, Context& context, unsigned number, unsigned seed, bool has_deadline)
        : stage_(stage), context_(context), random_(seed * 1000 + number), number_(number),
          has_deadline_(has_deadline)
    {
    }

    void run(std::chrono::steady_clock::time_point until)
    {
        while (std::chrono::steady_clock::now() < until) {
            auto call = next();
            since_ms = now_ms();
            perform(call);
            since_ms = 0;
            calls.push_back(call);
        }
    }

    static std::int64_t now_ms()
    {
        return std::chrono::steady_clock::now().time_since_epoch() / 1ms;
    }

    std::vector<Call> calls{};
    std::string strange{};                 ///< the first answer that is wrong in itself
    std::atomic<std::int64_t> since_ms{0}; ///< when the present call began

private:
    Call next()
    {
        constexpr Op ops[] = {Op::create, Op::create,  Op::create, Op::upload, Op::upload,
                              Op::clone,  Op::clone,   Op::resize, Op::resize, Op::rename,
                              Op::rename, Op::remove,  Op::remove, Op::remove, Op::list,
                              Op::list,   Op::refresh, Op::start,  Op::start};
        constexpr Op rare[] = {Op::stop, Op::stop, Op::define, Op::undefine, Op::start};
        Call call;
        const auto dice = random_();
        call.op =
            dice % 16 == 0 ? rare[dice / 16 % std::size(rare)] : ops[dice / 16 % std::size(ops)];
        call.pool = static_cast<std::uint8_t>(random_() % pool_count);
        call.volume = static_cast<std::uint8_t>(random_() % volume_count);
        call.other = static_cast<std::uint8_t>((call.volume + 1 + random_() % (volume_count - 1)) %
                                               volume_count);
        call.waits = random_() % 2 == 0;
        call.value = call.op == Op::define ? 0700 + random_() % 64 : 4096 + random_() % 16 * 512;
        call.marker = call.op == Op::upload ? number_ * 1000000ULL + calls.size() + 1 : 0;
        return call;
    }

    void perform(Call& call)
    {
        Job job;
        if (has_deadline_)
            job.set_timeout(deadline);
        if (call.waits)
            job.set_wait(lock_wait);
        last_moment = 0;
        call.begin = stage_.counter.next();
        try {
            ask(call, job);
        } catch (const Error& error) {
            call.code = static_cast<int>(error.code());
            if (error.code() == ErrorCode::busy &&
                std::string(error.what()).find("in use by") == std::string::npos)
                note(error);
            if (error.code() == ErrorCode::busy && call.waits)
                note(error);
            if (error.code() != ErrorCode::busy && error.code() != ErrorCode::not_found &&
                error.code() != ErrorCode::already_exists &&
                error.code() != ErrorCode::invalid_state)
                note(error);
        }
        call.moment = last_moment;
        call.end = stage_.counter.next();
    }

    void note(const Error& error)
    {
        if (strange.empty())
            strange = std::string(to_string(error.code())) + ": " + error.what();
    }

    void ask(Call& call, Job& job)
    {
        if (call.op == Op::define) {
            context_.define_pool(stage_.pool(call.pool, call.value), &job);
            return;
        }
        auto pool = context_.find_pool(Stage::pool_name(call.pool));
        const auto name = Stage::volume_name(call.volume), other = Stage::volume_name(call.other);
        switch (call.op) {
        case Op::create:
            pool.create_volume(raw_volume(name, call.value), CreateFlags::none, &job);
            return;
        case Op::upload:
            pool.upload_volume(raw_volume(name, call.value), content(call.marker), {}, &job);
            return;
        case Op::clone:
            pool.create_volume_from(raw_volume(name, 0), pool.find_volume(other), CreateFlags::none,
                                    &job);
            return;
        case Op::resize:
            pool.find_volume(name).resize(call.value, ResizeFlags::shrink, BlockerKind::none, &job);
            return;
        case Op::rename: pool.find_volume(name).rename(other, BlockerKind::none, &job); return;
        case Op::remove: pool.find_volume(name).delete_storage(BlockerKind::none, &job); return;
        case Op::list: call.value = listed(pool, call.waits); return;
        case Op::refresh: pool.refresh(&job); return;
        case Op::start: pool.start(BuildMode::none, &job); return;
        case Op::stop: pool.stop(&job); return;
        default: pool.undefine(&job);
        }
    }

    static ReadCallback content(std::uint64_t marker)
    {
        return [marker, given = false](std::span<std::byte> buffer, std::uint64_t&) mutable {
            if (std::exchange(given, true))
                return std::size_t{0};
            std::memcpy(buffer.data(), &marker, sizeof marker);
            return sizeof marker;
        };
    }

    /** The names as bits. */
    static std::uint64_t listed(const Pool& pool, bool from_directory)
    {
        std::vector<std::string> names;
        if (from_directory)
            names = pool.volume_names();
        else
            for (const auto& entry : pool.volume_entries())
                names.push_back(entry.name);
        std::uint64_t bits = 0;
        for (const auto& name : names) {
            unsigned volume = 0;
            if (std::sscanf(name.c_str(), "v%u", &volume) != 1 || volume >= volume_count)
                throw Error(ErrorCode::internal, "listed: '" + name + "'");
            if (bits >> volume & 1)
                throw Error(ErrorCode::internal, "listed twice: '" + name + "'");
            bits |= std::uint64_t{1} << volume;
        }
        return bits;
    }

    Stage& stage_;
    Context& context_;
    std::mt19937 random_;
    std::uint64_t number_;
    bool has_deadline_;
};

/** The calls of one process. @return what was strange; "" for nothing */
std::string run_threads(Stage& stage, const Load& load, unsigned process, bool all_with_deadline,
                        std::vector<Call>& calls)
{
    Context context(stage.options());
    std::vector<std::unique_ptr<Caller>> callers;
    std::vector<std::thread> threads;
    std::atomic<unsigned> running{load.threads};
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(load.seconds);
    for (unsigned t = 0; t < load.threads; ++t)
        callers.push_back(std::make_unique<Caller>(stage, context, process * load.threads + t,
                                                   load.seed, all_with_deadline || t % 2 == 0));
    for (auto& caller : callers)
        threads.emplace_back([&] {
            caller->run(until);
            --running;
        });
    while (running != 0) {
        std::this_thread::sleep_for(20ms);
        for (const auto& caller : callers)
            if (const auto since = caller->since_ms.load();
                since != 0 && Caller::now_ms() - since > stuck / 1ms) {
                std::fprintf(stderr, "a call does not end\n");
                std::abort(); // nobody can be joined
            }
    }
    std::string strange;
    for (unsigned t = 0; t < load.threads; ++t) {
        threads[t].join();
        calls.insert(calls.end(), callers[t]->calls.begin(), callers[t]->calls.end());
        if (strange.empty())
            strange = callers[t]->strange;
    }
    return strange;
}

std::vector<History::Pool> prepare(Stage& stage)
{
    Context context(stage.options());
    for (unsigned p = 0; p < pool_count; ++p) {
        auto pool = context.define_pool(stage.pool(p, 0711));
        pool.build();
        pool.start();
    }
    return std::vector<History::Pool>(pool_count, {.active = true, .mode = 0711, .volumes = {}});
}

std::vector<History::Pool> state_on_disk(Stage& stage)
{
    std::vector<History::Pool> state(pool_count);
    for (unsigned p = 0; p < pool_count; ++p)
        for (const auto& entry :
             std::filesystem::directory_iterator(stage.scratch.target(Stage::pool_name(p)))) {
            unsigned volume = 0;
            const auto name = entry.path().filename().string();
            if (std::sscanf(name.c_str(), "v%u", &volume) != 1)
                throw std::runtime_error("left over: " + entry.path().string());
            std::uint64_t marker = 0;
            std::ifstream(entry.path(), std::ios::binary)
                .read(reinterpret_cast<char*>(&marker), sizeof marker);
            state[p].volumes[volume] = {.capacity = entry.file_size(), .marker = marker};
        }
    return state;
}

void add_what_basin_says(Context& context, std::vector<History::Pool>& state)
{
    for (const auto& pool : context.pools()) {
        auto& found = state.at(static_cast<unsigned>(pool.name().back() - '0'));
        found.active = pool.is_active();
        if (pool.is_persistent())
            found.mode = pool.definition(Which::next).target.permissions.mode.value_or(0);
        if (!found.active)
            continue;
        std::set<std::string> names;
        for (const auto& entry : pool.volume_entries())
            names.insert(entry.name);
        std::set<std::string> wanted;
        for (const auto& [volume, what] : found.volumes)
            wanted.insert(Stage::volume_name(volume));
        CHECK(names == wanted);
    }
}

void check_outcome(Stage& stage, std::vector<Call> calls, std::vector<History::Pool> before)
{
    const History history(std::move(calls), std::move(before), volume_count);
    std::string counts, complaints;
    for (const auto& [what, count] : history.count())
        counts += what + ' ' + std::to_string(count) + '\n';
    for (std::size_t i = 0; i < std::min<std::size_t>(history.complaints().size(), 5); ++i)
        complaints += history.complaints()[i] + '\n';
    INFO(counts);
    INFO(complaints);
    CHECK(history.complaints().size() == 0);

    Context context(stage.options());
    CHECK(context.recover().empty());
    auto state = state_on_disk(stage);
    add_what_basin_says(context, state);
    for (unsigned p = 0; p < pool_count; ++p) {
        INFO("pool " << p);
        CHECK(state[p].active == history.final_state()[p].active);
        CHECK(state[p].mode == history.final_state()[p].mode);
        CHECK((state[p].volumes == history.final_state()[p].volumes));
    }
    CHECK(leftovers(stage.scratch.directory.path()) == std::vector<std::string>{});
    CHECK(stage.scratch.directory.count("root/var/journal") == 0);
}

} // namespace

TEST_CASE("processes with threads do everything at once, as if one after the other",
          "[concurrency]")
{
    const auto load = load_asked_for();
    INFO("seed " << load.seed);
    Stage stage;
    const auto before = prepare(stage);
    std::vector<pid_t> children;
    for (unsigned p = 0; p < load.processes; ++p) {
        const auto child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            std::vector<Call> calls;
            const auto strange = run_threads(stage, load, p, false, calls);
            if (!strange.empty())
                std::fprintf(stderr, "process %u: %s\n", p, strange.c_str());
            std::ofstream file(stage.scratch.directory / ("calls" + std::to_string(p)),
                               std::ios::binary);
            file.write(reinterpret_cast<const char*>(calls.data()),
                       static_cast<std::streamsize>(calls.size() * sizeof(Call)));
            file.close();
            ::_exit(strange.empty() && file ? 0 : 1);
        }
        children.push_back(child);
    }
    std::vector<Call> calls;
    for (unsigned p = 0; p < load.processes; ++p) {
        int status = 0;
        ::waitpid(children[p], &status, 0);
        CHECK(status == 0);
        const auto bytes = stage.scratch.directory.read("calls" + std::to_string(p));
        const auto count = bytes.size() / sizeof(Call);
        CHECK(count > 0);
        calls.resize(calls.size() + count);
        std::memcpy(&calls[calls.size() - count], bytes.data(), count * sizeof(Call));
    }
    check_outcome(stage, std::move(calls), before);
}

TEST_CASE("threads of one context do everything at once, each call with a deadline",
          "[concurrency]")
{
    const Load load{.processes = 1, .threads = 8, .seconds = 3, .seed = load_asked_for().seed};
    Stage stage;
    const auto before = prepare(stage);
    std::vector<Call> calls;
    CHECK(run_threads(stage, load, 0, true, calls) == "");
    check_outcome(stage, std::move(calls), before);
}
