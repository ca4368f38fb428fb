// SPDX-License-Identifier: LGPL-2.1-or-later
// The verb that tells what keeps a user from a path.
#include "shared.hpp"

#include <basin/access.hpp>

#include <cerrno>
#include <cstring>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

namespace command {

namespace {

using storage::AccessMode;

struct Identity {
    std::uint32_t uid{};
    std::uint32_t gid{};
    std::vector<std::uint32_t> groups;
};

/** What a lookup in the user database says. The `_r` functions want ever larger buffers. */
template <typename Entry, typename Lookup>
std::optional<Entry> look_up(std::vector<char>& buffer, Lookup lookup)
{
    constexpr std::size_t most = 16 * 1024 * 1024;
    for (buffer.resize(4096); buffer.size() <= most; buffer.resize(buffer.size() * 2)) {
        Entry entry{};
        Entry* found = nullptr;
        const int error = lookup(&entry, buffer.data(), buffer.size(), &found);
        if (error == 0)
            return found ? std::optional(entry) : std::nullopt;
        if (error != ERANGE)
            throw Error(ErrorCode::io, std::string("user database: ") + std::strerror(error), {},
                        {}, error);
    }
    throw Error(ErrorCode::io, "user database: an entry is too long");
}

bool is_number(const std::string& text)
{
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

std::uint32_t parse_id(const std::string& text, std::string_view what)
{
    const auto number = parse_number(text, what);
    if (number >= UINT32_MAX) // -1 means "no change" to chown(2) and is nobody's
        throw Error(ErrorCode::invalid_argument, std::string(what) + " '" + text + "' is too large",
                    "give a number below 4294967295");
    return static_cast<std::uint32_t>(number);
}

std::optional<passwd> find_user(const std::string& name, std::vector<char>& buffer)
{
    const auto by_name =
        look_up<passwd>(buffer, [&](auto... rest) { return ::getpwnam_r(name.c_str(), rest...); });
    if (by_name || !is_number(name))
        return by_name;
    const auto uid = parse_id(name, "user");
    return look_up<passwd>(buffer, [&](auto... rest) { return ::getpwuid_r(uid, rest...); });
}

std::vector<std::uint32_t> groups_of(const passwd& user)
{
    std::vector<gid_t> groups(64);
    int count = static_cast<int>(groups.size());
    while (::getgrouplist(user.pw_name, user.pw_gid, groups.data(), &count) < 0) {
        groups.resize(std::max<std::size_t>(static_cast<std::size_t>(count), groups.size() * 2));
        count = static_cast<int>(groups.size());
    }
    return {groups.begin(), groups.begin() + count};
}

std::uint32_t find_group(const std::string& name)
{
    std::vector<char> buffer;
    const auto found =
        look_up<group>(buffer, [&](auto... rest) { return ::getgrnam_r(name.c_str(), rest...); });
    if (found)
        return found->gr_gid;
    if (!is_number(name))
        throw Error(ErrorCode::not_found, "group '" + name + "': no such group",
                    "see 'getent group', or give a number");
    return parse_id(name, "group");
}

Identity read_identity(const Call& call)
{
    const auto name = call.text("user");
    std::vector<char> buffer;
    const auto user = find_user(name, buffer);
    if (!user && !is_number(name))
        throw Error(ErrorCode::not_found, "user '" + name + "': no such user",
                    "see 'getent passwd', or give a number");
    Identity identity;
    identity.uid = user ? user->pw_uid : parse_id(name, "user");
    for (const auto& one : call.list("group"))
        identity.groups.push_back(find_group(one));
    if (identity.groups.empty() && !user)
        throw UsageError("user '" + name + "' is in no database that could tell its groups",
                         "name them with --group");
    identity.gid = identity.groups.empty() ? user->pw_gid : identity.groups.front();
    if (identity.groups.empty())
        identity.groups = groups_of(*user);
    return identity;
}

AccessMode read_mode(const Call& call)
{
    const auto wanted = call.given("mode") ? call.text("mode") : std::string("r");
    unsigned mode = 0;
    for (const char letter : wanted) {
        if (letter != 'r' && letter != 'w' && letter != 'x')
            throw UsageError("mode '" + wanted + "' is not known", "use letters of rwx");
        mode |= static_cast<unsigned>(letter == 'r'   ? AccessMode::read
                                      : letter == 'w' ? AccessMode::write
                                                      : AccessMode::search);
    }
    if (mode == 0)
        throw UsageError("mode '' asks for nothing", "use letters of rwx");
    return static_cast<AccessMode>(mode);
}

void explain_access(Call& call)
{
    const auto path = call.text("path");
    const auto mode = read_mode(call);
    const auto identity = read_identity(call);
    const auto answer =
        storage::explain_access(path, identity.uid, identity.gid, identity.groups, mode);
    if (!answer.allowed)
        call.set_status(1);
    if (call.json())
        return call.print(JsonObject()
                              .text("path", path)
                              .number("uid", identity.uid)
                              .merge(to_json(answer))
                              .str() +
                          '\n');
    call.print(label("Allowed") + yes_no(answer.allowed) + '\n');
    for (const auto& [name, value] :
         {std::pair{"Component", answer.component}, std::pair{"Rule", answer.rule},
          std::pair{"Remedy", answer.remedy}})
        if (!value.empty())
            call.print(label(name) + printable(value) + '\n');
}

} // namespace

std::vector<Verb> access_verbs()
{
    return {{"explain-access",
             "Images and general",
             "Tell what keeps a user from a file or directory",
             "basin explain-access /srv/vms/disk.img libvirt-qemu --mode rw",
             {{.name = "path", .takes = Takes::file, .help = "file or directory", .required = true},
              {.name = "user", .takes = Takes::text, .help = "name or number", .required = true},
              {.name = "group",
               .takes = Takes::text,
               .help = "its groups, the primary one first (default: as the user database says)",
               .named_only = true,
               .list = true},
              {.name = "mode",
               .takes = Takes::text,
               .help = "letters of rwx (default r); x of a directory is search",
               .named_only = true}},
             explain_access}};
}

} // namespace command
