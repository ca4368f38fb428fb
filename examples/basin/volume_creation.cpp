// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs that make volumes.
#include "shared.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>
#include <vector>

namespace command {

namespace {

using storage::CreateFlags;
using storage::VolumeDef;
using storage::VolumePurpose;

constexpr std::string_view group = "Making volumes";

CreateFlags create_flags(const Call& call)
{
    constexpr std::array<std::pair<std::string_view, CreateFlags>, 4> switches{{
        {"prealloc-metadata", CreateFlags::prealloc_metadata},
        {"reflink", CreateFlags::reflink},
        {"linked", CreateFlags::linked},
        {"digest", CreateFlags::digest},
    }};
    constexpr std::array<std::pair<std::string_view, CreateFlags>, 3> preallocations{{
        {"metadata", CreateFlags::prealloc_metadata},
        {"falloc", CreateFlags::prealloc_falloc},
        {"full", CreateFlags::prealloc_full},
    }};
    call.exclusive({"prealloc-metadata", "prealloc"});
    call.exclusive({"reflink", "linked"});
    auto flags = CreateFlags::none;
    for (const auto& [name, flag] : switches)
        if (call.given(name))
            flags = flags | flag;
    if (!call.given("prealloc"))
        return flags;
    const auto wanted = call.text("prealloc");
    for (const auto& [name, flag] : preallocations)
        if (name == wanted)
            return flags | flag;
    throw UsageError("preallocation '" + wanted + "' is not known",
                     "use one of: metadata falloc full");
}

VolumeDef read_definition(Call& call, const std::string& pool_type, VolumePurpose purpose)
{
    return storage::parse_volume(
        read_file(call.text("file")), pool_type, purpose,
        {.strict = call.given("validate"), .on_ignored = call.on_ignored()});
}

void create(Call& call, Pool& pool, const VolumeDef& def, const std::string& how)
{
    const auto flags = create_flags(call);
    std::optional<Volume> volume;
    if (call.change([&](Job* job) { volume = pool.create_volume(def, flags, job); }))
        call.done("Vol " + def.name + " created" + how, identity(*volume));
}

void create_from(Call& call, Pool& pool, const VolumeDef& def, const Volume& source,
                 const std::string& how)
{
    const auto flags = create_flags(call);
    std::optional<Volume> volume;
    if (call.change([&](Job* job) { volume = pool.create_volume_from(def, source, flags, job); }))
        call.done("Vol " + def.name + how + source.name(), identity(*volume));
}

void vol_create(Call& call)
{
    auto pool = call.pool();
    create(call, pool, read_definition(call, pool.type(), VolumePurpose::create),
           " from " + call.text("file"));
}

/** Of a volume of this pool by its name, or any volume by key or path; in pools of type rbd also of
 * its snapshot, "VOLUME@SNAPSHOT". */
std::string backing_path(Call& call, const Pool& pool, const std::string& wanted)
{
    try {
        return pool.find_volume(wanted).path();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found)
            throw;
        try {
            return call.volume_anywhere(wanted).path();
        } catch (const Error& elsewhere) {
            if (elsewhere.code() != ErrorCode::not_found)
                throw;
        }
        const auto at = wanted.rfind('@');
        if (pool.type() != "rbd" || at == wanted.npos)
            throw;
        return backing_path(call, pool, wanted.substr(0, at)) + wanted.substr(at);
    }
}

storage::BackingStore backing_store(Call& call, const Pool& pool)
{
    storage::BackingStore backing{.path = backing_path(call, pool, call.text("backing-vol")),
                                  .format = call.text("backing-vol-format")};
    backing.format_declared = !backing.format.empty();
    return backing;
}

void vol_create_as(Call& call)
{
    auto pool = call.pool();
    VolumeDef def;
    def.name = call.text("name");
    def.capacity = call.size("capacity");
    if (call.given("allocation"))
        def.allocation = call.size("allocation");
    def.target.format = call.text("format");
    if (call.given("backing-vol"))
        def.backing.push_back(backing_store(call, pool));
    else if (call.given("backing-vol-format"))
        throw UsageError("--backing-vol-format needs --backing-vol",
                         "name the volume below as well");
    if (!print_only(
            call, [&] { return format_volume(def, pool.type()); }, [&] { return to_json(def); }))
        create(call, pool, def, {});
}

void vol_create_from(Call& call)
{
    auto pool = call.pool();
    const auto source = call.volume("vol", call.given("inputpool") ? "inputpool" : "pool");
    create_from(call, pool, read_definition(call, pool.type(), VolumePurpose::create_from), source,
                " created from input vol ");
}

/** chown(2): root alone gives files away; a group may have those of its members. */
bool may_give_to_user(std::uint32_t owner)
{
    return ::geteuid() == 0 || owner == ::geteuid();
}

bool may_give_to_group(std::uint32_t owning)
{
    if (::geteuid() == 0 || owning == ::getegid())
        return true;
    const int count = ::getgroups(0, nullptr);
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(count, 0)));
    return ::getgroups(count, groups.data()) == count &&
           std::find(groups.begin(), groups.end(), owning) != groups.end();
}

