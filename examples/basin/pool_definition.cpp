// SPDX-License-Identifier: LGPL-2.1-or-later
// Verbs that make, change and forget definitions of pools.
#include "call.hpp"
#include "editor.hpp"
#include "shared.hpp"

namespace command {

namespace {

using storage::PoolDef;
using storage::PoolSource;

constexpr std::string_view group = "Definitions of pools";

PoolDef read_definition(Call& call)
{
    return storage::parse_pool(read_file(call.text("file")),
                               {.strict = call.given("validate"), .on_ignored = call.on_ignored()});
}

/** virsh's users write "-" for a positional argument that they do not want to give. */
std::string wanted(Call& call, std::string_view option)
{
    auto text = call.text(option);
    return text == "-" ? std::string() : text;
}

storage::SourceAuth read_auth(Call& call)
{
    storage::SourceAuth auth;
    const auto type = wanted(call, "auth-type");
    if (type == "ceph")
        auth.type = storage::SourceAuth::Type::ceph;
    else if (type != "chap")
        throw Error(ErrorCode::invalid_argument, "--auth-type '" + type + "' is not known",
                    "use chap or ceph");
    auth.username = wanted(call, "auth-username");
    auth.secret.usage = wanted(call, "secret-usage");
    auth.secret.uuid = wanted(call, "secret-uuid");
    return auth;
}

std::optional<storage::SourceAdapter> read_adapter(Call& call)
{
    storage::SourceAdapter adapter{
        .name = wanted(call, "adapter-name"),
        .parent = wanted(call, "adapter-parent"),
        .parent_wwnn = wanted(call, "adapter-parent-wwnn"),
        .parent_wwpn = wanted(call, "adapter-parent-wwpn"),
        .parent_fabric_wwn = wanted(call, "adapter-parent-fabric-wwn"),
        .wwnn = wanted(call, "adapter-wwnn"),
        .wwpn = wanted(call, "adapter-wwpn"),
    };
    if (adapter == storage::SourceAdapter{})
        return std::nullopt;
    adapter.type = adapter.name.empty() ? storage::SourceAdapter::Type::fc_host
                                        : storage::SourceAdapter::Type::scsi_host;
    return adapter;
}

PoolDef definition_from_options(Call& call)
{
    call.exclusive({"secret-usage", "secret-uuid"});
    PoolDef def;
    def.name = call.text("name");
    def.type = call.text("type");
    def.target.path = wanted(call, "target");
    auto& source = def.source;
    if (const auto host = wanted(call, "source-host"); !host.empty())
        source.hosts.push_back({.name = host});
    if (const auto device = wanted(call, "source-dev"); !device.empty())
        source.devices.push_back({.path = device});
    source.dir = wanted(call, "source-path");
    source.name = wanted(call, "source-name");
    source.format = wanted(call, "source-format");
    source.initiator_iqn = wanted(call, "source-initiator");
    source.protocol_version = wanted(call, "source-protocol-ver");
    source.adapter = read_adapter(call);
    if (!wanted(call, "auth-type").empty())
        source.auth = read_auth(call);
    return def;
}

void define(Call& call, const PoolDef& def, const std::string& how)
{
    std::optional<Pool> pool;
    if (call.change([&](Job* job) { pool = call.context().define_pool(def, job); }))
        call.done("Pool " + def.name + " defined" + how, identity(*pool));
}

void create(Call& call, const PoolDef& def, const std::string& how)
{
    std::optional<Pool> pool;
    const auto mode = build_mode(call);
    if (call.change([&](Job* job) { pool = call.context().create_pool(def, mode, job); }))
        call.done("Pool " + def.name + " created" + how, identity(*pool));
}

void pool_define(Call& call)
{
    define(call, read_definition(call), " from " + call.text("file"));
}

void pool_define_as(Call& call)
{
    const auto def = definition_from_options(call);
    if (!print_only(
            call, [&] { return format_pool(def); }, [&] { return to_json(def); }))
        define(call, def, {});
}

void pool_create(Call& call)
{
    create(call, read_definition(call), " from " + call.text("file"));
}

void pool_create_as(Call& call)
{
    const auto def = definition_from_options(call);
    if (!print_only(
            call, [&] { return format_pool(def); }, [&] { return to_json(def); }))
        create(call, def, {});
}

void pool_undefine(Call& call)
{
    auto pool = call.pool();
    const auto details = identity(pool);
    const auto name = pool.name();
    if (call.change([&](Job* job) { pool.undefine(job); }))
        call.done("Pool " + name + " has been undefined", details);
}

/** One round: what the editor left is read and stored. @throws Error */
void define_edited(Call& call, const Pool& pool, const std::string& before,
                   const std::string& edited, bool strict)
{
    const auto def =
        storage::parse_pool(edited, {.strict = strict, .on_ignored = call.on_ignored()});
    if (def.name != pool.name() || (!def.uuid.empty() && def.uuid != pool.uuid()))
        throw Error(ErrorCode::invalid_argument,
                    "pool '" + pool.name() + "': name and uuid cannot be edited",
                    "define another pool, and undefine this one");
    if (pool.xml(storage::Which::next) != before)
        throw Error(ErrorCode::busy,
                    "pool '" + pool.name() + "': somebody else changed the definition meanwhile",
                    "edit it again");
    auto with_uuid = def;
    with_uuid.uuid = pool.uuid();
    if (call.change([&](Job* job) { call.context().define_pool(with_uuid, job); }))
        call.done("Pool " + pool.name() + " XML configuration edited.",
                  identity(pool).boolean("changed", true));
}

void pool_edit(Call& call)
{
    const auto pool = call.pool();
    const auto before = pool.xml(storage::Which::next);
    EditedFile file(before);
    for (bool strict = true;;) {
        const auto edited = file.edit();
        if (edited == before) {
            call.done("Pool " + pool.name() + " XML configuration not changed.",
                      identity(pool).boolean("changed", false));
            return;
        }
        try {
            define_edited(call, pool, before, edited, strict);
            return;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::busy)
                throw;
            switch (ask_again(error.what())) {
            case Again::no: throw;
            case Again::yes: break;
            case Again::without_validation: strict = false; break;
            }
        }
    }
}

std::vector<Option> as_options()
{
    return {
        {.name = "name", .takes = Takes::text, .help = "name of the pool", .required = true},
        {.name = "type", .takes = Takes::pool_type, .help = "type of the pool", .required = true},
        {.name = "print-xml", .help = "print the XML and define nothing"},
        {.name = "source-host", .takes = Takes::text, .help = "server"},
        {.name = "source-path", .takes = Takes::text, .help = "directory on the server"},
        {.name = "source-dev", .takes = Takes::file, .help = "device, or IQN of a target"},
        {.name = "source-name",
         .takes = Takes::text,
         .help = "name of volume group, dataset, RADOS pool …"},
        {.name = "target", .takes = Takes::directory, .help = "path of the pool on this host"},
        {.name = "source-format", .takes = Takes::text, .help = "format of the source"},
        {.name = "auth-type", .takes = Takes::text, .help = "chap or ceph"},
        {.name = "auth-username", .takes = Takes::text, .help = "user to log in as"},
        {.name = "secret-usage", .takes = Takes::text, .help = "secret, by usage"},
        {.name = "secret-uuid", .takes = Takes::text, .help = "secret, by uuid"},
        {.name = "adapter-name", .takes = Takes::text, .help = "SCSI host, such as host3"},
        {.name = "adapter-wwnn", .takes = Takes::text, .help = "node name of the virtual HBA"},
        {.name = "adapter-wwpn", .takes = Takes::text, .help = "port name of the virtual HBA"},
        {.name = "adapter-parent", .takes = Takes::text, .help = "parent HBA, such as scsi_host3"},
        {.name = "adapter-parent-wwnn", .takes = Takes::text, .help = "parent HBA, by node name"},
        {.name = "adapter-parent-wwpn", .takes = Takes::text, .help = "parent HBA, by port name"},
        {.name = "adapter-parent-fabric-wwn",
         .takes = Takes::text,
         .help = "parent HBA, by fabric"},
        {.name = "source-protocol-ver",
         .takes = Takes::text,
         .help = "version of the NFS protocol"},
        {.name = "source-initiator", .takes = Takes::text, .help = "IQN of the initiator"},
    };
}

constexpr Option file_option{.name = "file",
                             .takes = Takes::file,
                             .help = "file with the XML of a pool, - for standard input",
                             .required = true};

constexpr Option validate_option{.name = "validate", .help = "refuse what would be ignored"};

} // namespace

std::vector<Verb> pool_definition_verbs()
{
    return {
        {"pool-define",
         group,
         "Define or modify a persistent pool from an XML file",
         "basin pool-define vms.xml --validate",
         {file_option, validate_option},
         pool_define},
        {"pool-define-as", group, "Define a persistent pool from arguments",
         "basin pool-define-as vms dir --target /srv/vms", as_options(), pool_define_as},
        {"pool-create", group, "Start a transient pool from an XML file",
         "basin pool-create vms.xml --build", with_build_options({file_option, validate_option}),
         pool_create},
        {"pool-create-as", group, "Start a transient pool from arguments",
         "basin pool-create-as vms dir --target /srv/vms --build", with_build_options(as_options()),
         pool_create_as},
        {"pool-edit",
         group,
         "Edit the XML of a persistent pool in $VISUAL or $EDITOR",
         "EDITOR=nano basin pool-edit vms",
         {pool_option},
         pool_edit},
        {"pool-undefine",
         group,
         "Forget the definition of an inactive pool",
         "basin pool-undefine vms",
         {pool_option},
         pool_undefine},
    };
}

} // namespace command
