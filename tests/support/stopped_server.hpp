// SPDX-License-Identifier: LGPL-2.1-or-later
// A FUSE file system whose server can be stopped and made to go on: what a dead NFS server is.
// Root only; elsewhere it says that it is not there.
#pragma once

#include "mounts.hpp"
#include "processes.hpp"
#include "temporary_directory.hpp"

#include <csignal>
#include <sys/stat.h>
#include <sys/wait.h>

class StoppableServer {
public:
    StoppableServer()
    {
        const auto image = directory_ / "image";
        directory_.write("image", "");
        if (!succeeds("command -v fuse2fs") || !private_mounts() ||
            ::mkdir(path().c_str(), 0755) != 0 || ::truncate(image.c_str(), 64 << 20) != 0 ||
            !succeeds("mkfs.ext4 -q " + image))
            return;
        pid_ = ::fork();
        if (pid_ == 0) {
            ::execlp("fuse2fs", "fuse2fs", "-f", "-o", "fakeroot", image.c_str(), path().c_str(),
                     nullptr);
            ::_exit(127);
        }
        mounted_ = comes_true(
            [&] { return succeeds("grep -q ' " + path() + " .* - fuse' /proc/self/mountinfo"); });
    }
    ~StoppableServer()
    {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGCONT);
        ::umount2(path().c_str(), MNT_DETACH);
        if (!mounted_)
            ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0); // it ends when it is unmounted
    }
    StoppableServer(const StoppableServer&) = delete;
    StoppableServer& operator=(const StoppableServer&) = delete;

    bool mounted() const { return mounted_; }
    std::string path() const { return directory_ / "mnt"; }

    /** When it returns no thread of it runs any more. */
    void stop() const
    {
        ::kill(pid_, SIGSTOP);
        ::waitpid(pid_, nullptr, WUNTRACED);
    }
    void go_on() const { ::kill(pid_, SIGCONT); }

private:
    TemporaryDirectory directory_{};
    pid_t pid_{-1};
    bool mounted_{};
};
