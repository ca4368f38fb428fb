// SPDX-License-Identifier: LGPL-2.1-or-later
// Keys and values of images.
#include "names.hpp"
#include "rbd_images.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

namespace storage::inline v1 {

namespace {

/** One call brings so many. */
constexpr std::uint64_t keys_at_once = 128;
/** Whoever may write to the pool may keep as much as it holds. */
constexpr std::size_t most_metadata = std::size_t{16} << 20;

/** Texts that end in '\0' each. */
std::vector<std::string> texts_of(const std::vector<char>& buffer, std::size_t length)
{
    std::vector<std::string> result;
    const auto end = buffer.begin() + static_cast<std::ptrdiff_t>(std::min(length, buffer.size()));
    for (auto at = buffer.begin(); at != end;) {
        const auto stop = std::find(at, end, '\0');
        result.emplace_back(at, stop);
        at = stop == end ? end : stop + 1;
    }
    return result;
}

} // namespace

bool is_own_image_key(std::string_view key)
{
    // "conf_NAME" is an option for who opens the image ('rbd config image set'); a leading '.' and
    // libvirt's name are kept back, so that nobody takes what is here for theirs.
    constexpr std::array<std::string_view, 3> own{"conf_", "libvirt", "."};
    return std::any_of(own.begin(), own.end(),
                       [&](std::string_view prefix) { return key.starts_with(prefix); });
}

std::map<std::string, std::string> image_metadata(const RbdImage& image)
{
    const auto& library = image.library();
    std::map<std::string, std::string> result;
    std::vector<char> keys(4096);
    std::vector<char> values(16384);
    std::string last;
    for (std::size_t sum = 0;;) {
        auto key_length = keys.size();
        auto value_length = values.size();
        const auto code =
            library.rbd_metadata_list(image.get(), last.c_str(), keys_at_once, keys.data(),
                                      &key_length, values.data(), &value_length);
        if (key_length + value_length > most_metadata - sum)
            throw Error(ErrorCode::not_supported,
                        "'" + image.path() + "' has more than " + std::to_string(most_metadata) +
                            " bytes of metadata",
                        "remove some of it: 'rbd image-meta remove'");
        if (code == -ERANGE && (key_length > keys.size() || value_length > values.size())) {
            keys.resize(std::max(keys.size(), key_length));
            values.resize(std::max(values.size(), value_length));
            continue;
        }
        image.check(code, "cannot list its metadata");
        const auto names = texts_of(keys, key_length);
        const auto contents = texts_of(values, value_length);
        if (names.size() != contents.size())
            throw Error(ErrorCode::parse_failed,
                        "'" + image.path() + "': a value of its metadata is no text",
                        "remove it: 'rbd image-meta list'");
        for (std::size_t i = 0; i != names.size(); ++i)
            if (!is_own_image_key(names[i]))
                result.emplace(names[i], contents[i]);
        if (names.empty() || names.back() <= last)
            return result;
        sum += key_length + value_length;
        last = names.back();
    }
}

} // namespace storage::inline v1
