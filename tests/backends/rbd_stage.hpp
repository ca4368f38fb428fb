// SPDX-License-Identifier: LGPL-2.1-or-later
// A pool of type rbd to try things on: in a cluster that is simulated, or in the real one that
// tests/lab/clusters/ceph started.
#pragma once

#include "fakes/fake_ceph.hpp"
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>

/** Where the images are. */
struct RbdPeer {
    std::unique_ptr<fake_ceph::Cluster> fake{}; ///< null: the real one
    std::vector<storage::SourceHost> monitors{};
    std::string key{};

    static RbdPeer simulated()
    {
        RbdPeer peer;
        peer.fake = std::make_unique<fake_ceph::Cluster>();
        peer.monitors = {{.name = peer.fake->monitor}};
        peer.key = peer.fake->key;
        return peer;
    }

    static std::string directory()
    {
        const char* path = std::getenv("BASIN_CEPH");
        return path ? path : "";
    }

    static std::string read(const std::string& name)
    {
        std::ifstream file(directory() + '/' + name);
        std::string line;
        std::getline(file, line);
        return line;
    }

    /** @throws nothing; without monitors where there is no cluster */
    static RbdPeer real(const std::string& user = "virt")
    {
        RbdPeer peer;
        const auto monitor = read("monitor");
        const auto blank = monitor.find(' ');
        if (directory().empty() || blank == monitor.npos)
            return peer;
        peer.monitors = {{.name = monitor.substr(0, blank),
                          .port = std::atoi(monitor.substr(blank + 1).c_str())}};
        peer.key = read(user + ".key");
        return peer;
    }

    explicit operator bool() const { return !monitors.empty(); }

    /** A command of tests/lab/clusters/ceph. */
    static bool control(const std::string& arguments)
    {
        const char* script = std::getenv("BASIN_CEPH_SCRIPT");
        return script &&
               std::system((std::string(script) + ' ' + arguments + " >/dev/null 2>&1").c_str()) ==
                   0;
    }
};

constexpr auto rbd_secret_uuid = "2ec115d7-3a88-4ceb-bc12-0ac909a6fd87";

constexpr auto luks_secret_uuid = "2ec115d7-3a88-4ceb-bc12-0ac909a6fd99";

class RbdStage {
public:
    explicit RbdStage(const RbdPeer& with) : peer(with) { open(); }
    ~RbdStage()
    {
        try {
            if (context)
                clear();
        } catch (const storage::Error&) { // the case itself has said what is wrong
        }
    }

    void open()
    {
        auto options = scratch.options();
        options.secrets =
            [this](const storage::SecretRequest& request) -> std::optional<storage::Secret> {
            requests.push_back(request);
            if (request.reference.uuid == luks_secret_uuid && !passphrase.empty())
                return storage::Secret(passphrase);
            if (request.reference.uuid != rbd_secret_uuid || given_key.empty())
                return std::nullopt;
            return storage::Secret(given_key);
        };
        context = std::make_unique<storage::Context>(options);
    }

    storage::PoolDef definition(const std::string& name = "ceph",
                                const std::string& source = "rbd") const
    {
        storage::PoolDef def;
        def.type = "rbd";
        def.name = name;
        def.source.name = source;
        def.source.hosts = peer.monitors;
        def.source.auth = {.type = storage::SourceAuth::Type::ceph,
                           .username = "virt",
                           .secret = {.uuid = rbd_secret_uuid}};
        return def;
    }

    storage::Pool pool(const std::string& name = "ceph", const std::string& source = "rbd")
    {
        auto made = context->define_pool(definition(name, source));
        made.start();
        return made;
    }

    /** Deletes all volumes of all started pools, clones first. */
    void clear()
    {
        using storage::BlockerKind;
        constexpr auto all = BlockerKind::open | BlockerKind::snapshot | BlockerKind::backing_image;
        for (int attempt = 0; attempt != 4; ++attempt)
            for (auto& pool : context->pools({.active = true}))
                for (auto& volume : pool.volumes())
                    try {
                        for (const auto& snapshot : volume.snapshots())
                            volume.protect_snapshot(snapshot.name, false);
                        volume.delete_storage(all);
                    } catch (const storage::Error&) { // a clone's source: next time
                    }
    }

    const RbdPeer& peer;
    std::string given_key{peer.key};
    std::string passphrase{}; ///< of encrypted volumes
    std::vector<storage::SecretRequest> requests{};
    Scratch scratch{};
    std::unique_ptr<storage::Context> context{};
};

// ---- what is done with it -----------------------------------------------------------------------

inline constexpr std::uint64_t mib = 1 << 20;

inline std::string pattern(std::size_t size, unsigned seed = 1)
{
    std::string text(size, '\0');
    for (auto& c : text)
        c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
    return text;
}

inline std::string content(const storage::Volume& volume,
                           const storage::TransferOptions& options = {})
{
    std::string result;
    volume.download(
        storage::DownloadTarget([&](std::span<const std::byte> data, std::uint64_t hole) {
            result.append(reinterpret_cast<const char*>(data.data()), data.size());
            result.append(static_cast<std::size_t>(hole), '\0');
        }),
        options);
    return result;
}

inline storage::UploadSource source_of(const std::string& text)
{
    return storage::UploadSource(
        [&text, at = std::size_t{0}](std::span<std::byte> buffer, std::uint64_t&) mutable {
            const auto size = std::min(buffer.size(), text.size() - at);
            std::copy_n(text.data() + at, size, reinterpret_cast<char*>(buffer.data()));
            at += size;
            return size;
        });
}

inline std::vector<std::string> names(const storage::Pool& pool)
{
    return pool.volume_names();
}

/** The error that a call throws; internal when it throws none. */
inline storage::Error error_of(const std::function<void()>& call)
{
    try {
        call();
    } catch (const storage::Error& error) {
        return error;
    }
    return storage::Error(storage::ErrorCode::internal, "no error");
}

inline bool says(const storage::Error& error, const std::string& text)
{
    return std::string(error.what()).find(text) != std::string::npos;
}

/** Begins a case that needs the real cluster. */
#define REAL_CLUSTER(peer)                                                                         \
    const auto peer = RbdPeer::real();                                                             \
    if (!peer) {                                                                                   \
        WARN("skipped: no cluster: run this by tests/lab/clusters/ceph run");                      \
        return;                                                                                    \
    }

/** A case that holds for the simulated cluster and for the real one. */
#define RBD_CASE_NAMED(function, name)                                                             \
    static void function(const RbdPeer& peer);                                                     \
    TEST_CASE("rbd, simulated: " name, "[rbd]")                                                    \
    {                                                                                              \
        function(RbdPeer::simulated());                                                            \
    }                                                                                              \
    TEST_CASE("rbd, real: " name, "[.][ceph]")                                                     \
    {                                                                                              \
        REAL_CLUSTER(peer)                                                                         \
        function(peer);                                                                            \
    }                                                                                              \
    static void function(const RbdPeer& peer)
#define RBD_CASE_LINE(line, name) RBD_CASE_NAMED(rbd_case_##line, name)
#define RBD_CASE_EXPANDED(line, name) RBD_CASE_LINE(line, name)
#define RBD_CASE(name) RBD_CASE_EXPANDED(__LINE__, name)
