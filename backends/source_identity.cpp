// SPDX-License-Identifier: LGPL-2.1-or-later
#include "source_identity.hpp"

#include "device_probe.hpp"

#include <algorithm>
#include <filesystem>
#include <initializer_list>

#include <arpa/inet.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace storage::inline v1 {
namespace {

std::string lower(std::string_view text)
{
    std::string result(text);
    for (auto& c : result)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::string file_identity(const struct stat& status)
{
    return std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino);
}

template <int Family, typename Address>
std::string shortest_address(const std::string& name)
{
    Address address{};
    char text[INET6_ADDRSTRLEN]{};
    if (inet_pton(Family, name.c_str(), &address) == 1 &&
        inet_ntop(Family, &address, text, sizeof text))
        return text;
    return {};
}

std::string device_identity(const std::string& path, const SystemRoot& system)
{
    // Asked of definitions that need not be in use: only a link is followed, nothing is searched.
    const auto node = path.starts_with('/') ? system.path(path) : linked_device(path, system);
    struct stat status {};
    if (stat(node.c_str(), &status) != 0)
        return "device:" + std::filesystem::path(path).lexically_normal().string();
    if (S_ISBLK(status.st_mode) || S_ISCHR(status.st_mode))
        return "device:" + std::to_string(major(status.st_rdev)) + ':' +
               std::to_string(minor(status.st_rdev));
    return "file:" + file_identity(status);
}

} // namespace

std::vector<std::string> directory_identities(const std::string& path)
{
    // Component by component, because ".." after a symbolic link is the link target's parent.
    std::filesystem::path existing = "/";
    struct stat status {};
    std::filesystem::path rest;
    for (const auto& part : std::filesystem::path(path).relative_path()) {
        if (part.empty() || part == ".")
            continue;
        if (rest.empty() && stat((existing / part).c_str(), &status) == 0)
            existing /= part;
        else
            rest /= part;
    }
    std::error_code failed;
    const auto real = std::filesystem::canonical(existing, failed);
    auto whole = ((failed ? existing : real) / rest).lexically_normal().string();
    while (whole.size() > 1 && whole.back() == '/')
        whole.pop_back();
    std::vector<std::string> result{"directory:" + whole};
    if (rest.empty() && stat(existing.c_str(), &status) == 0)
        result.push_back("directory:" + file_identity(status));
    return result;
}

std::vector<std::string> device_identities(const PoolDef& def, const SystemRoot& system)
{
    std::vector<std::string> result;
    for (const auto& device : def.source.devices)
        result.push_back(device_identity(device.path, system));
    return result;
}

std::string canonical_host(const SourceHost& host, std::initializer_list<std::int32_t> defaults)
{
    auto name = lower(host.name);
    if (name.ends_with('.') && name.size() > 1)
        name.pop_back();
    if (const auto v4 = shortest_address<AF_INET, in_addr>(name); !v4.empty())
        name = v4;
    else if (const auto v6 = shortest_address<AF_INET6, in6_addr>(name); !v6.empty())
        name = '[' + v6 + ']';

    const auto port = host.port.value_or(0);
    if (port <= 0 || std::find(defaults.begin(), defaults.end(), port) != defaults.end())
        return name;
    return name + ':' + std::to_string(port);
}

std::string canonical_server_directory(std::string_view path)
{
    std::filesystem::path result = path.starts_with('/') ? "/" : "";
    for (const auto& part : std::filesystem::path(path).relative_path())
        if (!part.empty() && part != ".")
            result /= part;
    return result.string();
}

std::vector<std::string> iscsi_identities(const PoolDef& def)
{
    std::vector<std::string> result;
    for (const auto& device : def.source.devices)
        result.push_back("iscsi:" + lower(device.path) + ' ' + lower(def.source.initiator_iqn));
    return result;
}

} // namespace storage::inline v1
