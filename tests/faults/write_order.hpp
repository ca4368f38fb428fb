// SPDX-License-Identifier: LGPL-2.1-or-later
// What may be on a disk after the power failed, given what was written to it in which order: all
// that was flushed, and of the rest as much or as little as one likes.
#pragma once

#include "fault_fs.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <vector>

struct DiskWrite {
    WriteHead head{};
    std::string path{};
    std::string other{};
    std::string data{};
};

inline std::vector<DiskWrite> disk_writes(const std::string& record)
{
    std::vector<DiskWrite> writes;
    for (std::size_t at = 0; at < record.size();) {
        DiskWrite write;
        std::memcpy(&write.head, record.data() + at, sizeof write.head);
        at += sizeof write.head;
        const auto take = [&](std::size_t size) {
            auto piece = record.substr(at, size);
            at += size;
            return piece;
        };
        write.path = take(write.head.path);
        write.other = take(write.head.other);
        write.data = take(write.head.data);
        writes.push_back(std::move(write));
    }
    return writes;
}

class Disk {
    struct Node;
    using NodePointer = std::shared_ptr<Node>;
    /** A file's bytes, a directory's entries; where a link leads. */
    struct Content {
        std::string bytes{};
        std::map<std::string, NodePointer> entries{};
    };
    struct Node {
        std::filesystem::file_type type{};
        std::filesystem::perms mode{};
        Content now{};
        Content flushed{};
    };

public:
    /** With all that a directory holds, flushed. */
    explicit Disk(const std::string& directory) : root_(load(directory)) {}

    void apply(const DiskWrite& write)
    {
        const auto& head = write.head;
        switch (head.kind) {
        case WriteKind::create: make(write, std::filesystem::file_type::regular); break;
        case WriteKind::make_dir: make(write, std::filesystem::file_type::directory); break;
        case WriteKind::symlink:
            // A link and where it leads are written at once.
            make(write, std::filesystem::file_type::symlink)->flushed.bytes = write.other;
            break;
        case WriteKind::link: entries_above(write.path)[leaf(write.path)] = node(head.inode); break;
        case WriteKind::unlink:
        case WriteKind::remove_dir: entries_above(write.path).erase(leaf(write.path)); break;
        case WriteKind::rename: {
            auto& from = entries_above(write.path);
            const auto moved = from.at(leaf(write.path));
            from.erase(leaf(write.path));
            entries_above(write.other)[leaf(write.other)] = moved;
            break;
        }
        case WriteKind::write: {
            auto& bytes = node(head.inode)->now.bytes;
            bytes.resize(std::max<std::size_t>(bytes.size(), head.a + write.data.size()));
            bytes.replace(head.a, write.data.size(), write.data);
            break;
        }
        case WriteKind::set_size: node(head.inode)->now.bytes.resize(head.a); break;
        case WriteKind::hole: {
            auto& bytes = node(head.inode)->now.bytes;
            const auto from = std::min<std::size_t>(bytes.size(), head.a);
            const auto length = std::min<std::size_t>(bytes.size() - from, head.b);
            bytes.replace(from, length, length, '\0');
            break;
        }
        case WriteKind::sync: flush(*node(head.inode)); break;
        case WriteKind::sync_dir: flush(*find(write.path)); break;
        }
    }

    /** Whether of a file's bytes (first argument false) or a directory's entries (true) the newest
     * is on the disk, and not only what was flushed. */
    using Keeps = std::function<bool(bool)>;

    /** Writes to an empty directory what is there when the power comes back. */
    void show(const std::string& directory, const Keeps& keeps) const
    {
        show(*root_, directory, keeps);
    }

private:
    NodePointer load(const std::filesystem::path& path)
    {
        const auto node = std::make_shared<Node>();
        const auto status = std::filesystem::symlink_status(path);
        node->type = status.type();
        node->mode = status.permissions();
        if (node->type == std::filesystem::file_type::directory) {
            for (const auto& entry : std::filesystem::directory_iterator(path))
                node->now.entries[entry.path().filename()] = load(entry.path());
        } else if (node->type == std::filesystem::file_type::symlink) {
            node->now.bytes = std::filesystem::read_symlink(path);
        } else {
            std::ifstream file(path, std::ios::binary);
            node->now.bytes.assign(std::istreambuf_iterator<char>(file), {});
        }
        flush(*node);
        struct stat info {};
        ::lstat(path.c_str(), &info);
        nodes_[info.st_ino] = node;
        return node;
    }

    static void flush(Node& node) { node.flushed = node.now; }

    static std::string leaf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

    NodePointer find(const std::string& path) const
    {
        auto node = root_;
        for (std::size_t at = 1; at < path.size();) {
            const auto end = std::min(path.find('/', at), path.size());
            node = node->now.entries.at(path.substr(at, end - at));
            at = end + 1;
        }
        return node;
    }
    std::map<std::string, NodePointer>& entries_above(const std::string& path) const
    {
        return find(path.substr(0, path.rfind('/')))->now.entries;
    }
    const NodePointer& node(std::uint64_t inode) const { return nodes_.at(inode); }

    NodePointer make(const DiskWrite& write, std::filesystem::file_type type)
    {
        const auto node = std::make_shared<Node>();
        node->type = type;
        node->mode = type == std::filesystem::file_type::directory
                         ? std::filesystem::perms::owner_all
                         : std::filesystem::perms::owner_read | std::filesystem::perms::owner_write;
        nodes_[write.head.inode] = node; // the number may have been another's, who is gone
        entries_above(write.path)[leaf(write.path)] = node;
        return node;
    }

    void show(const Node& node, const std::filesystem::path& path, const Keeps& keeps) const
    {
        for (const auto& [name, child] : (keeps(true) ? node.now : node.flushed).entries) {
            const auto place = path / name;
            if (child->type == std::filesystem::file_type::directory) {
                std::filesystem::create_directory(place);
                show(*child, place, keeps);
            } else if (child->type == std::filesystem::file_type::symlink) {
                std::filesystem::create_symlink(child->flushed.bytes, place);
                continue;
            } else {
                std::ofstream(place, std::ios::binary)
                    << (keeps(false) ? child->now : child->flushed).bytes;
            }
            std::filesystem::permissions(place, child->mode);
        }
    }

    std::map<std::uint64_t, NodePointer> nodes_{};
    NodePointer root_;
};
