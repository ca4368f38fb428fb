// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lvm_report.hpp"

#include "lvm_commands.hpp"
#include "names.hpp"
#include "numbers.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace storage::inline v1 {
namespace {

using nlohmann::json;

constexpr std::size_t output_limit = std::size_t{64} << 20; // some 100,000 volumes

// lvm.conf(5) can change all of this, and with it what is printed.
constexpr std::string_view report_settings =
    "report{time_format=\"%s\" list_item_separator=\",\" compact_output=0 buffered=1 "
    "binary_values_as_numeric=0 columns_as_rows=0 prefixes=0 two_word_unknown_device=0 "
    "mark_hidden_devices=1} log{report_command_log=0}";

constexpr std::string_view vg_fields =
    "vg_name,vg_uuid,vg_attr,vg_size,vg_free,vg_extent_size,vg_missing_pv_count";
constexpr std::string_view pv_fields = "pv_name,pv_uuid,pv_size,pv_free,pv_missing,pv_allocatable";
constexpr std::string_view lv_fields =
    "lv_name,lv_uuid,lv_size,lv_attr,origin,origin_size,pool_lv,lv_metadata_size,data_percent,"
    "metadata_percent,lv_tags,lv_layout,lv_role,lv_time,lv_active,lv_device_open,"
    "lv_skip_activation,lv_health_status";
constexpr std::string_view segment_fields =
    "lv_uuid,segtype,stripes,seg_start,seg_size,chunk_size,devices";

[[noreturn]] void refuse(const std::string& what)
{
    throw Error(ErrorCode::parse_failed, "lvm: " + what);
}

/** Device names are bytes; JSON is UTF-8. What is not becomes '?', so that one odd name hides no
 * volume. */
std::string utf8_only(std::string_view text)
{
    std::string result;
    result.reserve(text.size());
    while (!text.empty()) {
        const auto length = decode_utf8(text).length;
        result += length ? text.substr(0, length) : std::string_view("?");
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return result;
}

json parse_bounded(std::string_view text)
{
    constexpr int depth_limit = 8; // report, group, kind, row: LVM uses five
    const auto check = [](int depth, json::parse_event_t event, json&) {
        if (depth >= depth_limit && (event == json::parse_event_t::object_start ||
                                     event == json::parse_event_t::array_start))
            refuse("its report is nested too deep");
        return true;
    };
    try {
        return json::parse(utf8_only(text), check);
    } catch (const json::exception& error) {
        refuse(std::string("its report is not JSON: ") + error.what());
    }
}

/** One row of a table: every value is a string. Fields that nobody asks for are not looked at. */
class Row {
public:
    Row(const json& object, const char* kind) : object_(object), kind_(kind)
    {
        if (!object.is_object())
            refuse(std::string("a row of '") + kind + "' is no object");
    }

    std::string text(const char* field) const
    {
        const auto found = object_.find(field);
        if (found == object_.end() || !found->is_string())
            refuse(std::string("a row of '") + kind_ + "' has no text '" + field + "'");
        return found->get<std::string>();
    }
    std::string required(const char* field) const
    {
        auto value = text(field);
        if (value.empty())
            refuse(std::string("a row of '") + kind_ + "' has an empty '" + field + "'");
        return value;
    }
    template <typename Integer = std::uint64_t>
    Integer number(const char* field) const
    {
        const auto value = text(field);
        const auto result = to_integer<Integer>(value);
        if (!result)
            refuse('\'' + std::string(field) + "' is " + shown(value) + ", not a number");
        return *result;
    }
    std::uint64_t optional_number(const char* field) const
    {
        return text(field).empty() ? 0 : number(field);
    }
    /** "12.34" in hundredths; nothing where it is empty, as for volumes that are not active. */
    std::optional<std::uint32_t> percent(const char* field) const
    {
        const auto value = text(field);
        if (value.empty())
            return std::nullopt;
        const auto dot = std::min(value.find('.'), value.size());
        const auto whole = to_integer<std::uint32_t>(std::string_view(value).substr(0, dot));
        auto digits = value.substr(std::min(dot + 1, value.size()), 2);
        digits.resize(2, '0');
        const auto part = to_integer<std::uint32_t>(digits);
        if (!whole || !part || *whole > 100)
            refuse('\'' + std::string(field) + "' is " + shown(value) + ", not a percentage");
        return *whole * 100 + *part;
    }
    std::vector<std::string> list(const char* field) const
    {
        const auto value = text(field);
        std::vector<std::string> result;
        for (std::size_t start = 0; start < value.size();) {
            const auto end = std::min(value.find(',', start), value.size());
            result.push_back(value.substr(start, end - start));
            start = end + 1;
        }
        return result;
    }
    /** Empty where a property is not there, "unknown" where it cannot be told, else its name. */
    bool flag(const char* field) const
    {
        const auto value = text(field);
        return !value.empty() && value != "unknown";
    }

private:
    const json& object_;
    const char* kind_;
};

/** "/dev/vda(16),/dev/vdb(0)". A device's own name may have commas and parentheses. */
std::vector<LvmArea> parse_areas(std::string_view text)
{
    std::vector<LvmArea> result;
    while (!text.empty()) {
        const auto next = text.find("),");
        auto item = text.substr(0, next == text.npos ? text.size() : next + 1);
        const auto open = item.rfind('(');
        const auto extent =
            item.ends_with(')') && open != item.npos && open != 0
                ? to_integer<std::uint64_t>(item.substr(open + 1, item.size() - open - 2))
                : std::nullopt;
        if (!extent || text.size() == item.size() + 1)
            refuse("'devices' has " + shown(item));
        result.push_back({std::string(item.substr(0, open)), *extent});
        text.remove_prefix(std::min(item.size() + 1, text.size()));
    }
    return result;
}

LvmPv parse_pv(const Row& row)
{
    return {.path = row.required("pv_name"),
            .uuid = row.required("pv_uuid"),
            .size = row.number("pv_size"),
            .free = row.number("pv_free"),
            .missing = row.flag("pv_missing"),
            .allocatable = row.flag("pv_allocatable")};
}

LvmLv parse_lv(const Row& row)
{
    LvmLv lv{.name = row.required("lv_name"),
             .uuid = row.required("lv_uuid"),
             .size = row.number("lv_size"),
             .attributes = row.text("lv_attr"),
             .origin = row.text("origin"),
             .origin_size = row.optional_number("origin_size"),
             .pool = row.text("pool_lv"),
             .metadata_size = row.optional_number("lv_metadata_size"),
             .data_usage = row.percent("data_percent"),
             .metadata_usage = row.percent("metadata_percent"),
             .tags = row.list("lv_tags"),
             .layout = row.list("lv_layout"),
             .role = row.list("lv_role"),
             .created = to_integer<std::int64_t>(row.text("lv_time")).value_or(0),
             .active = row.text("lv_active").starts_with("active"),
             .open = row.flag("lv_device_open"),
             .skip_activation = row.flag("lv_skip_activation"),
             .health = row.text("lv_health_status")};
    constexpr std::size_t attribute_count = 10; // lvs(8)
    if (lv.attributes.size() < attribute_count)
        refuse("'lv_attr' is " + shown(lv.attributes));
    if (control_character(lv.name) || lv.name.find('/') != lv.name.npos)
        refuse("'lv_name' is " + shown(lv.name));
    return lv;
}

LvmSegment parse_segment(const Row& row)
{
    return {.type = row.text("segtype"),
            .stripes = row.number<std::uint32_t>("stripes"),
            .start = row.number("seg_start"),
            .size = row.number("seg_size"),
            .chunk_size = row.optional_number("chunk_size"),
            .areas = parse_areas(row.text("devices"))};
}

const json& table(const json& group, const char* kind)
{
    const auto found = group.find(kind);
    if (found == group.end() || !found->is_array())
        refuse(std::string("its report has no table '") + kind + '\'');
    return *found;
}

LvmGroup parse_group(const json& entry)
{
    if (!entry.is_object())
        refuse("a part of its report is no object");
    const auto& groups = table(entry, "vg");
    if (groups.size() != 1)
        refuse("a part of its report is about " + std::to_string(groups.size()) + " groups");
    const Row row(groups[0], "vg");
    LvmGroup group{.name = row.required("vg_name"),
                   .uuid = row.required("vg_uuid"),
                   .size = row.number("vg_size"),
                   .free = row.number("vg_free"),
                   .extent_size = row.number("vg_extent_size"),
                   .attributes = row.text("vg_attr"),
                   .missing_pvs = row.number("vg_missing_pv_count")};
    if (group.extent_size == 0 || group.free > group.size)
        refuse("the sizes of group " + shown(group.name) + " contradict each other");
    for (const auto& pv : table(entry, "pv"))
        group.pvs.push_back(parse_pv(Row(pv, "pv")));

    std::map<std::string, std::size_t, std::less<>> by_uuid;
    for (const auto& item : table(entry, "lv")) {
        group.lvs.push_back(parse_lv(Row(item, "lv")));
        if (!by_uuid.emplace(group.lvs.back().uuid, group.lvs.size() - 1).second)
            refuse("two logical volumes have the uuid " + shown(group.lvs.back().uuid));
    }
    for (const auto& item : table(entry, "seg")) {
        const Row segment(item, "seg");
        const auto lv = by_uuid.find(segment.text("lv_uuid"));
        if (lv != by_uuid.end())
            group.lvs[lv->second].segments.push_back(parse_segment(segment));
    }
    for (auto& lv : group.lvs)
        std::sort(lv.segments.begin(), lv.segments.end(),
                  [](const auto& a, const auto& b) { return a.start < b.start; });
    return group;
}

bool contains(const std::vector<std::string>& list, std::string_view word)
{
    return std::find(list.begin(), list.end(), word) != list.end();
}

/** fullreport has five tables; each has to be told what to show. */
Command report_command(bool with_volumes)
{
    auto command = lvm_command("fullreport");
    auto& arguments = command.arguments;
    const auto show = [&arguments](const char* kind, std::string_view fields) {
        arguments.insert(arguments.end(), {"--configreport", kind, "-o", std::string(fields)});
    };
    const auto leave_out = [&arguments](const char* kind, const char* nothing) {
        arguments.insert(arguments.end(), {"--configreport", kind, "-S", nothing});
    };
    arguments.insert(arguments.end(), {"--config", std::string(report_settings), "--reportformat",
                                       "json", "--units", "b", "--nosuffix"});
    show("vg", vg_fields);
    show("pv", pv_fields);
    if (with_volumes) {
        show("lv", lv_fields);
        show("seg", segment_fields);
    } else {
        leave_out("lv", "lv_size=0");
        leave_out("seg", "seg_size=0");
    }
    leave_out("pvseg", "pvseg_size=0");
    command.output_limit = output_limit;
    return command;
}

/** Throws where LVM leaves a group out of its report although there is one of that name. */
void explain_absence(const std::string& group, const std::string& errors)
{
    if (errors.find("Multiple VGs found with the same name: skipping " + group) != errors.npos) {
        constexpr std::string_view before = " is used by VGs ";
        const auto at = errors.find(before);
        const auto uuids = at == errors.npos ? std::string_view()
                                             : std::string_view(errors).substr(at + before.size());
        throw Error(
            ErrorCode::invalid_state,
            "several volume groups are named " + shown(group) +
                (uuids.empty() ? "" : ": " + shown(uuids.substr(0, uuids.find(".\n")))),
            "rename all but one (vgrename UUID NAME), or let LVM not see the devices of the "
            "others (global_filter in lvm.conf(5))",
            errors);
    }
    const auto foreign = "Cannot access VG " + group + " with system ID ";
    if (const auto at = errors.find(foreign); at != errors.npos) {
        const auto rest = std::string_view(errors).substr(at + foreign.size());
        throw Error(ErrorCode::invalid_state,
                    "volume group " + shown(group) + " belongs to the host with system ID " +
                        shown(rest.substr(0, rest.find_first_of(" \n"))),
                    "use it on that host; lvmsystemid(7) says how a host gives a group away",
                    errors);
    }
}

/** LVM's locks and the devices are for root alone. */
void explain_rights(const CommandResult& result)
{
    if (result.exit_status == lvm_failed &&
        result.errors.find("Permission denied") != result.errors.npos)
        throw Error(ErrorCode::permission_denied, "LVM lets this user see no volume groups",
                    "it needs root's rights", result.errors);
}

} // namespace

bool LvmLv::is_thin_pool() const
{
    return contains(layout, "thin") && contains(layout, "pool");
}
bool LvmLv::is_other_pool() const
{
    return contains(layout, "pool") && !contains(layout, "thin");
}
bool LvmLv::is_thin() const
{
    return contains(layout, "thin") && !contains(layout, "pool");
}
bool LvmLv::zeroes_chunks() const
{
    return attributes[7] == 'z';
}
bool LvmLv::is_vdo() const
{
    return contains(layout, "vdo") && !contains(layout, "pool");
}
bool LvmLv::is_classic_snapshot() const
{
    return contains(role, "thicksnapshot");
}
bool LvmLv::is_classic_origin() const
{
    return contains(role, "thickorigin");
}
bool LvmLv::is_external_origin() const
{
    return contains(role, "extthinorigin");
}
bool LvmLv::has_hidden_origin() const
{
    return origin.starts_with('[');
}
bool LvmLv::is_partial() const
{
    return attributes[8] == 'p';
}
bool LvmLv::is_invalid() const
{
    return attributes[4] == 'I' || attributes[4] == 'S';
}
bool LvmLv::is_merging() const
{
    return attributes[0] == 'O' || attributes[0] == 'S';
}
std::uint64_t LvmLv::visible_size() const
{
    return is_classic_snapshot() ? origin_size : size;
}

const LvmLv* LvmGroup::find(std::string_view lv_name) const
{
    const auto found =
        std::find_if(lvs.begin(), lvs.end(), [&](const auto& lv) { return lv.name == lv_name; });
    return found == lvs.end() ? nullptr : &*found;
}

const LvmLv* LvmGroup::find_uuid(std::string_view lv_uuid) const
{
    const auto found =
        std::find_if(lvs.begin(), lvs.end(), [&](const auto& lv) { return lv.uuid == lv_uuid; });
    return found == lvs.end() ? nullptr : &*found;
}

std::vector<const LvmLv*> LvmGroup::volumes_in(const LvmLv& lv) const
{
    std::vector<const LvmLv*> result;
    if (lv.is_thin_pool() || lv.is_other_pool())
        for (const auto& other : lvs)
            if (other.pool == lv.name)
                result.push_back(&other);
    return result;
}

std::vector<const LvmLv*> LvmGroup::thin_pools() const
{
    std::vector<const LvmLv*> result;
    for (const auto& lv : lvs)
        if (lv.is_thin_pool())
            result.push_back(&lv);
    return result;
}

std::uint64_t LvmGroup::usable_extents() const
{
    std::uint64_t result = 0;
    for (const auto& pv : pvs)
        if (!pv.missing && pv.allocatable)
            result += pv.free / extent_size;
    return result;
}

bool LvmGroup::is_exported() const
{
    return attributes.size() > 2 && attributes[2] == 'x';
}

Command lvm_report_command(const std::string& group)
{
    auto command = report_command(true);
    add_operands(command, {checked_group_name(group)});
    return command;
}

Command lvm_groups_command()
{
    return report_command(false);
}

std::vector<LvmGroup> parse_lvm_report(std::string_view text)
{
    if (text.size() > output_limit)
        refuse("its report has " + std::to_string(text.size()) + " bytes");
    const auto report = parse_bounded(text);
    if (!report.is_object())
        refuse("its report is no object");
    std::vector<LvmGroup> result;
    for (const auto& entry : table(report, "report"))
        // The devices without a group have an entry of their own, without a table "vg".
        if (!entry.is_object() || entry.contains("vg"))
            result.push_back(parse_group(entry));
    return result;
}

std::optional<LvmGroup> find_lvm_group(CommandRunner& runner, const std::string& group, Job* job)
{
    auto command = lvm_report_command(group);
    command.accepted = {0, lvm_failed};
    const auto result = runner.run(command, job);
    auto groups = parse_lvm_report(result.output);
    for (auto& found : groups)
        if (found.name == group)
            return std::move(found);
    explain_absence(group, result.errors);
    explain_rights(result);
    if (result.exit_status == lvm_failed &&
        result.errors.find("\"" + group + "\" not found") == result.errors.npos)
        throw exit_error(command, result);
    return std::nullopt;
}

LvmGroup read_lvm_group(CommandRunner& runner, const std::string& group, Job* job)
{
    if (auto found = find_lvm_group(runner, group, job))
        return std::move(*found);
    throw Error(ErrorCode::not_found, shown(group) + ": there is no such volume group",
                "make it, build the pool, or bring back its devices");
}

std::vector<LvmGroup> read_lvm_groups(CommandRunner& runner, Job* job)
{
    auto command = lvm_groups_command();
    command.accepted = {0, lvm_failed};
    const auto result = runner.run(command, job);
    explain_rights(result);
    if (result.exit_status == lvm_failed)
        throw exit_error(command, result);
    return parse_lvm_report(result.output);
}

} // namespace storage::inline v1
