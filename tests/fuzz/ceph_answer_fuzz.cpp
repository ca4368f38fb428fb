// SPDX-License-Identifier: LGPL-2.1-or-later
// What a monitor of Ceph answers when it is asked for the sizes of a pool: the usage and, behind a
// line feed, the quota. It is refused, or the numbers agree.
#include "fuzz.hpp"

#include "fakes/fake_ceph_parts.hpp"
#include "process_runner.hpp"
#include "rbd_images.hpp"
#include "system_root.hpp"

using namespace storage;

namespace {

std::string_view answers[2];

int answer(RadosCluster, const char** command, std::size_t, const char*, std::size_t, char** out,
           std::size_t* length, char** remark, std::size_t* remark_length)
{
    const auto words = answers[std::strstr(*command, "get-quota") ? 1 : 0];
    *out = static_cast<char*>(std::malloc(words.size() + 1));
    std::copy(words.begin(), words.end(), *out);
    *length = words.size();
    *remark = nullptr;
    *remark_length = 0;
    return 0;
}

/** A connection to a cluster that answers what it is told to. */
RbdConnection& connection()
{
    static auto& cluster = *new fake_ceph::Cluster;
    static const auto library = [] {
        auto all = RbdLibrary{};
        fake_ceph::add_rados_functions(all);
        all.rados_mon_command = answer;
        return all;
    }();
    replace_rbd_library(&library);
    static const SystemRoot system;
    static const Log log{{}};
    static ProcessRunner runner;
    static const Host host{
        .system = system,
        .log = log,
        .runner = runner,
        .secret = [](const SecretRequest&) { return Secret(cluster.key); },
    };
    static auto& connected = *[] {
        PoolDef def;
        def.type = "rbd";
        def.source.name = "rbd";
        def.source.hosts = {{.name = cluster.monitor}};
        def.source.auth = {.type = SourceAuth::Type::ceph,
                           .username = "virt",
                           .secret = {.uuid = "2ec115d7-3a88-4ceb-bc12-0ac909a6fd87"}};
        return new RbdConnection(def, host, std::chrono::seconds(1));
    }();
    return connected;
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = text_of(data, size);
    const auto end = std::min(text.find('\n'), text.size());
    answers[0] = text.substr(0, end);
    answers[1] = text.substr(std::min(end + 1, text.size()));
    try {
        PoolDef def{.type = "rbd"};
        def.source.name = "rbd";
        def.config_options = {{.name = "rbd_default_data_pool", .value = "data"}};
        const auto sizes = rbd_pool_sizes(connection(), def);
        require(sizes.capacity >= sizes.allocation && sizes.capacity >= sizes.available,
                "a pool is smaller than what is in it", std::string(text));
    } catch (const Error& error) {
        require(error.code() == ErrorCode::parse_failed, error.what(), std::string(text));
    }
    return 0;
}
