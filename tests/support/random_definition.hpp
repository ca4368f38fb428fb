// SPDX-License-Identifier: LGPL-2.1-or-later
// Random definitions that their pool type can have, from a seed.
#pragma once

#include <basin/backend.hpp>

#include <random>

class RandomDefinition {
public:
    explicit RandomDefinition(std::uint32_t seed) : engine_(seed) {}

    storage::PoolDef pool()
    {
        using namespace storage;
        const auto all = backends();
        const auto& info = all[below(all.size())];
        PoolDef def{.type = std::string(info.type), .name = name(), .source = source(info)};
        if (coin())
            def.uuid = uuid();
        if (info.copy_on_write_option)
            def.copy_on_write = maybe(coin());
        if (def.source.name.empty() && info.source_name_defaults_to_pool_name)
            def.source.name = def.name;
        if (info.target_path == TargetPath::required)
            def.target.path = path();
        if (info.target_path == TargetPath::fixed)
            def.target.path = std::string(info.target_prefix) + def.source.name;
        if (info.target_path != TargetPath::none)
            def.target.permissions = permissions();
        if (info.refresh_option)
            def.refresh_allocation =
                maybe(coin() ? RefreshAllocation::exact : RefreshAllocation::capacity);
        if (info.mount_options)
            def.mount_options = list([&] { return text(); });
        if (info.config_options)
            def.config_options = list([&] { return ConfigOption{text(), text()}; });
        return def;
    }

    /** As basin describes one. */
    storage::VolumeDef volume(std::string_view pool_type)
    {
        using namespace storage;
        const auto& info = *find_backend(pool_type);
        VolumeDef def{.name = name(), .capacity = size(), .allocation = size()};
        def.key = coin() ? text() : "";
        def.type = maybe(static_cast<VolumeType>(below(6)));
        def.physical = coin() ? size() : 0;
        if (coin())
            def.extents = {{.device = "/dev/a", .start = size(), .end = size()},
                           {.device = "/dev/a", .start = size(), .end = size()},
                           {.device = "/dev/b", .start = size(), .end = size()}};
        def.target.path = coin() ? text() : "";
        def.target.nocow = coin();
        def.target.refcount_bits = coin() ? 1U << below(7) : 0;
        if (coin())
            def.target.data_file = DataFile{.path = text(), .raw = coin()};
        if (info.provisioning && coin())
            def.target.provisioning = Provisioning{.kind = static_cast<ProvisioningKind>(below(4)),
                                                   .pool = coin() ? text() : "",
                                                   .stripes = static_cast<unsigned>(below(9))};
        image(info, def.target);
        while (coin() && def.backing.size() < 20) {
            BackingStore backing{.path = text(),
                                 .format_declared = info.volume_formats.empty() || coin()};
            image(info, backing);
            def.backing.push_back(backing);
        }
        return def;
    }

private:
    std::size_t below(std::size_t limit)
    {
        return std::uniform_int_distribution<std::size_t>(0, limit - 1)(engine_);
    }
    bool coin() { return below(2) == 1; }
    template <typename Make>
    auto list(Make&& make) -> std::vector<decltype(make())>
    {
        std::vector<decltype(make())> result;
        while (coin())
            result.push_back(make());
        return result;
    }
    template <typename Value>
    std::optional<Value> maybe(Value value)
    {
        return coin() ? std::optional(value) : std::nullopt;
    }
    std::string hex(std::size_t count)
    {
        std::string result;
        for (std::size_t i = 0; i < count; ++i)
            result += "0123456789abcdef"[below(16)];
        return result;
    }
    std::string uuid()
    {
        return hex(8) + '-' + hex(4) + '-' + hex(4) + '-' + hex(4) + '-' + hex(12);
    }
    /** Not empty, with everything that needs escaping. */
    std::string text()
    {
        static constexpr const char* parts[] = {"a", "Z",  "0", " ",  "&", "<",      ">",
                                                "'", "\"", "ü", "\\", "=", "\u2028", "😀"};
        std::string result = "t";
        while (below(4) != 0)
            result += parts[below(std::size(parts))];
        return result;
    }
    std::string name() { return text(); }
    std::string path() { return '/' + text(); }
    std::uint64_t size() { return below(INT64_MAX); }
    std::uint32_t number() { return static_cast<std::uint32_t>(below(0xFFFFFFFF)); }

