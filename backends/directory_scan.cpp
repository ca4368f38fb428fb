// SPDX-License-Identifier: LGPL-2.1-or-later
#include "directory_scan.hpp"

#include "backing_chain.hpp"
#include "image/inspection.hpp"
#include "job_impl.hpp"
#include "signal_guard.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <dirent.h>
#include <thread>

namespace storage::inline v1 {

std::string readable_name(std::string_view name)
{
    if (is_usable_name(name))
        return std::string(name);
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const char character : name) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte >= 0x20 && byte < 0x7f && byte != '\\')
            text += character;
        else
            text.append("\\x").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
    }
    return text;
}

bool is_usable_name(std::string_view name) noexcept
{
    return is_plain_text(name);
}

namespace {

/** A second thread; or none, where there is no second processor or the system refuses. */
template <typename Work>
std::jthread second_thread(Work work)
{
    if (std::thread::hardware_concurrency() < 2)
        return {};
    const SignalsBlocked blocked;
    try {
        return std::jthread(std::move(work));
    } catch (const std::system_error&) {
        return {};
    }
}

/** Findings in one line; an image can have as many as its header has fields. */
std::string damage_in_words(const ImageInfo& header)
{
    constexpr int most = 4;
    std::string words(to_string(header.format));
    int count = 0;
    for (const auto& finding : header.findings) {
        if (!is_damage(finding))
            continue;
        if (count == most)
            return words + " …";
        words += count++ == 0 ? ": " : "; ";
        words += finding.message;
    }
    return words;
}

} // namespace

/**
 * The last known state of the volumes, asked for name by name. Both tables were filled in the order
 * of the inodes, so that the next name asked for is mostly the next in the table.
 */
class DirectoryScan::Previous {
public:
    explicit Previous(const VolumeTable* table) : table_(table) {}

    std::optional<VolumeTable::Index> find(std::string_view name)
    {
        if (!table_)
            return std::nullopt;
        if (next_ >= table_->size() || table_->name(next_) != name) {
            const auto found = table_->find_index(name);
            if (!found)
                return std::nullopt;
            next_ = *found;
        }
        return next_++;
    }

private:
    const VolumeTable* table_;
    VolumeTable::Index next_{};
};

void DirectoryScan::run(std::span<const DirectoryListing::Entry> entries, VolumeTable& table)
{
    entries_ = entries;
    blocks_ = std::vector<Block>((entries.size() + block_length - 1) / block_length);
    table.reserve(entries.size());
    std::exception_ptr other_error;
    ReadCounts other_counts;
    {
        std::jthread second;
        if (entries.size() >= worth_a_thread)
            second = second_thread([&] {
                try {
                    work(other_counts, nullptr);
                } catch (...) {
                    other_error = std::current_exception();
                    failed_ = true;
                }
            });
        try {
            work(counts_, &table);
        } catch (...) {
            failed_ = true;
            throw;
        }
    }
    if (other_error)
        std::rethrow_exception(other_error);
    collect(table);
    counts_.opened += other_counts.opened;
    counts_.holes += other_counts.holes;
    counts_.reused += other_counts.reused;
    std::sort(diagnostics_.begin(), diagnostics_.end(),
              [](const Diagnostic& a, const Diagnostic& b) { return a.name < b.name; });
    for (auto& diagnostic : diagnostics_)
        table.add_diagnostic(std::move(diagnostic));
}

void DirectoryScan::work(ReadCounts& counts, VolumeTable* table)
{
    while (!failed_) {
        const auto number = next_block_.fetch_add(1);
        if (number >= blocks_.size())
            return;
        examine_block(number, counts);
        if (table)
            collect(*table);
    }
}

void DirectoryScan::examine_block(std::size_t number, ReadCounts& counts)
{
    Block& block = blocks_[number];
    const auto first = number * block_length;
    const auto entries = entries_.subspan(first, std::min(block_length, entries_.size() - first));
    Previous previous(previous_);
    block.results.reserve(entries.size());
    for (const auto& entry : entries) {
        check(job_, "refresh");
        block.results.push_back(examine(entry, previous, counts));
    }
    block.done.store(true, std::memory_order_release);
}

DirectoryScan::Result DirectoryScan::examine(const DirectoryListing::Entry& entry,
                                             Previous& previous, ReadCounts& counts)
{
    Result result;
    const std::string_view name(entry.name);
    try {
        if (!is_usable_name(name))
            throw NotUsable{DiagnosticReason::unusable_name,
                            "has a name with control characters or invalid UTF-8"};
        switch (entry.type()) { // these need no further question
        case DT_FIFO: throw NotUsable{DiagnosticReason::fifo, "is a FIFO"};
        case DT_SOCK: throw NotUsable{DiagnosticReason::socket, "is a socket"};
        case DT_CHR: throw NotUsable{DiagnosticReason::character_device, "is a character device"};
        default: break;
        }
        VolumeFile file{.directory = fd_, .path = entry.name, .is_link = entry.type() == DT_LNK};
        struct ::statx status;
        stat_volume(file, status);
        const auto known = previous.find(name);
        const auto examined = examine_volume(file, status, file_system_,
                                             known ? &previous_->facts(*known) : nullptr, counts);
        result.facts = examined.facts;
        result.is_volume = true;
        if (examined.reused && previous_->has_references(*known))
            result.more = std::make_unique<More>(More{.references = previous_->references(*known)});
        else if (examined.header)
            take_over(*examined.header, name, result);
    } catch (NotUsable& problem) {
        result.more = std::make_unique<More>();
        result.more->diagnostics.push_back(
            {.name = readable_name(name), .reason = problem.reason, .message = problem.message});
    }
    return result;
}

void DirectoryScan::take_over(const ImageInfo& header, std::string_view name, Result& result) const
{
    auto references = references_of(path_, header);
    if (references.empty() && !result.facts.damaged)
        return;
    result.more = std::make_unique<More>(More{.references = std::move(references)});
    if (result.facts.damaged)
        result.more->diagnostics.push_back({.name = std::string(name),
                                            .reason = DiagnosticReason::damaged_image,
                                            .message = damage_in_words(header)});
}

void DirectoryScan::collect(VolumeTable& table)
{
    for (; collected_ < blocks_.size(); ++collected_) {
        Block& block = blocks_[collected_];
        if (!block.done.load(std::memory_order_acquire))
            return;
        const auto* entry = &entries_[collected_ * block_length];
        for (auto& result : block.results) {
            std::span<const std::string> references;
            if (result.more) {
                references = result.more->references;
                std::move(result.more->diagnostics.begin(), result.more->diagnostics.end(),
                          std::back_inserter(diagnostics_));
            }
            // A directory that changes while it is read may show one name twice: the same file.
            if (result.is_volume)
                table.add(entry->name, result.facts, references);
            ++entry;
        }
        block.results = std::vector<Result>();
        advance(job_, block_length);
    }
}

} // namespace storage::inline v1
