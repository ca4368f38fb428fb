// SPDX-License-Identifier: LGPL-2.1-or-later
// The JSON view of an ImageInfo: the members' names as keys, absent parts left out.
#include <basin/image.hpp>

#include <nlohmann/json.hpp>

namespace storage::inline v1 {

namespace {

using Json = nlohmann::ordered_json;

/** Adds a member unless it is empty. */
template <typename Value>
void put(Json& object, const char* name, const Value& value)
{
    if (!(value == Value{}))
        object[name] = value;
}

Json reference_json(const ImageReference& reference)
{
    Json json = Json::object();
    json["path"] = reference.path;
    put(json, "format", reference.format);
    json["format_declared"] = reference.format_declared;
    put(json, "uuid", reference.uuid);
    return json;
}

Json encryption_json(const Encryption& encryption)
{
    Json json = Json::object();
    json["format"] = encryption.format;
    if (encryption.cipher) {
        auto& cipher = json["cipher"] = Json::object();
        put(cipher, "name", encryption.cipher->name);
        put(cipher, "size", encryption.cipher->size);
        put(cipher, "mode", encryption.cipher->mode);
        put(cipher, "hash", encryption.cipher->hash);
    }
    if (encryption.ivgen) {
        auto& ivgen = json["ivgen"] = Json::object();
        put(ivgen, "name", encryption.ivgen->name);
        put(ivgen, "hash", encryption.ivgen->hash);
    }
    return json;
}

} // namespace

std::string to_json(const ImageInfo& info)
{
    Json json = Json::object();
    json["format"] = to_string(info.format);
    put(json, "variant", info.variant);
    put(json, "version", info.version);
    json["virtual_size"] = info.virtual_size;
    put(json, "cluster_size", info.cluster_size);
    put(json, "compat", info.compat);
    if (info.backing)
        json["backing"] = reference_json(*info.backing);
    if (info.data_file)
        json["data_file"] = reference_json(*info.data_file);
    put(json, "data_file_raw", info.data_file_raw);
    put(json, "extents", info.extents);
    if (info.encryption)
        json["encryption"] = encryption_json(*info.encryption);
    put(json, "features", info.features);
    put(json, "compression", info.compression);
    put(json, "refcount_bits", info.refcount_bits);
    put(json, "snapshot_count", info.snapshot_count);
    put(json, "payload_offset", info.payload_offset);
    put(json, "uuid", info.uuid);
    for (const auto& finding : info.findings)
        json["findings"].push_back(
            {{"issue", to_string(finding.issue)}, {"message", finding.message}});
    // An ImageInfo of a caller's own making may hold anything; one of inspect_image() is UTF-8.
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace storage::inline v1
