// SPDX-License-Identifier: LGPL-2.1-or-later
// Sudden death of calls on pools of type rbd, in a real cluster: a process is killed behind each
// message in turn that it sends. The images are then those of before or those of after.
#include "rbd_stage.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <numeric>
#include <optional>
#include <random>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace storage;

namespace {

/** Shared with the child: it counts, and dies at the chosen message. */
struct Messages {
    std::atomic<int> sent{};
    std::atomic<int> last{};
};

Messages* messages = nullptr; ///< null: messages are not counted

} // namespace

/** In place of libc's, for librados too. */
extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags)
{
    const auto result = ::syscall(SYS_sendmsg, fd, message, flags);
    if (messages && ++messages->sent == messages->last)
        ::kill(::getpid(), SIGKILL);
    return result;
}

namespace {

using Work = std::function<void(Pool)>;

/** What a user sees of all images. */
std::string images_of(Pool pool)
{
    std::string text;
    pool.refresh();
    for (const auto& diagnostic : pool.diagnostics())
        text += "diagnostic: " + diagnostic.message + '\n';
    for (const auto& name : pool.volume_names()) {
        const auto volume = pool.find_volume(name);
        text += name + ' ' + std::to_string(volume.info().capacity) + ' ' +
                std::to_string(std::hash<std::string>{}(content(volume)));
        for (const auto& backing : volume.definition().backing)
            text += " on " + backing.path;
        for (const auto& snapshot : volume.snapshots())
            text += " @" + snapshot.name + (snapshot.is_protected ? "!" : "");
        for (const auto& [key, value] : volume.metadata())
            text += ' ' + key + '=' + value;
        text += '\n';
    }
    return text;
}

class RbdKilling {
public:
    RbdKilling(const RbdPeer& peer, Work prepare, Work work)
        : peer_(peer), prepare_(std::move(prepare)), work_(std::move(work)),
          shared_(::mmap(nullptr, sizeof(Messages), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0))
    {
        REQUIRE(shared_ != MAP_FAILED);
        // Ceph waits that long for who does not answer any more.
        REQUIRE(RbdPeer::control("ceph config set osd osd_client_watch_timeout 1"));
    }
    ~RbdKilling()
    {
        RbdPeer::control("ceph config rm osd osd_client_watch_timeout");
        ::munmap(shared_, sizeof(Messages));
    }
    RbdKilling(const RbdKilling&) = delete;
    RbdKilling& operator=(const RbdKilling&) = delete;

    void run(std::size_t most)
    {
        const auto count = run_and_kill_at(INT_MAX);
        std::vector<int> points(static_cast<std::size_t>(count));
        std::iota(points.begin(), points.end(), 1);
        if (!std::getenv("BASIN_KILL_EVERYWHERE") && points.size() > most) {
            std::mt19937 random(Catch::rngSeed());
            std::shuffle(points.begin(), points.end(), random);
            points.resize(most);
        }
        if (const char* at = std::getenv("BASIN_KILL_AT"))
            points.assign(10, std::stoi(at));
        for (const auto point : points)
            run_and_kill_at(point);
        std::cout << "# killed at " << points.size() << " of about " << count
                  << " messages (--rng-seed " << Catch::rngSeed() << "): " << before_
                  << " as before, " << after_ << " as after\n";
    }

private:
    int run_and_kill_at(int point)
    {
        INFO("killed behind message " << point);
        RbdStage stage(peer_);
        prepare_(stage.pool());
        const auto before = images_of(stage.context->find_pool("ceph"));
        stage.context.reset();
        const auto count = in_child(stage, point);
        stage.open();
        recover(*stage.context);
        auto pool = stage.context->find_pool("ceph");
        auto now = images_of(pool);
        if (!after_state_) {
            after_state_ = now;
            CHECK(before != now);
        }
        if (now == before) {
            ++before_;
            work_once_unused(pool);
            now = images_of(pool);
        } else {
            ++after_;
        }
        CHECK(now == *after_state_);
        stage.clear();
        CHECK(nothing_is_left());
        return count;
    }

    /** Ceph takes the dead process for alive for a moment; and for ever where its last words were
     * that it watches an image, which the OSD then has to look at anew. */
    static void once_unused(const std::function<bool()>& try_it)
    {
        using namespace std::chrono;
        const auto begin = steady_clock::now();
        for (auto looked_anew = begin; !try_it();) {
            const auto now = steady_clock::now();
            REQUIRE(now - begin < minutes(2));
            if (now - looked_anew > seconds(4)) {
                RbdPeer::control("ceph osd down 0");
                looked_anew = now;
            }
            std::this_thread::sleep_for(milliseconds(100));
        }
    }

    static void recover(Context& context)
    {
        once_unused([&] {
            bool is_done = true;
            for (const auto& recovered : context.recover()) {
                INFO(recovered.operation << ": " << recovered.message);
                CHECK((recovered.pending || recovered.finished || recovered.message == "undone"));
                is_done = is_done && !recovered.pending;
            }
            return is_done;
        });
    }

