// SPDX-License-Identifier: LGPL-2.1-or-later
// Definitions of pools and volumes as plain values, and their XML and JSON forms.
#pragma once

#include <basin/version.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace storage::inline v1 {

// All sizes are bytes. All strings are UTF-8. An empty string means "not given" unless said
// otherwise.

/** What a volume is to its user. The XML names are the enumerators' names. */
enum class VolumeType : std::uint8_t { file, block, dir, network, netdir, ploop };

/** Who may do what with a file or directory; parts that are not set keep the system's default. */
struct Permissions {
    std::optional<std::uint32_t> mode{};  ///< permission bits, 0 to 0777
    std::optional<std::uint32_t> owner{}; ///< numeric user id
    std::optional<std::uint32_t> group{}; ///< numeric group id
    std::optional<std::string> label{};   ///< security label (SELinux context)
    bool operator==(const Permissions&) const = default;
};

// ---- pools ------------------------------------------------------------------------------------

/** A server of a network pool. */
struct SourceHost {
    std::string name{};                 ///< DNS name or IP address (IPv6 without brackets)
    std::optional<std::int32_t> port{}; ///< absent: the protocol's default
    bool operator==(const SourceHost&) const = default;
};

/** A region of a device that no partition uses; output only. start inclusive, end exclusive. */
struct FreeExtent {
    std::uint64_t start{};
    std::uint64_t end{};
    bool operator==(const FreeExtent&) const = default;
};

/** A block device, or an iSCSI target's IQN. */
struct SourceDevice {
    std::string path{};
    std::optional<bool>
        part_separator{}; ///< device-mapper disks: put a "p" before the partition number
    std::vector<FreeExtent> free_extents{}; ///< output only
    bool operator==(const SourceDevice&) const = default;
};

/** Where a PCI device sits. */
struct PciAddress {
    std::uint32_t domain{};
    std::uint32_t bus{};
    std::uint32_t slot{};
    std::uint32_t function{};
    bool operator==(const PciAddress&) const = default;
};

/** The host bus adapter of a scsi pool. */
struct SourceAdapter {
    enum class Type : std::uint8_t { scsi_host, fc_host };
    struct ParentAddress {
        PciAddress address{};
        std::uint32_t unique_id{};
        bool operator==(const ParentAddress&) const = default;
    };
    Type type{Type::scsi_host};
    std::string name{};                            ///< scsi_host: "host3"
    std::optional<ParentAddress> parent_address{}; ///< scsi_host: instead of name
    std::string parent{};                          ///< fc_host: "scsi_host3"
    std::string parent_wwnn{};                     ///< fc_host, with parent_wwpn
    std::string parent_wwpn{};
    std::string parent_fabric_wwn{};
    std::string wwnn{}; ///< fc_host: 16 hex digits
    std::string wwpn{};
    std::optional<bool> managed{}; ///< fc_host: stop removes the vHBA that start made
    bool operator==(const SourceAdapter&) const = default;
};

/** Names a secret by uuid or by usage; exactly one is set. */
struct SecretReference {
    std::string uuid{};
    std::string usage{};
    bool operator==(const SecretReference&) const = default;
};

/** How to log in to the source. */
struct SourceAuth {
    enum class Type : std::uint8_t { chap, ceph };
    Type type{Type::chap};
    std::string username{};
    SecretReference secret{};
    std::string secret_type{}; ///< secret/@type: kept as given, means nothing
    bool operator==(const SourceAuth&) const = default;
};

/** What a pool is made of. */
struct PoolSource {
    std::vector<SourceHost> hosts{};
    std::vector<SourceDevice> devices{};
    std::string dir{};
    std::optional<SourceAdapter> adapter{};
    std::string name{};
    std::string initiator_iqn{};
    std::string format{}; ///< one of the type's BackendInfo::source_formats; parse_pool() fills in
                          ///< the default
    std::optional<SourceAuth> auth{};
    std::string protocol_version{};
    std::string vendor{};
    std::string product{};
    bool operator==(const PoolSource&) const = default;
};

/** Where a pool's volumes appear on this host. */
struct PoolTarget {
    std::string path{};
    Permissions permissions{};
    bool operator==(const PoolTarget&) const = default;
};

/** A namespaced configuration option of an rbd pool. */
struct ConfigOption {
    std::string name{};
    std::string value{};
    bool operator==(const ConfigOption&) const = default;
};

/** How refresh finds a volume's allocation. */
enum class RefreshAllocation : std::uint8_t { exact, capacity };

/** What the XML of a pool says. */
struct PoolDef {
    std::string type{}; ///< dir fs netfs logical disk iscsi iscsi-direct scsi mpath rbd sheepdog
                        ///< gluster zfs vstorage
    std::string name{};
    std::string uuid{}; ///< 36 characters, lower case; empty: define makes one
    std::optional<bool>
        copy_on_write{}; ///< features/cow: keep (true) or switch off (false) copy-on-write, btrfs
    PoolSource source{};
    PoolTarget target{};
    std::optional<RefreshAllocation> refresh_allocation{}; ///< refresh/volume/@allocation
    std::vector<std::string> mount_options{};              ///< fs:mount_opts, in order
    std::vector<ConfigOption> config_options{};            ///< rbd:config_opts, in order
    bool operator==(const PoolDef&) const = default;
};