/** What of a volume's description also describes a copy of it. */
VolumeDef copy_of(const VolumeDef& original, const std::string& name)
{
    auto def = original;
    def.name = name;
    def.key.clear();
    def.type.reset();
    def.physical = 0;
    def.extents.clear();
    def.target.path.clear();
    def.target.timestamps.reset();
    def.target.data_file.reset(); // which no two images may use
    std::erase(def.target.features, "data_file");
    auto& permissions = def.target.permissions;
    if (permissions.owner && !may_give_to_user(*permissions.owner))
        permissions.owner.reset();
    if (permissions.group && !may_give_to_group(*permissions.group))
        permissions.group.reset();
    return def;
}

void vol_clone(Call& call)
{
    const auto source = call.volume();
    auto pool = source.pool();
    auto def = copy_of(source.definition(), call.text("newname"));
    if (call.given("linked")) // the pool's own for that: the original's may know no backing image
        def.target.format.clear();
    if (!print_only(
            call, [&] { return format_volume(def, pool.type()); }, [&] { return to_json(def); }))
        create_from(call, pool, def, source, " cloned from ");
}

constexpr Option prealloc{.name = "prealloc-metadata",
                          .help = "allocate the metadata of a qcow2 image"};
constexpr Option preallocation{.name = "prealloc",
                               .takes = Takes::preallocation,
                               .help = "of a qcow2 image: metadata, falloc or full",
                               .named_only = true};
constexpr Option linked{.name = "linked",
                        .help = "an image based on the original, which must not change any more"};
constexpr Option digest{.name = "digest", .help = "print the SHA-256 of the content"};
constexpr Option reflink{.name = "reflink",
                         .help = "share the data with the original (copy on write)"};
constexpr Option validate{.name = "validate", .help = "refuse what would be ignored"};
constexpr Option print_xml{.name = "print-xml", .help = "print the XML and create nothing"};
constexpr Option file{.name = "file",
                      .takes = Takes::file,
                      .help = "file with the XML of a volume, - for standard input",
                      .required = true};

} // namespace

std::vector<Verb> volume_creation_verbs()
{
    return {
        {"vol-create",
         group,
         "Create a volume from an XML file",
         "basin vol-create vms disk.xml",
         {pool_option, file, prealloc, preallocation, validate},
         vol_create},
        {"vol-create-as",
         group,
         "Create a volume from arguments",
         "basin vol-create-as vms disk.img 10G --allocation 0",
         {pool_option,
          {.name = "name", .takes = Takes::text, .help = "name of the volume", .required = true},
          {.name = "capacity",
           .takes = Takes::size,
           .help = "bytes, or with a unit: 10G is 10 GiB",
           .required = true},
          {.name = "allocation",
           .takes = Takes::size,
           .help = "bytes to allocate at once (default: all)"},
          {.name = "format", .takes = Takes::volume_format, .help = "format of the image"},
          {.name = "backing-vol",
           .takes = Takes::volume,
           .help = "volume below; in rbd pools also VOLUME@SNAPSHOT"},
          {.name = "backing-vol-format", .takes = Takes::volume_format, .help = "its format"},
          prealloc,
          preallocation,
          print_xml},
         vol_create_as},
        {"vol-create-from",
         group,
         "Create a volume from an XML file with the content of another",
         "basin vol-create-from vms copy.xml disk.img",
         {pool_option,
          file,
          volume_option,
          {.name = "inputpool", .takes = Takes::pool, .help = "pool of the other volume"},
          prealloc,
          preallocation,
          reflink,
          linked,
          digest,
          validate},
         vol_create_from},
        {"vol-clone",
         group,
         "Copy a volume within its pool",
         "basin vol-clone disk.img copy.img --pool vms",
         {volume_option,
          {.name = "newname", .takes = Takes::text, .help = "name of the copy", .required = true},
          optional_pool_option,
          prealloc,
          preallocation,
          reflink,
          linked,
          digest,
          print_xml},
         vol_clone},
    };
}

} // namespace command
