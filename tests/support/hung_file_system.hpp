// SPDX-License-Identifier: LGPL-2.1-or-later
// A mounted FUSE file system whose server takes requests and never answers: who asks cannot be
// killed.
#pragma once

#include "processes.hpp"
#include "temporary_directory.hpp"

#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/mount.h>
#include <unistd.h>
#include <vector>

class HungFileSystem {
public:
    HungFileSystem() : fd_(::open("/dev/fuse", O_RDWR | O_CLOEXEC))
    {
        const auto options = "fd=" + std::to_string(fd_) + ",rootmode=40755,user_id=0,group_id=0";
        mounted_ = fd_ >= 0 && ::mount("hung", directory_.path().c_str(), "fuse",
                                       MS_NOSUID | MS_NODEV, options.c_str()) == 0;
        if (mounted_)
            server_ = std::thread([this] { serve(); });
    }
    ~HungFileSystem() { release(); }
    HungFileSystem(const HungFileSystem&) = delete;
    HungFileSystem& operator=(const HungFileSystem&) = delete;

    bool mounted() const { return mounted_; }
    const std::string& path() const { return directory_.path(); }

    /** Until somebody waits for an answer. */
    void await_request()
    {
        if (!comes_true([this] { return asked_.load(); }))
            throw std::runtime_error("nobody asks");
    }

    /** Ends the file system; whoever waits gets an error. */
    void release()
    {
        over_ = true;
        if (server_.joinable())
            server_.join();
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = -1;
        if (mounted_)
            ::umount2(directory_.path().c_str(), MNT_DETACH);
        mounted_ = false;
    }

private:
    void serve()
    {
        std::vector<char> request(1 << 20);
        while (!over_) {
            pollfd polled{fd_, POLLIN, 0};
            if (::poll(&polled, 1, 10) != 1)
                continue;
            const auto n = ::read(fd_, request.data(), request.size());
            fuse_in_header head{};
            if (n < static_cast<ssize_t>(sizeof head))
                continue;
            std::memcpy(&head, request.data(), sizeof head);
            if (head.opcode == FUSE_INIT)
                answer_init(head, request.data() + sizeof head);
            else
                asked_ = true;
        }
    }

    void answer_init(const fuse_in_header& head, const char* body)
    {
        struct {
            fuse_out_header head;
            fuse_init_out init;
        } answer{};
        fuse_init_in asked{};
        std::memcpy(&asked, body, 16);
        answer.head = {.len = sizeof answer, .error = 0, .unique = head.unique};
        answer.init.major = FUSE_KERNEL_VERSION;
        answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
        answer.init.max_readahead = asked.max_readahead;
        answer.init.max_write = 4096;
        if (::write(fd_, &answer, sizeof answer) != sizeof answer)
            over_ = true;
    }

    TemporaryDirectory directory_{};
    int fd_;
    bool mounted_{};
    std::atomic<bool> over_{false};
    std::atomic<bool> asked_{false};
    std::thread server_{};
};
