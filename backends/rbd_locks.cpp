// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_locks.hpp"

#include "names.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace storage::inline v1 {
namespace {

/** The tag and the beginning of the cookies of librbd's own locks. */
constexpr std::string_view own_tag = "internal";
constexpr std::string_view own_cookie = "auto ";

struct Locks {
    bool is_exclusive{};
    std::string tag{};
    std::vector<std::string> clients{};
    std::vector<std::string> cookies{};
    std::vector<std::string> addresses{};
};

/** Texts that end in '\0' each. */
std::vector<std::string> texts_of(const std::string& buffer, std::size_t count)
{
    std::vector<std::string> result;
    for (std::size_t at = 0; result.size() != count && at < buffer.size();) {
        result.emplace_back(buffer.c_str() + at);
        at += result.back().size() + 1;
    }
    result.resize(count);
    return result;
}

Locks locks_of(const RbdImage& image)
{
    constexpr std::size_t most = 1 << 20;
    for (std::size_t room = 4096;; room *= 4) {
        std::string tag(room, '\0'), clients(room, '\0'), cookies(room, '\0'),
            addresses(room, '\0');
        auto tag_length = room, clients_length = room, cookies_length = room,
             addresses_length = room;
        int is_exclusive = 0;
        const auto count = image.library().rbd_list_lockers(
            image.get(), &is_exclusive, tag.data(), &tag_length, clients.data(), &clients_length,
            cookies.data(), &cookies_length, addresses.data(), &addresses_length);
        if (count == -ERANGE && room < most)
            continue;
        image.check(count, "cannot ask who has locked it");
        const auto found = static_cast<std::size_t>(count);
        return {.is_exclusive = is_exclusive != 0,
                .tag = tag.c_str(),
                .clients = texts_of(clients, found),
                .cookies = texts_of(cookies, found),
                .addresses = texts_of(addresses, found)};
    }
}

} // namespace

std::vector<std::string> foreign_locks(const RbdImage& image)
{
    const auto locks = locks_of(image);
    std::vector<std::string> result;
    for (std::size_t i = 0; i != locks.clients.size(); ++i)
        if (locks.tag != own_tag || !locks.cookies[i].starts_with(own_cookie))
            result.push_back(locks.clients[i] + " at " + locks.addresses[i] + " has locked it as " +
                             shown(locks.cookies[i]) + (locks.is_exclusive ? "" : ", to share it"));
    return result;
}

void require_changeable(const RbdImage& image, const std::string& id)
{
    image.require_id(id);
    std::uint64_t features = 0;
    image.check(image.library().rbd_get_features(image.get(), &features),
                "cannot ask for its features");
    if (!(features & rbd_feature_exclusive_lock))
        return; // then Ceph leaves it to the programs whether they care
    if (const auto locks = foreign_locks(image); !locks.empty())
        throw Error(ErrorCode::busy, "'" + image.path() + "': " + locks.front(),
                    "end its use; what a dead program left is removed by 'rbd lock remove'");
}

} // namespace storage::inline v1
