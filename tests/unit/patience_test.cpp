// SPDX-License-Identifier: LGPL-2.1-or-later
#include "patience.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace storage;
using namespace std::chrono_literals;

namespace {

/** Storage that does not answer until it is told to. */
class Hung {
public:
    void answer()
    {
        const std::lock_guard lock(mutex_);
        answers_ = true;
        changed_.notify_all();
    }
    void ask()
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return answers_; });
    }

private:
    std::mutex mutex_{};
    std::condition_variable changed_{};
    bool answers_{};
};

/** This process can open no file while it lives. */
class NoDescriptors {
public:
    NoDescriptors()
    {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        ::rlimit few = before_;
        few.rlim_cur = 64;
        ::setrlimit(RLIMIT_NOFILE, &few);
        for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;)
            all_.push_back(fd);
    }
    ~NoDescriptors()
    {
        for (const int fd : all_)
            ::close(fd);
        ::setrlimit(RLIMIT_NOFILE, &before_);
    }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

private:
    ::rlimit before_{};
    std::vector<int> all_{};
};

} // namespace

TEST_CASE("a call ends with its deadline also where no descriptor is left")
{
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
    WARN("skipped: the sanitizer needs descriptors itself");
    return;
#endif
#endif
    const auto left = std::make_shared<LeftCalls>();
    std::optional<ErrorCode> code;
    {
        const NoDescriptors none;
        try {
            call_with_patience(left, nullptr, std::chrono::steady_clock::now() + 50ms, "it",
                               [](Job*) { std::this_thread::sleep_for(1s); });
        } catch (const Error& error) {
            code = error.code();
        }
    }
    CHECK(code == ErrorCode::timed_out);
    left->await(nullptr, {}, "it");
    CHECK(left->count() == 0);
}

TEST_CASE("a call that asks one hung storage after the other is not waited for as if it moved")
{
    const auto left = std::make_shared<LeftCalls>();
    const auto hung = std::make_shared<Hung>();
    const auto begun = std::make_shared<std::atomic<int>>(0);
    std::vector<std::shared_ptr<LeftCalls>> others(100);
    for (auto& other : others)
        other = std::make_shared<LeftCalls>();
    std::optional<ErrorCode> code;
    Job job;
    try {
        call_with_patience(
            left, &job, std::chrono::steady_clock::now() + 50ms, "it", [=](Job* own) {
                for (const auto& other : others) {
                    ++*begun;
                    try {
                        call_with_patience(other, nullptr, std::chrono::steady_clock::now() + 200ms,
                                           "another", [=](Job*) { hung->ask(); });
                    } catch (const Error&) {
                    }
                    if (own->is_cancelled())
                        return;
                }
            });
    } catch (const Error& error) {
        code = error.code();
    }
    CHECK(code == ErrorCode::timed_out);
    CHECK(*begun < 20); // ten seconds, for work that moves, are enough for 50
    hung->answer();
    left->await(nullptr, {}, "it");
    for (const auto& other : others)
        other->await(nullptr, {}, "another");
}
