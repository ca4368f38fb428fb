// SPDX-License-Identifier: LGPL-2.1-or-later
// Puts data and zeros one behind the other into a volume: a file, a device, or what has no path.
#pragma once

#include "block_content.hpp"

#include <basin/job.hpp>

#include <string>

namespace storage::inline v1 {

using Bytes = std::span<const std::byte>;

class ContentWriter {
public:
    virtual ~ContentWriter() = default;

    std::uint64_t position() const { return at_; }
    /** What is up to there was written by somebody else. */
    virtual void advance_to(std::uint64_t at) { at_ = at; }
    virtual void write(Bytes data) = 0;
    virtual void write_zeros(std::uint64_t length) = 0;
    /** The volume is at least as long as what was written, zeros included. */
    virtual void finish() = 0;

    /** As write(), but zeros become holes where that can be. */
    void write_sparse(Bytes data);

protected:
    explicit ContentWriter(std::uint64_t at) : at_(at) {}

    std::uint64_t at_;
};

/** Into a file or block device. */
class FileWriter final : public ContentWriter {
public:
    /** @param blank  it reads as zeros from there on, which need not be written */
    FileWriter(int fd, std::uint64_t at, const std::string& path, Job* job, bool blank = false);

    void advance_to(std::uint64_t at) override;
    void write(Bytes data) override;
    void write_zeros(std::uint64_t length) override;
    void finish() override;

private:
    void clear(std::uint64_t length);

    int fd_;
    std::uint64_t end_; ///< up to where the file is known to reach
    const std::string& path_;
    Job* job_;
    bool blank_;
};

class BlockWriter final : public ContentWriter {
public:
    BlockWriter(BlockContent& content, std::uint64_t at) : ContentWriter(at), content_(content) {}

    void write(Bytes data) override;
    void write_zeros(std::uint64_t length) override;
    void finish() override { content_.flush(); }

private:
    BlockContent& content_;
};

} // namespace storage::inline v1
