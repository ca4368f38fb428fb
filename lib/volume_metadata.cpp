// SPDX-License-Identifier: LGPL-2.1-or-later
// Volume: keys and values that applications keep with it.
#include "names.hpp"
#include "pool_call.hpp"
#include "utf8.hpp"
#include "volume_change.hpp"

namespace storage::inline v1 {

namespace {

constexpr std::size_t longest_key = 255;
constexpr std::size_t longest_value = std::size_t{64} << 10;

/** They change nothing that anybody has open. */
constexpr auto nobody_minds = BlockerKind::open | BlockerKind::backing_image |
                              BlockerKind::loop_device | BlockerKind::mounted |
                              BlockerKind::snapshot | BlockerKind::holder | BlockerKind::volume;
constexpr VolumeOperation metadata_operation{"vol-metadata", "changing the metadata of",
                                             Capability::metadata, "keep metadata"};

void check_key(PoolAccess& access, const std::string& key, const std::string& title)
{
    if (key.empty() || key.size() > longest_key || !is_utf8_string(key) || control_character(key))
        throw Error(ErrorCode::invalid_argument,
                    title + ": metadata key " + shown(key) + " is not usable",
                    "use 1 to 255 bytes of UTF-8 without control characters");
    if (access.backend().is_own_key(key))
        throw Error(ErrorCode::invalid_argument,
                    title + ": metadata key " + shown(key) + " is kept for the storage's own use",
                    "choose another key");
}

void check_value(const std::string& key, const std::string& value, const std::string& title)
{
    if (value.size() > longest_value || !is_utf8_string(value))
        throw Error(ErrorCode::invalid_argument,
                    title + ": the value of metadata key " + shown(key) + " is " +
                        (value.size() > longest_value
                             ? "longer than " + std::to_string(longest_value) + " bytes"
                             : "no UTF-8 text"),
                    "keep what is larger, or binary, in a volume of its own");
}

void change_metadata(const Volume& target, const std::string& key,
                     const std::optional<std::string>& value, Job* job)
{
    const auto& pool = Volume::Access::pool(target);
    const auto& volume = target.name();
    PoolAccess access(pool);
    const auto title = volume_title(volume, *pool);
    access.require_started();
    access.require(metadata_operation.capability, metadata_operation.ability);
    check_key(access, key, title);
    if (value)
        check_value(key, *value, title);
    change_volume(access, target, metadata_operation, nobody_minds, job,
                  [&](PoolAccess& now, Change& change) {
                      auto& backend = now.active_backend();
                      if (!value && !backend.metadata(volume).contains(key))
                          throw Error(ErrorCode::not_found,
                                      title + " has no metadata key " + shown(key),
                                      "list its keys");
                      backend.set_metadata(backend.describe(volume), key, value, change);
                  });
}

} // namespace

std::map<std::string, std::string> Volume::metadata() const
{
    return look(pool_, [pool = pool_, name = name_] {
        PoolAccess access(pool);
        access.require_started();
        access.require(metadata_operation.capability, metadata_operation.ability);
        return access.active_backend().metadata(name);
    });
}

void Volume::set_metadata(const std::string& key, const std::string& value, Job* job)
{
    operate(pool_, job,
            [self = *this, key, value](Job* own) { change_metadata(self, key, value, own); });
}

void Volume::remove_metadata(const std::string& key, Job* job)
{
    operate(pool_, job,
            [self = *this, key](Job* own) { change_metadata(self, key, std::nullopt, own); });
}

} // namespace storage::inline v1
