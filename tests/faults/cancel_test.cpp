// SPDX-License-Identifier: LGPL-2.1-or-later
// Long calls cancelled at random points: each is done or leaves nothing, and the pool is of use.
#include "aftermath.hpp"

#include <condition_variable>
#include <iostream>
#include <mutex>
#include <random>
#include <thread>

using namespace storage;

namespace {

using Clock = std::chrono::steady_clock;

/** Says after a while, to whom it still matters, that a job shall end. */
class Canceller {
public:
    Canceller(Job& job, std::chrono::microseconds delay)
        : thread_([&job, delay](std::stop_token stop) {
              std::mutex mutex;
              std::unique_lock lock(mutex);
              std::condition_variable_any condition;
              if (!condition.wait_for(lock, stop, delay, [] { return false; }) &&
                  !stop.stop_requested())
                  job.cancel();
          })
    {
    }

private:
    std::jthread thread_;
};

struct LongCall {
    std::function<void(Pool&, Job*)> call;
    /** Whether it shows as done; checks that it shows whole. */
    std::function<bool(Pool&)> done;
    /** Brings back what was before. */
    std::function<void(Pool&)> reset;
    int points{20};
    std::string keeps{};
    bool in_place{}; ///< it may show as done although it was cancelled
};

/** Pool with a volume "source" of 64 MiB, half of it noise. */
struct LongCallTest {
    static constexpr std::uint64_t size = 64 * mib;

    Scratch scratch{};
    Context context{scratch.options()};
    Pool pool{scratch.running_pool(context)};
    std::string content{noise(size / 2) + std::string(size / 2, '\0')};
    std::mt19937_64 random{Catch::rngSeed()};

    LongCallTest()
    {
        scratch.directory.write("pool/source", content);
        scratch.directory.write("file", content);
        pool.refresh();
    }

    void attempt(const LongCall& call, const std::function<void(Job&)>& arm, int& cancelled)
    {
        const auto before = occupied(scratch.target());
        Job job;
        arm(job);
        const auto code = error_code([&] { call.call(pool, &job); });
        look_after(call, code, before, cancelled);
    }

    void look_after(const LongCall& call, ErrorCode code, std::uint64_t before, int& cancelled)
    {
        CHECK((code == ErrorCode{} || code == ErrorCode::cancelled));
        cancelled += code == ErrorCode::cancelled;
        const auto volumes = pool.volume_count();
        pool.refresh();
        CHECK(pool.volume_count() == volumes);
        const bool is_done = call.done(pool);
        CHECK((is_done == (code == ErrorCode{}) || (is_done && call.in_place)));
        for (const auto& path : leftovers(scratch.directory.path())) {
            INFO(path);
            const auto name = path.substr(path.rfind('/') + 1);
            CHECK((!call.keeps.empty() && name == call.keeps));
        }
        call.reset(pool);
        // Some file systems count a block for the map of a file that was written in parts.
        constexpr std::uint64_t map = 65536;
        CHECK(occupied(scratch.target()) <= before + map);
        check_usable(pool);
    }

    void run(const char* name, const LongCall& call)
    {
        INFO(name << ", --rng-seed " << Catch::rngSeed());
        const auto start = Clock::now();
        call.call(pool, nullptr);
        const auto whole =
            std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
        CHECK(call.done(pool));
        call.reset(pool);
        int cancelled = 0;
        for (int i = 0; i < call.points; ++i) {
            const auto delay = std::chrono::microseconds(
                random() % static_cast<std::uint64_t>(whole.count() * 5 / 4 + 1));
            INFO("cancelled after " << delay.count() << " of " << whole.count() << " us");
            const auto before = occupied(scratch.target());
            Job job;
            ErrorCode code{};
            {
                const Canceller canceller(job, delay);
                code = error_code([&] { call.call(pool, &job); });
            }
            look_after(call, code, before, cancelled);
        }
        for (int at = 1; at <= 3; ++at) { // each phase reports at least twice
            INFO("cancelled at report " << at);
            attempt(
                call,
                [&, reports = 0](Job& job) mutable {
                    job.set_progress_callback([&job, &reports, at](const Progress&) {
                        if (++reports == at)
                            job.cancel();
                    });
                },
                cancelled);
        }
        attempt(
            call, [](Job& job) { job.cancel(); }, cancelled);
        std::cout << "# " << name << ": " << cancelled << " of " << call.points + 4
                  << " attempts cancelled, whole call " << whole.count() << " us\n";
        CHECK(cancelled > 0);
    }

    bool exists(const char* name) const { return scratch.directory.exists(scratch_name(name)); }
    static std::string scratch_name(const char* name) { return std::string("pool/") + name; }

    /** A call that makes the volume "new". */
    LongCall making(std::function<void(Pool&, Job*)> call, std::function<void()> check,
                    int points = 20)
    {
        return {.call = std::move(call),
                .done =
                    [this, check = std::move(check)](Pool&) {
                        if (exists("new"))
                            check();
                        return exists("new");
                    },
                .reset =
                    [this](Pool& p) {
                        if (exists("new"))
                            p.find_volume("new").delete_storage();
                        if (p.partial_upload("new"))
                            p.discard_upload("new");
                    },
                .points = points};
    }
    void check_copy() const { CHECK(scratch.directory.read("pool/new") == content); }
};

} // namespace

