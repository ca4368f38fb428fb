// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool_lock.hpp"
#include "temporary_directory.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <optional>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>

using namespace storage;

namespace {

const std::string uuid = "11111111-1111-4111-8111-111111111111", pool = "vms";

ErrorCode code_of(const std::function<void()>& call, std::string* text = nullptr)
{
    try {
        call();
    } catch (const Error& error) {
        if (text)
            *text = error.what();
        return error.code();
    }
    return ErrorCode{};
}

/**
 * Whether the pool can be locked when a process has died, but not a child that it had forked.
 * @param work  runs in that process: work(forks, dies) calls both, when it is time to; not dies()
 *              before it has the lock
 */
template <typename Work>
bool is_free_after_death(Work&& work)
{
    const TemporaryDirectory directory;
    const LockDirectory locks(directory / "lock");
    int born[2], ready[2], over[2];
    for (auto* ends : {born, ready, over})
        REQUIRE(::pipe(ends) == 0);
    const auto process = ::fork();
    if (process == 0) {
        ::alarm(20); // else it would wait for ever
        const auto forks = [&] {
            char byte{};
            if (::fork() != 0) { // the locks are the parent's alone when it has returned there
                if (::read(born[0], &byte, 1) != 1)
                    ::_exit(1);
                return;
            }
            ::alarm(20);
            ::close(ready[1]);
            ::close(over[1]);
            if (::write(born[1], "y", 1) != 1)
                ::_exit(1);
            ::_exit(static_cast<int>(::read(over[0], &byte, 1))); // when the other end is closed
        };
        const auto dies = [&] { ::_exit(::write(ready[1], "y", 1) == 1 ? 0 : 1); };
        work(locks, forks, dies);
        ::_exit(1);
    }
    ::close(ready[1]);
    char byte{};
    CHECK(::read(ready[0], &byte, 1) == 1);
    CHECK(::waitpid(process, nullptr, 0) == process);
    const bool is_free =
        code_of([&] { locks.lock_pool(uuid, pool, "pool-start", nullptr); }) == ErrorCode{};
    for (const int fd : {born[0], born[1], ready[0], over[0], over[1]})
        ::close(fd);
    return is_free;
}

} // namespace

TEST_CASE("volumes of one pool do not exclude each other, one volume excludes itself", "[lock]")
{
    TemporaryDirectory directory;
    const LockDirectory locks(directory / "lock");
    const auto a = locks.lock_volume({uuid, pool, "a"}, "vol-create", nullptr);
    const auto b = locks.lock_volume({uuid, pool, "b"}, "vol-create", nullptr);
    std::string text;
    CHECK(code_of(
              [&] {
                  locks.lock_volume({uuid, pool, "a"}, "vol-delete", nullptr);
              },
              &text) == ErrorCode::busy);
    CHECK(text.find("volume 'a' in pool 'vms'") != std::string::npos);
    CHECK(text.find(std::to_string(::getpid())) != std::string::npos);
    CHECK(text.find("vol-create") != std::string::npos);
}

TEST_CASE("a life-cycle change excludes all that goes on in the pool", "[lock]")
{
    TemporaryDirectory directory;
    const LockDirectory locks(directory / "lock");
    {
        const auto a = locks.lock_volume({uuid, pool, "a"}, "vol-create", nullptr);
        CHECK(code_of([&] { locks.lock_pool(uuid, "vms", "pool-stop", nullptr); }) ==
              ErrorCode::busy);
    }
    {
        const auto held = locks.lock_pool(uuid, "vms", "pool-stop", nullptr);
        CHECK(code_of([&] {
                  locks.lock_volume({uuid, pool, "a"}, "vol-create", nullptr);
              }) == ErrorCode::busy);
    }
    const auto other = locks.lock_pool(uuid, "vms", "pool-start", nullptr);
}

