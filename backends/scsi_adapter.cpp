// SPDX-License-Identifier: LGPL-2.1-or-later
#include "scsi_adapter.hpp"

#include "file_io.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace storage::inline v1 {
namespace {

std::string first_line(const std::filesystem::path& file)
{
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    std::array<char, 256> buffer;
    const auto length = ::read(fd.get(), buffer.data(), buffer.size());
    const std::string text(buffer.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    return text.substr(0, text.find('\n'));
}

/** "0x" and case do not matter: libvirt accepts both spellings, sysfs prints "0x21000024ff…". */
std::string canonical_wwn(std::string text)
{
    for (auto& c : text)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return text.starts_with("0x") ? text.substr(2) : text;
}

std::string pci_name(const PciAddress& address)
{
    char text[32];
    std::snprintf(text, sizeof text, "%04x:%02x:%02x.%x", address.domain, address.bus, address.slot,
                  address.function);
    return text;
}

/** The name of the first entry of a class directory that the test accepts; "" for none. */
template <typename Test>
std::string find_host(const std::string& directory, Test&& test)
{
    std::vector<std::string> hosts;
    const auto listing = open_listing(directory);
    while (const auto* entry = listing ? ::readdir(listing.get()) : nullptr)
        if (entry->d_name[0] != '.' && test(std::filesystem::path(directory) / entry->d_name))
            hosts.emplace_back(entry->d_name);
    return hosts.empty() ? std::string{} : *std::min_element(hosts.begin(), hosts.end());
}

/** /sys/class/scsi_host/host3 -> ../../devices/pci0000:00/0000:00:1f.2/ata1/host3/scsi_host/host3
 */
std::string find_by_address(const SourceAdapter::ParentAddress& parent, const SystemRoot& system)
{
    const auto part = '/' + pci_name(parent.address) + '/';
    return find_host(system.path("/sys/class/scsi_host"), [&](const std::filesystem::path& host) {
        std::error_code error;
        const auto link = std::filesystem::read_symlink(host, error).string();
        return link.find(part) != link.npos &&
               first_line(host / "unique_id") == std::to_string(parent.unique_id);
    });
}

std::string find_by_wwn(const SourceAdapter& adapter, const SystemRoot& system)
{
    return find_host(system.path("/sys/class/fc_host"), [&](const std::filesystem::path& host) {
        return canonical_wwn(first_line(host / "node_name")) == canonical_wwn(adapter.wwnn) &&
               canonical_wwn(first_line(host / "port_name")) == canonical_wwn(adapter.wwpn);
    });
}

} // namespace

std::vector<std::string> adapter_identities(const SourceAdapter& adapter, const SystemRoot& system)
{
    std::string host;
    std::vector<std::string> result;
    if (adapter.type == SourceAdapter::Type::fc_host) {
        result.push_back("fc-host:" + canonical_wwn(adapter.wwnn) + ' ' +
                         canonical_wwn(adapter.wwpn));
        host = find_by_wwn(adapter, system);
    } else if (adapter.parent_address) {
        result.push_back("scsi-pci:" + pci_name(adapter.parent_address->address) + ' ' +
                         std::to_string(adapter.parent_address->unique_id));
        host = find_by_address(*adapter.parent_address, system);
    } else {
        // "scsi_host3" is the node device's name for host3.
        host = adapter.name.starts_with("scsi_") ? adapter.name.substr(5) : adapter.name;
    }
    if (!host.empty())
        result.push_back("scsi-host:" + host);
    return result;
}

} // namespace storage::inline v1