/** The numbers that the XML of a live pool shows. */
struct PoolSizes {
    std::uint64_t capacity{};
    std::uint64_t allocation{};
    std::uint64_t available{}; ///< what this user may still write
    /** More facts, which depend on the type, by name: how full a thin pool is. Not in the XML. */
    std::map<std::string, std::string> details{};
    bool operator==(const PoolSizes&) const = default;
};

// ---- volumes ----------------------------------------------------------------------------------

/** Seconds and nanoseconds since 1970. */
struct Timestamp {
    std::int64_t seconds{};
    std::uint32_t nanoseconds{};
    bool operator==(const Timestamp&) const = default;
};

/** A volume's times; a time that the file system does not keep is absent. Output only. */
struct Timestamps {
    std::optional<Timestamp> access{};
    std::optional<Timestamp> modification{};
    std::optional<Timestamp> change{};
    std::optional<Timestamp> birth{};
    bool operator==(const Timestamps&) const = default;
};

/** How a volume's content is encrypted. */
struct Encryption {
    struct Cipher {
        std::string name{};
        std::uint32_t size{}; ///< key bits
        std::string mode{};
        std::string hash{};
        bool operator==(const Cipher&) const = default;
    };
    struct IvGen {
        std::string name{};
        std::string hash{};
        bool operator==(const IvGen&) const = default;
    };
    std::string format{}; ///< default qcow luks luks2 luks-any
    std::string engine{}; ///< "", qemu or librbd
    std::vector<SecretReference> secrets{};
    std::optional<Cipher> cipher{};
    std::optional<IvGen> ivgen{};
    bool operator==(const Encryption&) const = default;
};

/** A run of bytes of a source device that a volume occupies; output only. */
struct SourceExtent {
    std::string device{};
    std::uint64_t start{};
    std::uint64_t end{}; ///< exclusive
    bool operator==(const SourceExtent&) const = default;
};

/** One image below another in a backing chain. */
struct BackingStore {
    /** As found: a path, or the raw string of a network or json: reference. For a new volume of an
     * rbd pool an image of the same cluster, "POOL/IMAGE", or its snapshot, "POOL/IMAGE@SNAPSHOT".
     */
    std::string path{};
    /** What the image above declares; where it declares none, "raw", and in a description of the
     * whole chain (BackingDepth::chain) the format that was found. */
    std::string format{};
    bool format_declared{true}; ///< false: the image above names no format (a guest could forge it)
    Permissions permissions{};
    std::optional<Timestamps> timestamps{};
    std::optional<Encryption> encryption{};
    std::string compat{};
    std::uint64_t cluster_size{};
    std::vector<std::string> features{};
    bool operator==(const BackingStore&) const = default;
};

/** How a volume's space is provided, in pools that allocate it (logical). */
enum class ProvisioningKind : std::uint8_t {
    thick,     ///< all of it now
    thin,      ///< from a thin pool as it is written
    thin_pool, ///< the volume is itself a pool that thin ones take their space from
    snapshot,  ///< of the backing volume, with space of its own for what changes
};

/** The kind's name in XML: "thick", "thin", "thin-pool", "snapshot". */
BASIN_API std::string_view to_string(ProvisioningKind kind) noexcept;

/** `<provisioning type='thin' pool='tp'/>`; libvirt has nothing like it. */
struct Provisioning {
    ProvisioningKind kind{ProvisioningKind::thick};
    std::string pool{};      ///< thin: the thin pool's name; "": the only one
    std::uint32_t stripes{}; ///< thick, thin_pool: over how many devices; 0: one after the other
    bool operator==(const Provisioning&) const = default;
};

/** `<dataFile path='/pool/data.raw' raw='yes'/>`: the raw volume that keeps the data of a qcow2
 * image; libvirt has nothing like it. */
struct DataFile {
    std::string path{};
    bool raw{}; ///< what a guest sees is the data file as it is, byte for byte
    bool operator==(const DataFile&) const = default;
};

/** Where and how a volume is stored. */
struct VolumeTarget {
    std::string path{};
    std::string format{}; ///< image format or partition kind, one of BackendInfo::volume_formats
    Permissions permissions{};
    std::optional<Timestamps> timestamps{};
    std::optional<Encryption> encryption{};
    std::string compat{};         ///< qcow2: "0.10" or "1.1"
    bool nocow{};                 ///< switch copy-on-write off for this file (btrfs)
    std::uint64_t cluster_size{}; ///< qcow2; 0: the default
    std::vector<std::string>
        features{}; ///< lazy_refcounts, extended_l2, data_file; sorted by that order
    /** qcow2: a power of two up to 64, `<refcountBits>`; 0: 16. Of the format before 1.1: 16. */
    std::uint32_t refcount_bits{};
    /** qcow2: an existing raw volume, or device, of at least the capacity, that no other image
     * uses. Not raw: it must be empty, for what it holds would never be seen. */
    std::optional<DataFile> data_file{};
    /** Absent: thick, or with an allocation below the capacity thin, or with a backing volume a
     * snapshot. */
    std::optional<Provisioning> provisioning{};
    bool operator==(const VolumeTarget&) const = default;
};