TEST_CASE("a lock can be waited for", "[lock]")
{
    TemporaryDirectory directory;
    const LockDirectory locks(directory / "lock");
    std::thread other;
    {
        std::atomic<bool> held{false};
        other = std::thread([&] {
            const auto lock = locks.lock_pool(uuid, "vms", "pool-stop", nullptr);
            held = true;
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        });
        while (!held)
            std::this_thread::yield();
    }
    Job job;
    job.set_wait(std::chrono::seconds(20));
    const auto mine = locks.lock_pool(uuid, "vms", "pool-start", &job);
    other.join();
    SUCCEED("waited");
}

TEST_CASE("who asks whose a lock is stands in nobody's way", "[lock]")
{
    TemporaryDirectory directory;
    const LockDirectory locks(directory / "lock");
    const VolumeLock a{uuid, pool, "a"};
    {
        const auto held = locks.lock_volume(a, "vol-create", nullptr);
        CHECK_THAT(locks.volume_holder(a), Catch::Contains("(vol-create)"));
        CHECK(locks.volume_holder({uuid, pool, "b"}).empty());
    }
    std::jthread asker([&](std::stop_token stop) {
        while (!stop.stop_requested())
            locks.volume_holder(a);
    });
    int refused = 0;
    for (int i = 0; i < 20000; ++i)
        refused += code_of([&] { locks.lock_volume(a, "vol-resize", nullptr); }) != ErrorCode{};
    CHECK(refused == 0);
}

TEST_CASE("a lock file that was forgotten meanwhile is made again", "[lock]")
{
    TemporaryDirectory directory;
    const LockDirectory locks(directory / "lock");
    {
        const auto held = locks.lock_pool(uuid, "vms", "pool-undefine", nullptr);
        locks.forget(uuid);
    }
    const auto held = locks.lock_pool(uuid, "vms", "pool-start", nullptr);
    CHECK(directory.exists("lock/" + uuid));
}

