// SPDX-License-Identifier: LGPL-2.1-or-later
#include "timestamps_xml.hpp"

#include "numbers.hpp"

namespace storage::inline v1 {
namespace {

/** "1767225600" or "1767225600.000000001": libvirt's "%llu.%09ld". */
std::optional<Timestamp> read_time(const XmlElement& element)
{
    if (!element)
        return std::nullopt;
    const auto text = element.text();
    const auto dot = text.find('.');
    const auto seconds = to_integer<std::int64_t>(text.substr(0, dot));
    std::optional<std::uint32_t> nanoseconds = 0;
    if (dot != text.npos)
        nanoseconds = text.size() - dot == 10 ? to_integer<std::uint32_t>(text.substr(dot + 1))
                                              : std::nullopt;
    if (!seconds || !nanoseconds || *nanoseconds > 999'999'999)
        element.fail_value(text, "is not a time in seconds with nine decimals, or without");
    return Timestamp{.seconds = *seconds, .nanoseconds = *nanoseconds};
}

void write_time(XmlWriter& xml, const char* name, const std::optional<Timestamp>& time)
{
    if (!time)
        return;
    auto text = std::to_string(time->seconds);
    if (time->nanoseconds > 0) {
        const auto digits = std::to_string(time->nanoseconds);
        text += '.';
        text.append(digits.size() < 9 ? 9 - digits.size() : 0, '0');
        text += digits;
    }
    xml.text(name, text);
}

} // namespace

std::optional<Timestamps> read_timestamps(const XmlElement& parent)
{
    const auto element = parent.child("timestamps");
    if (!element)
        return std::nullopt;
    return Timestamps{.access = read_time(element.child("atime")),
                      .modification = read_time(element.child("mtime")),
                      .change = read_time(element.child("ctime")),
                      .birth = read_time(element.child("btime"))};
}

void write_timestamps(XmlWriter& xml, const Timestamps& timestamps)
{
    xml.open("timestamps");
    write_time(xml, "atime", timestamps.access);
    write_time(xml, "mtime", timestamps.modification);
    write_time(xml, "ctime", timestamps.change);
    write_time(xml, "btime", timestamps.birth);
    xml.close(true);
}

} // namespace storage::inline v1
