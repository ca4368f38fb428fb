// SPDX-License-Identifier: LGPL-2.1-or-later
// A directory shown by fault-fs: its calls fail, hang or are slow as a test says, and what is
// written to it is on record. Root only, and only where there is FUSE; elsewhere it says so.
#pragma once

#include "fault_fs.hpp"
#include "mounts.hpp"
#include "processes.hpp"
#include "temporary_directory.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

class FaultFs {
public:
    FaultFs()
    {
        for (const auto& path : {path_, backing()})
            std::filesystem::create_directory(path);
        directory_.write("record", "");
        directory_.write("board", std::string(sizeof(FaultBoard), '\0'));
        const int fd = ::open((directory_ / "board").c_str(), O_RDWR | O_CLOEXEC);
        board_ = static_cast<FaultBoard*>(
            ::mmap(nullptr, sizeof(FaultBoard), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
        ::close(fd);
#ifdef BASIN_FAULT_FS
        if (private_mounts())
            mount();
#endif
    }
    ~FaultFs()
    {
        unmount();
        ::munmap(board_, sizeof(FaultBoard));
    }
    FaultFs(const FaultFs&) = delete;
    FaultFs& operator=(const FaultFs&) = delete;

    bool mounted() const
    {
        return mounted_;
    }
    /** Where it is mounted; an empty directory when it is not. */
    const std::string& path() const
    {
        return path_;
    }
    std::string backing() const
    {
        return directory_ / "backing";
    }

    /** Each of these calls, until works() says otherwise. */
    void hangs(FsCall call)
    {
        board_->of(call) = FaultBoard::hang;
    }
    void fails(FsCall call, int error)
    {
        board_->of(call) = error;
    }
    void takes(FsCall call, std::chrono::milliseconds time)
    {
        board_->delay(call) = static_cast<unsigned>(time.count());
    }
    /** All of them as they should, those that hang, too. */
    void works()
    {
        for (auto& fault : board_->fault)
            fault = 0;
        for (auto& delay : board_->delay_ms)
            delay = 0;
    }
    unsigned hanging() const
    {
        return board_->hanging;
    }

    /** What was written since then, as fault_fs.hpp tells it. */
    std::string record() const
    {
        return directory_.read("record");
    }
    void begin_record()
    {
        std::filesystem::resize_file(directory_ / "record", 0);
    }

    void unmount()
    {
        works();
        if (mounted_)
            ::umount2(path_.c_str(), MNT_DETACH);
        mounted_ = false;
        if (pid_ > 0)
            ::waitpid(pid_, nullptr, 0); // it ends when it is unmounted
        pid_ = -1;
    }

private:
#ifdef BASIN_FAULT_FS
    void mount()
    {
        pid_ = ::fork();
        if (pid_ == 0) {
            ::execl(BASIN_FAULT_FS, BASIN_FAULT_FS, backing().c_str(), path_.c_str(),
                    (directory_ / "board").c_str(), (directory_ / "record").c_str(), nullptr);
            ::_exit(127);
        }
        struct stat above {};
        ::stat(directory_.path().c_str(), &above);
        mounted_ = comes_true([&] {
                       struct stat here {};
                       const bool shows =
                           ::stat(path_.c_str(), &here) == 0 && here.st_dev != above.st_dev;
                       if (!shows && ::waitpid(pid_, nullptr, WNOHANG) == pid_)
                           pid_ = -1;
                       return shows || pid_ < 0;
                   }) &&
                   pid_ > 0;
    }
#endif

    TemporaryDirectory directory_{};
    std::string path_{directory_ / "disk"};
    FaultBoard* board_{};
    pid_t pid_{-1};
    bool mounted_{};
};

#define NEEDS_FAULT_FS(file_system)                                                                \
    if (!(file_system).mounted()) {                                                                \
        WARN("skipped: needs root, FUSE, and libfuse3-dev when it was built");                     \
        return;                                                                                    \
    }