TEST_CASE("who waits for one of two volumes does not keep the other, in one order for all",
          "[lock]")
{
    TemporaryDirectory directory;
    const LockDirectory locks(directory / "lock");
    const auto take = [&](std::string_view name, Job* job = nullptr) {
        return locks.lock_volume({uuid, pool, name}, "vol-delete", job);
    };
    /** Whether the other one can be had while somebody who wants both waits for this one. */
    const auto leaves_the_other = [&](const std::string& held, const std::string& other,
                                      const std::string& first, const std::string& second) {
        std::optional<HeldLock> lock(take(held));
        std::thread waiter([&] {
            Job job;
            job.set_wait(std::chrono::seconds(20));
            locks.lock_volumes({uuid, pool, first}, {uuid, pool, second}, "vol-rename", &job);
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        const bool free = code_of([&] { take(other); }) == ErrorCode{};
        lock.reset();
        waiter.join();
        return free;
    };
    const bool a_first =
        leaves_the_other("a", "b", "a", "b") && leaves_the_other("a", "b", "b", "a");
    const bool b_first =
        leaves_the_other("b", "a", "a", "b") && leaves_the_other("b", "a", "b", "a");
    CHECK(a_first != b_first);
}

TEST_CASE("who is said to have a lock has it, whoever had it since", "[lock]")
{
    TemporaryDirectory directory;
    const LockDirectory locks(directory / "lock");
    int ready[2], over[2];
    REQUIRE(::pipe(ready) == 0);
    REQUIRE(::pipe(over) == 0);
    const VolumeLock a{uuid, pool, "a", VolumeUse::read}, b{uuid, pool, "b"};
    const auto reader = ::fork();
    if (reader == 0) {
        ::close(over[1]);
        const auto lock = locks.lock_volume(a, "vol-download", nullptr);
        char byte = 'r';
        const bool told = ::write(ready[1], &byte, 1) == 1;
        ::_exit(told && ::read(over[0], &byte, 1) == 0 ? 0 : 1); // when the other end is closed
    }
    char byte{};
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    { // this process has it, too, and leaves its name last
        const auto same = locks.lock_volume(a, "vol-create-from", nullptr);
        const auto other = locks.lock_volume(b, "vol-create", nullptr);
    }
    std::string text;
    CHECK(code_of(
              [&] {
                  locks.lock_volume({uuid, pool, "a"}, "vol-delete", nullptr);
              },
              &text) == ErrorCode::busy);
    CHECK_THAT(text, Catch::EndsWith("in use by process " + std::to_string(reader)));
    CHECK(code_of([&] { locks.lock_pool(uuid, pool, "pool-stop", nullptr); }, &text) ==
          ErrorCode::busy);
    CHECK_THAT(text, Catch::EndsWith("in use by process " + std::to_string(reader)));
    CHECK_THAT(locks.volume_holder({uuid, pool, "a"}),
               Catch::Equals("process " + std::to_string(reader)));
    CHECK(locks.volume_holder(a).empty()); // who only reads, may
    CHECK(locks.volume_holder(b).empty());
    for (const int fd : {over[1], over[0], ready[0], ready[1]})
        ::close(fd);
    int status = -1;
    CHECK(::waitpid(reader, &status, 0) == reader);
    CHECK(status == 0);
}

TEST_CASE("a child of fork() can lock, whatever other threads were about to do", "[lock]")
{
    TemporaryDirectory directory;
    const LockDirectory locks(directory / "lock");
    std::atomic<bool> begun{false};
    std::thread other([&] {
        const LockDescriptors none_is_opened;
        begun = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    });
    while (!begun)
        std::this_thread::yield();
    const auto child = ::fork();
    if (child == 0) {
        ::alarm(20); // else it would wait for ever
        ::_exit(code_of([&] { locks.lock_pool(uuid, pool, "pool-start", nullptr); }) == ErrorCode{}
                    ? 0
                    : 1);
    }
    other.join();
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("a child that is forked while a lock is waited for keeps nothing of it", "[lock]")
{
    CHECK(is_free_after_death([](const LockDirectory& locks, auto forks, auto dies) {
        std::optional<HeldLock> first(locks.lock_pool(uuid, pool, "pool-build", nullptr));
        std::thread waiting([&] {
            Job job;
            job.set_wait(std::chrono::seconds(20));
            const auto second = locks.lock_pool(uuid, pool, "pool-start", &job);
            dies();
        });
        while (LockDescriptors().list().size() != 2)
            std::this_thread::yield();
        forks();
        first.reset();
        waiting.join();
    }));
}

TEST_CASE("a child keeps none of its parent's locks where no descriptor is left", "[lock]")
{
    CHECK(is_free_after_death([](const LockDirectory& locks, auto forks, auto dies) {
        const auto lock = locks.lock_pool(uuid, pool, "pool-build", nullptr);
        const auto other = locks.lock_volume({"other", pool, "a"}, "vol-delete", nullptr);
        const int first_free = ::dup(0);
        ::close(first_free);
        const rlimit limit{static_cast<rlim_t>(first_free), static_cast<rlim_t>(first_free)};
        ::setrlimit(RLIMIT_NOFILE, &limit);
        forks();
        dies();
    }));
}

TEST_CASE("no fork() waits for a lock's file to be closed", "[lock]")
{
    // One whose close(2) waits, as that of a file may whose server hangs: a socket with data that
    // the other side does not take.
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener.get(), name, size) == 0);
    REQUIRE(::listen(listener.get(), 1) == 0);
    REQUIRE(::getsockname(listener.get(), name, &size) == 0);
    REQUIRE(::connect(socket.get(), name, size) == 0);
    UniqueFd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const linger ten_seconds{1, 10};
    REQUIRE(::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &ten_seconds, sizeof(linger)) == 0);
    const std::string data(65536, 'x');
    while (::send(socket.get(), data.data(), data.size(), MSG_DONTWAIT) > 0) {
    }

    std::atomic<bool> is_closed{};
    const int number = socket.get();
    std::optional<LockDescriptor> lock(std::move(socket));
    std::thread closing([&] {
        lock.reset();
        is_closed = true;
    });
    while (::fcntl(number, F_GETFD) != -1) // it goes before the waiting begins
        std::this_thread::yield();
    const auto child = ::fork();
    if (child == 0)
        ::_exit(0);
    CHECK_FALSE(is_closed);
    CHECK(::waitpid(child, nullptr, 0) == child);
    peer.reset();
    closing.join();
}