    storage::Permissions permissions()
    {
        return {.mode = maybe(static_cast<std::uint32_t>(below(01000))),
                .owner = maybe(number()),
                .group = maybe(number()),
                .label = maybe(text())};
    }
    storage::SecretReference secret()
    {
        return coin() ? storage::SecretReference{.uuid = uuid()}
                      : storage::SecretReference{.usage = text()};
    }
    storage::SourceAdapter adapter()
    {
        using storage::SourceAdapter;
        if (coin())
            return {.type = SourceAdapter::Type::fc_host,
                    .parent = coin() ? text() : "",
                    .parent_fabric_wwn = coin() ? hex(16) : "",
                    .wwnn = hex(16),
                    .wwpn = hex(16),
                    .managed = maybe(coin())};
        if (coin())
            return {.name = text()};
        SourceAdapter result;
        result.parent_address = {.address = {.domain = number(),
                                             .bus = static_cast<std::uint32_t>(below(256)),
                                             .slot = static_cast<std::uint32_t>(below(32)),
                                             .function = static_cast<std::uint32_t>(below(8))},
                                 .unique_id = number()};
        return result;
    }
    storage::PoolSource source(const storage::BackendInfo& info)
    {
        using namespace storage;
        PoolSource result{.vendor = coin() ? text() : "", .product = coin() ? text() : ""};
        const auto wants = [&](SourceField field) {
            return info.source_required.has(field) || (info.source_accepted.has(field) && coin());
        };
        const auto port = [&] { return maybe(static_cast<std::int32_t>(1 + below(65535))); };
        if (wants(SourceField::host)) {
            result.hosts = list([&] { return SourceHost{text(), port()}; });
            result.hosts.push_back({text(), port()});
        }
        if (wants(SourceField::device)) {
            result.devices = list([&] { return SourceDevice{path(), maybe(coin()), {}}; });
            result.devices.push_back({path(), maybe(coin()), {}});
        }
        if (wants(SourceField::dir))
            result.dir = path();
        else
            result.dir = info.source_dir_default;
        if (wants(SourceField::adapter))
            result.adapter = adapter();
        if (wants(SourceField::name))
            result.name = text();
        if (wants(SourceField::initiator))
            result.initiator_iqn = text();
        if (!info.source_formats.empty())
            result.format = info.source_formats[below(info.source_formats.size())];
        if (wants(SourceField::auth))
            result.auth = {.type = coin() ? SourceAuth::Type::chap : SourceAuth::Type::ceph,
                           .username = text(),
                           .secret = secret(),
                           .secret_type = coin() ? text() : ""};
        for (const auto format : info.protocol_formats)
            if (format == result.format && coin())
                result.protocol_version = "4.2";
        return result;
    }
    std::optional<storage::Timestamp> time()
    {
        return maybe(
            storage::Timestamp{.seconds = static_cast<std::int64_t>(size()) - 1000,
                               .nanoseconds = static_cast<std::uint32_t>(below(1'000'000'000))});
    }
    storage::Encryption encryption()
    {
        using namespace storage;
        Encryption result{.format = "luks", .engine = coin() ? "qemu" : "", .secrets = list([&] {
                                                                                return secret();
                                                                            })};
        if (coin()) {
            result.cipher = Encryption::Cipher{.name = text(),
                                               .size = 1 + number() / 2,
                                               .mode = coin() ? text() : "",
                                               .hash = coin() ? text() : ""};
            if (coin())
                result.ivgen = Encryption::IvGen{.name = text(), .hash = coin() ? text() : ""};
        }
        return result;
    }
    template <typename Image>
    void image(const storage::BackendInfo& info, Image& image)
    {
        if (!info.volume_formats.empty())
            image.format = info.volume_formats[below(info.volume_formats.size())];
        image.permissions = permissions();
        if (coin())
            image.timestamps = {
                .access = time(), .modification = time(), .change = time(), .birth = time()};
        if (coin())
            image.encryption = encryption();
        image.compat = coin() ? "1.1" : coin() ? "0.10" : "";
        image.cluster_size = coin() ? size() : 0;
        if (image.compat == "1.1")
            for (const auto* feature : {"lazy_refcounts", "extended_l2", "data_file"})
                if (coin())
                    image.features.emplace_back(feature);
    }

    std::mt19937 engine_;
};
