// SPDX-License-Identifier: GPL-3.0-or-later
#include "protocol.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <set>

namespace partition_helper {
namespace {

using Json = nlohmann::json;

constexpr std::size_t string_limit = 4096;

[[noreturn]] void bad(const std::string& what)
{
    throw Refusal("invalid_argument", "request: " + what);
}

/** Takes members out of the request; what is left over is an error. */
class Members {
public:
    explicit Members(const Json& object) : object_(object) {}

    void take(const char* name, std::string& value)
    {
        if (const auto* found = find(name)) {
            if (!found->is_string())
                bad(std::string("'") + name + "' is not a string");
            value = found->get<std::string>();
            if (value.size() > string_limit || value.find('\0') != value.npos)
                bad(std::string("'") + name + "' is too long or holds a NUL");
        }
    }
    void take(const char* name, bool& value)
    {
        if (const auto* found = find(name)) {
            if (!found->is_boolean())
                bad(std::string("'") + name + "' is not true or false");
            value = found->get<bool>();
        }
    }
    void take(const char* name, std::uint64_t& value)
    {
        if (const auto* found = find(name)) {
            if (!found->is_number_unsigned() || found->get<std::uint64_t>() > INT64_MAX)
                bad(std::string("'") + name + "' is not a size");
            value = found->get<std::uint64_t>();
        }
    }
    void take(const char* name, std::optional<std::uint64_t>& value)
    {
        if (std::uint64_t number{}; find(name)) {
            take(name, number);
            value = number;
        }
    }
    void take(const char* name, int& value)
    {
        std::uint64_t number = static_cast<std::uint64_t>(value);
        take(name, number);
        if (number > partition_limit)
            bad(std::string("'") + name + "' is not the number of a partition");
        value = static_cast<int>(number);
    }
    void finish() const
    {
        for (const auto& [key, value] : object_.items())
            if (!known_.contains(key))
                bad("unknown member '" + key.substr(0, 64) + "'");
    }

private:
    const Json* find(const char* name)
    {
        known_.insert(name);
        const auto found = object_.find(name);
        return found == object_.end() ? nullptr : &*found;
    }

    const Json& object_;
    std::set<std::string, std::less<>> known_{};
};

} // namespace

Request parse_request(std::string_view text)
{
    const auto json = Json::parse(text, nullptr, false);
    if (!json.is_object())
        bad("not a JSON object");
    Request request;
    Members members(json);
    members.take("operation", request.operation);
    members.take("device", request.device);
    members.take("device_number", request.device_number);
    members.take("part_separator", request.part_separator);
    members.take("sector_size", request.sector_size);
    members.take("patience", request.patience);
    members.take("table", request.table);
    members.take("disk_id", request.disk_id);
    members.take("keep", request.keep);
    members.take("mark", request.mark);
    members.take("plan", request.plan);
    members.take("kind", request.kind);
    members.take("format", request.format);
    members.take("name", request.name);
    members.take("size", request.size);
    members.take("start", request.start);
    members.take("alignment", request.alignment);
    members.take("number", request.number);
    members.take("length", request.length);
    members.take("guid", request.guid);
    members.finish();
    if (!request.device.starts_with('/'))
        bad("'device' is not an absolute path");
    return request;
}

Refusal system_refusal(int error, const std::string& message)
{
    const char* code = "io";
    switch (error) {
    case EBUSY: code = "busy"; break;
    case ENOENT:
    case ENODEV:
    case ENXIO: code = "not_found"; break;
    case EACCES:
    case EPERM:
    case EROFS: code = "permission_denied"; break;
    case ENOMEM: code = "no_memory"; break;
    default: break;
    }
    return Refusal(code, message + ": " + std::strerror(error));
}

} // namespace partition_helper