    void work_once_unused(const Pool& pool)
    {
        once_unused([&] {
            try {
                work_(pool);
                return true;
            } catch (const Error& error) {
                if (error.code() != ErrorCode::busy)
                    throw;
                return false;
            }
        });
    }

    /** Of what a user does not see; Ceph takes a moment for the data of snapshots. */
    static bool nothing_is_left()
    {
        for (int attempt = 0; attempt != 100; ++attempt) {
            if (!RbdPeer::control(
                    "rados -p rbd ls | grep -E '^rbd_(id|header|data|object_map)[.]'"))
                return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
        return false;
    }

    int in_child(RbdStage& stage, int point)
    {
        auto& counted = *new (shared_) Messages;
        const auto child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            try {
                stage.open();
                auto pool = stage.context->find_pool("ceph");
                pool.refresh(); // connects
                counted.last = point;
                messages = &counted;
                work_(pool);
            } catch (const std::exception& error) {
                std::fprintf(stderr, "child: %s\n", error.what());
                ::_exit(3);
            }
            messages = nullptr;
            ::_exit(0);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        if (point == INT_MAX)
            REQUIRE(status == 0);
        else
            CHECK((status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)));
        return counted.sent;
    }

    const RbdPeer& peer_;
    Work prepare_;
    Work work_;
    void* shared_;
    std::optional<std::string> after_state_{}; ///< the first run comes to its end
    int before_{};
    int after_{};
};

Volume golden(Pool pool)
{
    auto volume = pool.create_volume(raw_volume("golden", 12 * mib));
    volume.upload(source_of(pattern(9 * mib)));
    return volume;
}

void killed(const char* what, const Work& prepare, const Work& work)
{
    const auto peer = RbdPeer::real();
    if (!peer) {
        WARN("skipped: no cluster: run this by tests/lab/clusters/ceph run");
        return;
    }
    std::cout << "# " << what << '\n';
    constexpr std::size_t most = 4;
    RbdKilling(peer, prepare, work).run(most);
}

} // namespace

#define KILLED_CASE(name, prepare, work)                                                           \
    TEST_CASE("rbd, real: killed while " name, "[.][ceph][rbd-kill]")                              \
    {                                                                                              \
        killed(name, prepare, work);                                                               \
    }

KILLED_CASE(
    "making an image", [](Pool) {}, [](Pool pool) { pool.create_volume(raw_volume("a", 8 * mib)); })

KILLED_CASE(
    "uploading a new image", [](Pool) {},
    [](Pool pool) { pool.upload_volume(raw_volume("a", 12 * mib), source_of(pattern(9 * mib))); })

KILLED_CASE("copying an image", golden, [](Pool pool) {
    pool.create_volume_from(raw_volume("a", 0), pool.find_volume("golden"));
})

KILLED_CASE("making a linked clone", golden, [](Pool pool) {
    pool.create_volume_from(raw_volume("a", 16 * mib), pool.find_volume("golden"),
                            CreateFlags::linked);
})

KILLED_CASE(
    "flattening a clone",
    [](Pool pool) {
        pool.create_volume_from(raw_volume("a", 0), golden(pool), CreateFlags::linked);
    },
    [](Pool pool) { pool.find_volume("a").flatten(); })

KILLED_CASE(
    "deleting a clone",
    [](Pool pool) {
        pool.create_volume_from(raw_volume("a", 0), golden(pool), CreateFlags::linked);
    },
    [](Pool pool) { pool.find_volume("a").delete_storage(); })

KILLED_CASE("growing an image", golden,
            [](Pool pool) { pool.find_volume("golden").resize(40 * mib); })

KILLED_CASE("shrinking an image", golden,
            [](Pool pool) { pool.find_volume("golden").resize(2 * mib, ResizeFlags::shrink); })

KILLED_CASE("renaming an image", golden,
            [](Pool pool) { pool.find_volume("golden").rename("other"); })

KILLED_CASE("deleting an image", golden,
            [](Pool pool) { pool.find_volume("golden").delete_storage(); })

KILLED_CASE("making a snapshot", golden,
            [](Pool pool) { pool.find_volume("golden").create_snapshot("s"); })

KILLED_CASE(
    "deleting a snapshot", [](Pool pool) { golden(pool).create_snapshot("s"); },
    [](Pool pool) { pool.find_volume("golden").delete_snapshot("s"); })

KILLED_CASE(
    "going back to a snapshot",
    [](Pool pool) {
        auto volume = golden(pool);
        volume.create_snapshot("s");
        volume.upload(source_of(pattern(12 * mib, 2)));
    },
    [](Pool pool) { pool.find_volume("golden").revert_snapshot("s"); })

KILLED_CASE(
    "protecting a snapshot", [](Pool pool) { golden(pool).create_snapshot("s"); },
    [](Pool pool) { pool.find_volume("golden").protect_snapshot("s"); })

KILLED_CASE("setting metadata", golden,
            [](Pool pool) { pool.find_volume("golden").set_metadata("key", "value"); })