TEST_CASE("cancelled while a volume is created, there is none", "[faults]")
{
    LongCallTest test;
    const auto check = [&] { CHECK(test.pool.find_volume("new").info().capacity == test.size); };
    test.run("raw, allocated", test.making(
                                   [&](Pool& pool, Job* job) {
                                       pool.create_volume(raw_volume("new", test.size, test.size),
                                                          {}, job);
                                   },
                                   check));
    for (const std::string format : {"raw", "qcow2"})
        test.run((format + ", written").c_str(),
                 test.making(
                     [&](Pool& pool, Job* job) {
                         pool.create_volume(volume_def("new", format, test.size),
                                            CreateFlags::prealloc_full, job);
                     },
                     check));
}

TEST_CASE("cancelled while a volume is copied, there is no copy", "[faults]")
{
    LongCallTest test;
    for (const auto flags : {CreateFlags::none, CreateFlags::digest})
        test.run(flags == CreateFlags::none ? "copy" : "copy with digest",
                 test.making(
                     [&, flags](Pool& pool, Job* job) {
                         pool.create_volume_from(raw_volume("new", 0), pool.find_volume("source"),
                                                 flags, job);
                     },
                     [&] { test.check_copy(); }));
    if (!have("qemu-img")) {
        WARN("skipped: needs qemu-img");
        return;
    }
    test.run("conversion",
             test.making(
                 [&](Pool& pool, Job* job) {
                     pool.create_volume_from(volume_def("new", "qcow2", 0),
                                             pool.find_volume("source"), {}, job);
                 },
                 [&] { CHECK(test.pool.find_volume("new").info().capacity == test.size); }, 10));
}

TEST_CASE("cancelled while a volume is uploaded, there is none, or what can be resumed", "[faults]")
{
    LongCallTest test;
    test.run("upload of a file", test.making(
                                     [&](Pool& pool, Job* job) {
                                         const OpenFile file(test.scratch.directory / "file");
                                         pool.upload_volume(raw_volume("new", 0), file.fd(), {},
                                                            job);
                                     },
                                     [&] { test.check_copy(); }));
    auto resumable = test.making(
        [&](Pool& pool, Job* job) {
            const auto offset = pool.partial_upload("new").value_or(0);
            const OpenFile file(test.scratch.directory / "file", offset);
            pool.upload_volume(raw_volume("new", 0), file.fd(),
                               {.offset = offset, .digest = true, .resumable = true}, job);
        },
        [&] { test.check_copy(); });
    resumable.keeps = ".basin-upload-new";
    test.run("upload that can be resumed", resumable);
}

TEST_CASE("an upload cancelled again and again arrives in the end, nothing twice", "[faults]")
{
    LongCallTest test;
    std::uint64_t last = 0;
    int cancelled = 0;
    for (int attempt = 0; !test.exists("new") && attempt < 1000; ++attempt) {
        const auto offset = test.pool.partial_upload("new").value_or(0);
        CHECK(offset >= last); // what arrived is kept, whenever it was cancelled
        last = offset;
        const OpenFile file(test.scratch.directory / "file", offset);
        Job job;
        const Canceller canceller(
            job, std::chrono::microseconds(test.random() % 40000 +
                                           1000u * static_cast<unsigned>(attempt)));
        const auto code = error_code([&] {
            test.pool.upload_volume(
                raw_volume("new", 0), file.fd(),
                {.offset = offset, .expected_length = test.size, .digest = true, .resumable = true},
                &job);
        });
        CHECK((code == ErrorCode{} || code == ErrorCode::cancelled));
        cancelled += code == ErrorCode::cancelled;
    }
    std::cout << "# arrived after " << cancelled << " cancelled attempts\n";
    REQUIRE(test.exists("new"));
    test.check_copy();
}

TEST_CASE("cancelled while a volume is changed, it stays with its size", "[faults]")
{
    LongCallTest test;
    const auto capacity = [&](Pool& pool) { return pool.find_volume("source").info().capacity; };
    const auto restore = [&](Pool& pool) {
        test.scratch.directory.write("pool/source", test.content);
        pool.find_volume("source").refresh();
    };
    restore(test.pool); // all of it written from now on
    test.run("resize, allocated",
             {.call =
                  [&](Pool& pool, Job* job) {
                      pool.find_volume("source").resize(4 * test.size, ResizeFlags::allocate, {},
                                                        job);
                  },
              .done =
                  [&](Pool& pool) {
                      CHECK((capacity(pool) == test.size || capacity(pool) == 4 * test.size));
                      return capacity(pool) != test.size;
                  },
              .reset =
                  [&](Pool& pool) {
                      if (capacity(pool) != test.size)
                          pool.find_volume("source").resize(test.size, ResizeFlags::shrink);
                  }});
    for (const auto algorithm : {WipeAlgorithm::zero, WipeAlgorithm::nnsa})
        test.run(algorithm == WipeAlgorithm::zero ? "wipe" : "wipe of four passes",
                 {.call = [&](Pool& pool,
                              Job* job) { pool.find_volume("source").wipe(algorithm, {}, job); },
                  .done =
                      [&](Pool&) {
                          const auto found = test.scratch.directory.read("pool/source");
                          CHECK(found.size() == test.size);
                          return found.find_first_not_of('\0') == found.npos;
                      },
                  .reset = restore,
                  .points = 10,
                  .in_place = true});
    test.scratch.directory.write("file", noise(test.size, 9));
    test.run("upload into a volume", {.call =
                                          [&](Pool& pool, Job* job) {
                                              const OpenFile file(test.scratch.directory / "file");
                                              pool.find_volume("source").upload(file.fd(), {}, job);
                                          },
                                      .done =
                                          [&](Pool& pool) {
                                              CHECK(capacity(pool) == test.size);
                                              return test.scratch.directory.read("pool/source") ==
                                                     test.scratch.directory.read("file");
                                          },
                                      .reset = restore,
                                      .points = 10,
                                      .in_place = true});
}