/** What the XML of a volume says. */
struct VolumeDef {
    std::string name{};
    std::string key{};                ///< output only
    std::optional<VolumeType> type{}; ///< output; on input the backend decides
    std::uint64_t capacity{};
    std::optional<std::uint64_t> allocation{}; ///< absent on input: same as capacity
    std::uint64_t physical{};                  ///< output only; 0: not shown
    std::vector<SourceExtent> extents{};       ///< output only
    VolumeTarget target{};
    std::vector<BackingStore>
        backing{}; ///< [0] is the direct backing image, [1] the one below it …
    bool operator==(const VolumeDef&) const = default;
};

// ---- XML --------------------------------------------------------------------------------------

/** Called with one line for each part of a definition that was understood but has no effect. */
using WarningCallback = std::function<void(std::string_view)>;

/** How to read a definition. */
struct ParseOptions {
    bool strict{};                ///< refuse what would be ignored (libvirt's VALIDATE flag)
    WarningCallback on_ignored{}; ///< lenient reading: is told what was ignored
};

/** Why a volume definition is read; decides which parts are required. */
enum class VolumePurpose : std::uint8_t {
    create,      ///< capacity required unless a backing image is given
    create_from, ///< capacity optional
    describe,    ///< what basin itself printed: everything is read, also output-only parts
};

/**
 * Reads a pool's XML as libvirt does, defaults filled in.
 *
 * Accepts at most 1 MiB, 64 levels and 65,536 elements and attributes; no DTD, no entities but the
 * five of XML. A missing uuid stays empty.
 * @throws Error invalid_xml with line, column, element path, the value and what is allowed
 *               not_supported  an element that this pool type cannot honour (features/cow)
 * @note Thread-safe.
 * @since 0.1
 */
BASIN_API PoolDef parse_pool(std::string_view xml, const ParseOptions& options = {});

/**
 * Prints a pool's definition as libvirt prints it: element order, units, escaping, two-space
 * indent.
 * @param sizes  printed as capacity, allocation and available; zeros when null
 * @note Thread-safe.
 * @since 0.1
 */
BASIN_API std::string format_pool(const PoolDef& def, const PoolSizes* sizes = nullptr);

/**
 * Reads the XML of a `<source>` element, as find_pool_sources() takes and gives it.
 * @throws Error invalid_xml
 */
BASIN_API PoolSource parse_pool_source(std::string_view xml, std::string_view pool_type,
                                       const ParseOptions& options = {});

/** Prints `<sources>` with one `<source>` for each element. */
BASIN_API std::string format_pool_sources(const std::vector<PoolSource>& sources,
                                          std::string_view pool_type);

/**
 * Reads a volume's XML for a pool of the given type, defaults filled in. Limits and errors as for
 * parse_pool(); sizes above 2^63 - 1 are refused.
 */
BASIN_API VolumeDef parse_volume(std::string_view xml, std::string_view pool_type,
                                 VolumePurpose purpose, const ParseOptions& options = {});

/** Prints a volume's definition as libvirt prints it. @param pool_type decides whether `<format>`
 * appears. */
BASIN_API std::string format_volume(const VolumeDef& def, std::string_view pool_type);

/**
 * Reads a size with an optional unit, as the XML does: "10", "10 KiB", "1.5" is refused. Units are
 * case-insensitive: none, b, byte, bytes; K KiB … E EiB (1024); KB … EB (1000).
 * @throws Error invalid_argument  not a number, unknown unit, or above 2^63 - 1
 */
BASIN_API std::uint64_t parse_size(std::string_view number, std::string_view unit = {});

// ---- JSON -------------------------------------------------------------------------------------

/** One JSON object with the members' names as keys; absent parts are left out. Schema:
 * basin.schema.json. */
BASIN_API std::string to_json(const PoolDef& def);
BASIN_API std::string to_json(const VolumeDef& def);

/**
 * Reads what to_json() printed; the round trip loses nothing.
 * @param purpose  decides whether the capacity may be missing, as in XML
 * @throws Error invalid_argument  not JSON, an unknown or missing key, or a value out of range,
 *                                 named by JSON pointer
 */
BASIN_API PoolDef pool_from_json(std::string_view json);
BASIN_API VolumeDef volume_from_json(std::string_view json,
                                     VolumePurpose purpose = VolumePurpose::describe);

/** The JSON Schema (draft 2020-12) of every JSON text that basin reads or prints. */
BASIN_API std::string_view json_schema() noexcept;

} // namespace storage::inline v1
