// SPDX-License-Identifier: LGPL-2.1-or-later
// What a pool type can do and what its definition may say, as data.
#pragma once

#include <basin/definition.hpp>

#include <initializer_list>
#include <span>

namespace storage::inline v1 {

/** One operation, or one way of doing it, that a pool type offers. */
enum class Capability : std::uint8_t {
    find_sources,
    build_pool,
    overwrite_pool, ///< build with BuildMode::overwrite or no_overwrite
    start_pool,     ///< start and stop do something outside the process
    delete_pool,
    create_volume,
    create_from, ///< copy another volume
    delete_volume,
    grow_volume,
    shrink_volume,
    rename_volume,
    wipe_volume,
    upload,
    download,
    snapshots,
    thin_volume,    ///< allocation below capacity
    backing_images, ///< volumes on top of other volumes
    encrypted_volume,
    reflink,
    names_only, ///< lists names without opening volumes
    watch,      ///< can tell at once what others do to volumes: ContextOptions::watch
    flatten_volume,
    metadata, ///< keys and values of volumes
    protect_snapshots,
};

/** The number of capabilities. */
inline constexpr unsigned capability_count =
    static_cast<unsigned>(Capability::protect_snapshots) + 1;

/** The capability's name as written above. */
BASIN_API std::string_view to_string(Capability capability) noexcept;

/** A set of capabilities. */
class Capabilities {
public:
    constexpr Capabilities() = default;
    constexpr Capabilities(std::initializer_list<Capability> list)
    {
        for (auto capability : list)
            bits_ |= bit(capability);
    }
    constexpr bool has(Capability capability) const { return (bits_ & bit(capability)) != 0; }
    constexpr std::uint64_t bits() const { return bits_; }
    constexpr bool operator==(const Capabilities&) const = default;
    constexpr Capabilities operator|(const Capabilities& other) const
    {
        Capabilities both;
        both.bits_ = bits_ | other.bits_;
        return both;
    }

private:
    static constexpr std::uint64_t bit(Capability capability)
    {
        return std::uint64_t{1} << static_cast<unsigned>(capability);
    }
    std::uint64_t bits_{};
};

/** The parts of a `<source>` that a pool type reads. */
enum class SourceField : std::uint8_t {
    host,
    device,
    dir,
    adapter,
    name,
    initiator,
    auth,
    protocol
};

/** A set of source fields. */
class SourceFields {
public:
    constexpr SourceFields() = default;
    constexpr SourceFields(std::initializer_list<SourceField> list)
    {
        for (auto field : list)
            bits_ |= 1u << static_cast<unsigned>(field);
    }
    constexpr bool has(SourceField field) const
    {
        return (bits_ & (1u << static_cast<unsigned>(field))) != 0;
    }
    constexpr bool operator==(const SourceFields&) const = default;

private:
    std::uint32_t bits_{};
};

/** How a pool type treats `<target><path>`. */
enum class TargetPath : std::uint8_t {
    required, ///< the definition gives it
    fixed,    ///< the backend decides: target_prefix + source name
    none,     ///< a network pool without a path on this host
};

/** A pool type as data: all that a user interface needs to offer only what works. */
struct BackendInfo {
    std::string_view type{};    ///< the XML's name
    std::string_view summary{}; ///< one line for people
    bool available{};           ///< implemented, built in, and what it needs was found on this host
    std::string_view unavailable_reason{}; ///< why not, when not available
    Capabilities capabilities{};
    VolumeType volume_type{VolumeType::file};
    SourceFields source_required{};
    SourceFields source_accepted{};
    bool source_name_defaults_to_pool_name{};
    std::string_view source_dir_default{}; ///< source/dir where the definition gives none
    TargetPath target_path{TargetPath::required};
    std::string_view target_prefix{};
    bool copy_on_write_option{}; ///< features/cow
    bool mount_options{};        ///< fs:mount_opts
    bool config_options{};       ///< rbd:config_opts
    bool provisioning{};         ///< target/provisioning of volumes
    bool names_volumes{};        ///< it names new volumes: a definition may leave the name out
    bool refresh_option{};       ///< refresh/volume/@allocation
    std::span<const std::string_view>
        protocol_formats{}; ///< the source formats that take source/protocol/@ver
    std::span<const std::string_view> source_formats{}; ///< default first; empty: the type has none
    std::span<const std::string_view> volume_formats{}; ///< default first; empty: the type has none
    std::span<const std::string_view>
        creatable_formats{};                   ///< those volume_formats that create_volume() makes
    std::span<const std::string_view> tools{}; ///< programs that it runs
    std::span<const std::string_view>
        libraries{}; ///< shared libraries that it loads when first needed
};

/** Every pool type, in libvirt's order: available or not. Static data; never fails. @note
 * Thread-safe. */
BASIN_API std::span<const BackendInfo> backends();

/** The entry of one type, or null. */
BASIN_API const BackendInfo* find_backend(std::string_view type);

/** libvirt's `<storagepoolCapabilities>`, from backends(). */
BASIN_API std::string format_capabilities();

BASIN_API std::string to_json(const BackendInfo& info);

} // namespace storage::inline v1
