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
