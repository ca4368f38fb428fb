// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_step_parts.hpp"

#include "step_parts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

namespace storage::inline v1 {

RbdStepPool::RbdStepPool(const StepRun& run)
    : def_(pool_from_json(run.argument("pool"))), use_(def_, run.host(), run.job())
{
}

std::string listed_id(const std::vector<RbdEntry>& entries, const std::string& name)
{
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const RbdEntry& entry) { return entry.name == name; });
    return found == entries.end() ? "" : found->id;
}

std::string id_of(const RbdStepPool& pool, const std::string& name)
{
    try {
        return RbdImage(pool.shared(), name, RbdImage::Mode::read).id();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found)
            throw;
        return {};
    }
}

bool has_header(const RbdStepPool& pool, const std::string& id)
{
    const auto header = "rbd_header." + id;
    char byte{};
    const auto code = pool.library().rados_read(pool->pool(), header.c_str(), &byte, 1, 0);
    if (code != -ENOENT)
        pool->check(code, "cannot read '" + header + "'");
    return code != -ENOENT;
}

int remove_image(const RbdStepPool& pool, const std::string& name)
{
    RbdJob nobody; // half of it gone is no use: not to be cancelled
    return pool.library().rbd_remove_with_progress(pool->pool(), name.c_str(), RbdJob::report,
                                                   &nobody);
}

int remove_after(const RbdStepPool& pool, const std::string& name, const std::string& id,
                 const std::string& client)
{
    const auto remove_ours = [&] {
        const bool is_ours = id.empty() || listed_id(list_directory(*pool), name) == id ||
                             id_of(pool, name) == id; // one of format 1 is listed without
        return is_ours ? remove_image(pool, name) : -ENOENT;
    };
    auto code = remove_ours();
    constexpr int attempts = 50, each = 10; // its last messages may be on the way still
    for (int attempt = 0; code == -EBUSY && attempt != attempts; ++attempt) {
        if (attempt % each == 0)
            try {
                const RbdImage image(pool.shared(), name, RbdImage::Mode::read);
                if (!id.empty())
                    image.require_id(id);
                evict_watchers(image, client);
            } catch (const Error& error) {
                if (error.code() != ErrorCode::not_found)
                    throw;
            }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        code = remove_ours();
    }
    return code;
}

void clear_away(const RbdStepPool& pool, const std::string& name, const std::string& id)
{
    const auto code = remove_after(pool, name, id, "");
    // Who may only read is told so of what is not there, too.
    if ((code == -EPERM || code == -EACCES) && listed_id(list_directory(*pool), name).empty())
        return;
    if (code != -ENOENT)
        pool->check(code, "cannot remove what is left of '" + pool->path_of(name) + "'");
}

void settle_names(const RbdStepPool& pool, const std::string& id,
                  std::initializer_list<std::string> names)
{
    const auto& library = pool.library();
    const auto entries = list_directory(*pool);
    for (const auto& name : names) {
        if (listed_id(entries, name) == id)
            continue;
        const auto object = "rbd_id." + name;
        constexpr std::size_t length_size = 4; // before the text of the id
        std::array<char, 256> content{};
        const auto size =
            library.rados_read(pool->pool(), object.c_str(), content.data(), content.size(), 0);
        if (size == -ENOENT)
            continue;
        pool->check(size, "cannot read '" + object + "'");
        const std::string_view text(content.data(), static_cast<std::size_t>(size));
        if (text.size() > length_size && text.substr(length_size) == id)
            pool->check(library.rados_remove(pool->pool(), object.c_str()),
                        "cannot remove '" + object + "'");
    }
}

Step image_step(std::string_view action, const PoolDef& def, Arguments arguments, StepRecord record)
{
    // Who recovers it connects by this; the secret is not in it, only its name.
    PoolDef source{.type = def.type,
                   .name = def.name,
                   .source = def.source,
                   .config_options = def.config_options};
    arguments["pool"] = to_json(source);
    return make_step(action, std::move(arguments), std::move(record));
}

std::string path_of(const PoolDef& def, const std::string& name)
{
    return def.source.name + '/' + name;
}

} // namespace storage::inline v1
