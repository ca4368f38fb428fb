// SPDX-License-Identifier: LGPL-2.1-or-later
// Work on what volumes contain, the same for every contestant: what is timed and what is not.
#pragma once

#include "measure.hpp"

#include <memory>
#include <sys/types.h>

namespace bench {

/** A descriptor that closes itself. */
class File {
public:
    /** @throws std::runtime_error */
    File(const std::string& path, int flags, mode_t mode = 0);
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int fd() const { return fd_; }

private:
    int fd_;
};

/** @throws std::runtime_error with errno unless `good` */
void check_call(bool good, const std::string& what);

/** A file of this length, of which so many bytes are data: four runs, evenly spread. */
void make_volume_file(const std::string& path, std::uint64_t size, std::uint64_t data);

/** One way of doing the work in one directory. What it cannot do returns false. */
class Contestant {
public:
    virtual ~Contestant() = default;
    virtual bool create(const std::string& name, const std::string& format,
                        std::uint64_t capacity) = 0;
    virtual void remove(const std::string& name) = 0;
    virtual bool clone(const std::string&, const std::string&) { return false; }
    /** From the file at its position into a volume that exists. */
    virtual bool upload(const std::string&, int) { return false; }
    virtual bool upload_by_callback(const std::string&, int) { return false; }
    virtual bool download(const std::string&, int) { return false; }
    virtual bool download_by_callback(const std::string&, int) { return false; }
    virtual bool wipe(const std::string&) { return false; }
};

/** Makes the contestant, when the files that it shall know are there. */
using MakeContestant = std::unique_ptr<Contestant> (*)(const Arguments&);

/**
 * create dir= format= capacity= samples=; clone dir= source= samples=; upload dir= source=PATH;
 * download dir= source=VOLUME out=PATH; wipe dir= size=
 */
int run_content(const Arguments& arguments, MakeContestant make);

} // namespace bench
