// SPDX-License-Identifier: LGPL-2.1-or-later
#include "volume_lookup.hpp"

#include "backing_chain.hpp"
#include "mounted_paths.hpp"
#include "names.hpp"
#include "owner_access.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <set>

namespace storage::inline v1 {

bool find_volume_name(PoolAccess& access, std::string_view name)
{
    {
        const std::shared_lock reading(access.pool->table_mutex);
        const auto& table = access.pool->table;
        if (table && !access.pool->news.want_some() && table->find_index(name))
            return true;
    }
    // Not known here, or not read yet: one volume is asked for, not all are read.
    try {
        check_volume_name(name);
    } catch (const Error&) {
        return false;
    }
    return look(access.pool, [pool = access.pool, name = std::string(name)] {
        return PoolAccess(pool).update_volume(name);
    });
}

namespace {

/** "" when the path does not lead anywhere. */
std::string real_path(const std::string& path)
{
    const std::unique_ptr<char, void (*)(void*)> result(::realpath(path.c_str(), nullptr),
                                                        std::free);
    return result ? std::string(result.get()) : std::string();
}

/** The real path of a path whose last component is taken as it is; "" when its directory does not
 * exist. */
std::string real_entry(const std::string& path)
{
    const auto directory = real_path(parent_directory(path));
    return directory.empty() ? directory
                             : directory + path.substr(std::min(path.rfind('/'), path.size()));
}

/** In pools whose volumes lie in a directory: the name, when the path is that of a direct entry. */
std::string_view entry_below(const std::string& directory, std::string_view path)
{
    if (directory.empty() || path.size() <= directory.size() + 1 || !path.starts_with(directory) ||
        path[directory.size()] != '/')
        return {};
    const auto name = path.substr(directory.size() + 1);
    return name.find('/') == std::string_view::npos ? name : std::string_view();
}

bool keeps_volumes_in_target(const PoolDef& def)
{
    return backend_type(def.type).info.volume_type == VolumeType::file;
}

/** Network objects are not named by paths of this host: their servers need not be asked. */
bool may_know(const PoolDef& def, std::string_view path)
{
    return backend_type(def.type).info.volume_type != VolumeType::network || !path.starts_with('/');
}

/** The started pools in which a volume may have this key or path, as it is written. */
std::vector<PoolPointer> candidates(const Context::Impl& context, std::string_view text)
{
    return context.all_where([&](const PoolFiles& files) {
        return files.started && may_know(files.started->definition, text) &&
               (!entry_below(files.started->definition.target.path, text).empty() ||
                !keeps_volumes_in_target(files.started->definition));
    });
}

/** The volume that find() names in one of the pools. */
template <typename Find>
std::optional<Volume> search(Context::Impl& context, const std::vector<PoolPointer>& pools,
                             Find&& find)
{
    for (const auto& pool : pools) {
        try {
            PoolAccess access(pool);
            access.require_started();
            if (auto name = find(access); !name.empty())
                return Volume::Access::make(pool, std::move(name));
        } catch (
            const Error& error) { // a pool that does not work must not hide the others' volumes
            context.log(LogLevel::info,
                        std::string("passed over while looking for a volume: ") + error.what());
        }
    }
    return std::nullopt;
}

/** Whether a path in the other pool is not the same in this one. */
bool is_elsewhere(const PoolAccess& access, const PoolPointer& other, bool if_not_known)
{
    try {
        return !ask_neighbour(other, [pool = access.pool, other] {
            PoolAccess mine(pool);
            PoolAccess theirs(other);
            return has_same_paths(mine, theirs);
        });
    } catch (const Error&) {
        return if_not_known;
    }
}

/** A pool's volumes for a call on another one: those of the last look, where the storage does not
 * answer soon. */
PoolAccess::Volumes present_volumes(PoolAccess& access,
                                    std::chrono::milliseconds patience = neighbour_limit)
{
    const auto& pool = access.pool;
    {
        std::shared_lock reading(pool->table_mutex);
        if (pool->table && (!pool->news.want_some() || pool->news.refreshing()))
            return {pool->table, std::move(reading)};
    }
    try {
        ask_neighbour(
            pool, [pool] { PoolAccess(pool).volumes(); }, patience);
    } catch (const Error& error) {
        const std::shared_lock reading(pool->table_mutex);
        if (error.code() != ErrorCode::timed_out || !pool->table)
            throw;
        access.context->log(LogLevel::warning, error.what());
    }
    std::shared_lock reading(pool->table_mutex);
    if (!pool->table)
        throw Error(ErrorCode::invalid_state, access.title() + " was stopped meanwhile");
    return {pool->table, std::move(reading)};
}

/** The name in the path of a network object, where it is one of this pool: nobody has to tell of
 * those that other hosts make. */
std::string_view image_in(PoolAccess& access, std::string_view path)
{
    const auto& source = access.def().source.name;
    if (access.info().volume_type != VolumeType::network || !path.starts_with(source + '/'))
        return {};
    const auto name = path.substr(source.size() + 1);
    return name.find('/') == name.npos ? name : std::string_view();
}

std::string find_in(PoolAccess& access, std::string_view text, bool by_key)
{
    const auto name = entry_below(access.def().target.path, text);
    if (!name.empty() && find_volume_name(access, name))
        return std::string(name);
    if (keeps_volumes_in_target(access.def()))
        return {}; // key and path are always target and name
    if (const auto scheme = backend_type(access.def().type).path_scheme;
        !by_key && !scheme.empty() && text.starts_with(scheme))
        text.remove_prefix(scheme.size());
    if (const auto image = image_in(access, text); !by_key && !image.empty())
        return find_volume_name(access, image) ? std::string(image) : std::string();
    const auto volumes = present_volumes(access);
    const auto index =
        by_key ? volumes.table->find_by_key(text) : volumes.table->find_by_path(text);
    return index ? std::string(volumes.table->name(*index)) : std::string();
}

std::vector<PoolPointer> started_pools(const Context::Impl& context)
{
    return context.all_where([](const PoolFiles& files) { return files.started != nullptr; });
}

/** Whether a reference leads to one certain file, however it is spelt. */
class SameFile {
public:
    /** @param flags  AT_SYMLINK_NOFOLLOW: the file may be a link */
    SameFile(Context::Impl& context, const std::string& path, int flags)
        : context_(context), path_(path), flags_(flags)
    {
    }
    bool operator()(std::string_view reference)
    {
        if (reference == path_)
            return true;
        if (!reference.starts_with('/') || !exists())
            return false;
        const auto [entry, is_new] = known_.emplace(reference, false);
        if (is_new)
            entry->second = leads_here(entry->first);
        return entry->second;
    }

private:
    bool exists() // most paths are not asked about: most pools refer to nothing
    {
        if (!exists_)
            exists_ = ::fstatat(AT_FDCWD, path_.c_str(), &info_, flags_) == 0;
        return *exists_;
    }
    bool leads_here(const std::string& reference)
    {
        const auto look = [reference, flags = flags_, here = info_] {
            struct stat there {};
            return ::fstatat(AT_FDCWD, reference.c_str(), &there, flags) == 0 &&
                   there.st_dev == here.st_dev && there.st_ino == here.st_ino;
        };
        if (!mounts_)
            mounts_.emplace(context_.system);
        if (mounts_->are_together(path_, reference))
            return look();
        // A server that hangs holds up nobody whose volumes lie elsewhere.
        const auto directory = parent_directory(reference);
        for (const auto& pool : started_pools(context_))
            if (const auto start = pool->files()->started;
                start && pool->left_calls->count() != 0 &&
                start->definition.target.path == directory)
                return false;
        constexpr std::chrono::milliseconds patience{50};
        return look_elsewhere(context_, *mounts_, reference, patience, look).value_or(false);
    }

    Context::Impl& context_;
    const std::string& path_;
    int flags_;
    std::optional<bool> exists_{};
    struct stat info_ {};
    std::optional<MountedPaths> mounts_{};
    std::map<std::string, bool, std::less<>> known_{}; ///< many clones share one base
};

/** Whether its storage can be asked without waiting for a server. */
bool answers_at_once(const PoolPointer& pool)
{
    return pool->steadiness == Steadiness::steady && pool->left_calls->count() == 0;
}

/** Where a pool's target is; "" where its storage does not say so soon. */
std::string real_target(PoolAccess& access)
{
    const auto& pool = access.pool;
    const auto find = [path = access.def().target.path] { return real_path(path); };
    if (answers_at_once(pool))
        return find();
    return ask_neighbour(pool, find);
}

/** Takes in what other programs made or wrote in a pool since it was read: an overlay that nobody
 * told of must not lose what it is based on. */
void find_news(const PoolPointer& pool)
{
    PoolAccess access(pool);
    const std::lock_guard one_at_a_time(pool->finding_mutex);
    if (const std::shared_lock reading(pool->table_mutex); !pool->table)
        return; // all are about to be read
    access.active_backend();
    const auto& start = access.files->started;
    const auto look_at_touched = [&] {
        const auto touched = access.context->directory_news.take(start);
        try {
            if (touched)
                for (const auto& name : *touched)
                    access.update_volume(name);
        } catch (const Error&) { // no volume, but something that a diagnostic tells of
            return false;
        }
        return touched.has_value();
    };
    try {
        if (!look_at_touched())
            access.refresh(nullptr, PoolAccess::Announce::found);
    } catch (const Error&) {
        access.context->directory_news.forget(start);
        throw;
    }
}

/** The same where the storage may not answer, and tells nothing of what others do: only names are
 * asked for, and only new ones are opened. */
void find_new_volumes(const PoolPointer& pool)
{
    PoolAccess access(pool);
    for (const auto& name : access.active_backend().names(nullptr)) {
        {
            const std::shared_lock reading(pool->table_mutex);
            if (!pool->table || pool->table->find_index(name))
                continue;
        }
        try {
            access.update_volume(name);
        } catch (const Error&) { // no volume, but something that a diagnostic tells of
        }
    }
}

/** What others did to a pool, for a call that asks what depends on a volume. */
void take_in_news(const PoolPointer& pool, bool is_own)
{
    constexpr std::chrono::milliseconds little{50}; // a server that hangs holds nobody else up
    if (answers_at_once(pool))
        find_news(pool);
    else if (is_own || pool->left_calls->count() == 0)
        ask_neighbour(
            pool, [pool] { find_new_volumes(pool); },
            is_own ? PoolAccess(pool).context->options.look_timeout : little);
}

/**
 * Calls visit(volume name, reference) for all of a pool. The call's own pool is no neighbour: what
 * it takes to read it is part of the call, and so is the error. Another one that cannot be read is
 * passed over.
 */
template <typename Visit>
void visit_references(Context::Impl& context, const PoolPointer& pool, bool is_own, Visit&& visit)
{
    const auto pass_over = [&](const Error& error) {
        if (is_own)
            throw;
        context.log(LogLevel::warning,
                    std::string("passed over while looking for dependent volumes: ") +
                        error.what());
    };
    try {
        PoolAccess access(pool);
        access.require_started();
        if (keeps_volumes_in_target(access.def()))
            take_in_news(pool, is_own);
    } catch (const Error& error) {
        pass_over(error); // what is known of it counts
    }
    try {
        PoolAccess access(pool);
        access.require_started();
        const auto volumes =
            present_volumes(access, is_own ? context.options.look_timeout : neighbour_limit);
        const auto& table = *volumes.table;
        auto left = table.referring_count();
        for (VolumeTable::Index i = 0; left > 0 && i < table.size(); ++i) {
            if (!table.has_references(i))
                continue;
            --left;
            table.for_each_reference(
                i, [&](std::string_view reference) { visit(table.name(i), reference); });
        }
    } catch (const Error& error) {
        pass_over(error);
    }
}

} // namespace

std::optional<Volume> volume_with_key(Context::Impl& context, std::string_view key)
{
    return search(context, candidates(context, key),
                  [&](PoolAccess& access) { return find_in(access, key, true); });
}

bool has_same_paths(PoolAccess& access, PoolAccess& other)
{
    return access.pool == other.pool || access.info().volume_type != VolumeType::network ||
           other.info().volume_type != VolumeType::network ||
           access.active_backend().path_scope() == other.active_backend().path_scope();
}

std::optional<Volume> volume_with_path(Context::Impl& context, std::string_view path)
{
    if (auto volume = search(context, candidates(context, path),
                             [&](PoolAccess& access) { return find_in(access, path, false); }))
        return volume;
    const auto real =
        look_elsewhere(context, MountedPaths(context.system), std::string(path), neighbour_limit,
                       [path = std::string(path)] { return real_entry(path); });
    if (!real || real->empty())
        return std::nullopt;
    return search(context, started_pools(context), [&](PoolAccess& access) {
        const auto name = entry_below(real_target(access), *real);
        return !name.empty() && find_volume_name(access, name) ? std::string(name) : std::string();
    });
}

std::vector<Reference> references_into(PoolAccess& access)
{
    std::vector<Reference> references;
    const auto prefix = access.def().target.path + '/';
    if (prefix.size() == 1)
        return references;
    for (const auto& pool : started_pools(*access.context))
        if (pool != access.pool)
            visit_references(*access.context, pool, false,
                             [&](std::string_view name, std::string_view reference) {
                                 if (reference.starts_with(prefix))
                                     references.push_back(
                                         {Volume::Access::make(pool, std::string(name)),
                                          std::string(reference)});
                             });
    return references;
}

namespace {

ChainVolume chain_volume(const Volume& volume, const std::string& path)
{
    return {.pool_name = Volume::Access::pool(volume)->name,
            .volume_name = volume.name(),
            .path = path.starts_with('/') ? normalised_path(path) : path,
            .inspect = [volume] { return volume.inspect(); }};
}

/** The volume at a path that means what it does in this pool, which has it itself if it can. */
std::optional<Volume> volume_seen_from(PoolAccess& access, std::string_view path)
{
    auto pools = candidates(*access.context, path);
    std::erase_if(pools, [&](const PoolPointer& pool) { return is_elsewhere(access, pool, true); });
    std::stable_partition(pools.begin(), pools.end(),
                          [&](const PoolPointer& pool) { return pool == access.pool; });
    return search(*access.context, pools,
                  [&](PoolAccess& there) { return find_in(there, path, false); });
}

} // namespace

std::vector<ChainLink> image_chain(Context::Impl& context, const Volume& volume,
                                   const std::string& path)
{
    return follow_chain(chain_volume(volume, path), [&](const std::string& below) {
        const auto found = volume_with_path(context, below);
        return found ? std::optional(chain_volume(*found, found->path())) : std::nullopt;
    });
}

std::vector<ChainLink> origins_of(Volume volume)
{
    std::vector<ChainLink> links;
    for (std::optional<Volume> above = std::move(volume); above;) {
        PoolAccess access(Volume::Access::pool(*above));
        if (keeps_volumes_in_target(access.def()))
            break; // of files their headers tell
        std::vector<BackingStore> backing;
        try {
            backing = above->definition().backing;
        } catch (const Error& error) {
            if (links.empty()) // the volume itself
                throw;
            links.back().state =
                error.code() == ErrorCode::not_found ? ChainState::missing : ChainState::unreadable;
        }
        if (backing.empty())
            break;
        const bool is_network = access.info().volume_type == VolumeType::network;
        const auto& path = backing.front().path;
        auto& link = links.emplace_back(ChainLink{
            .reference = path, .path = is_network ? "" : path, .format = backing.front().format});
        if (links.size() == chain_limit) {
            link.state = ChainState::too_deep;
            break;
        }
        above = volume_seen_from(access, path);
        if (above) {
            link.pool_name = Volume::Access::pool(*above)->name;
            link.volume_name = above->name();
        } else {
            link.state = is_network ? ChainState::network : ChainState::outside;
        }
    }
    return links;
}

namespace {

constexpr auto in_a_pool = "define a pool where it lies, if it is meant to be read";

std::string no_pool_has(const std::string& path)
{
    return shown(path) + ", which no active pool has";
}

std::string not_on_this_host(const std::string& reference)
{
    return shown(reference) + ", which is not certainly a file of this host";
}

/** What is wrong with an image below another one. */
UntrustedReference broken(const ChainLink& link)
{
    switch (link.state) {
    case ChainState::missing:
        return {"refers to " + shown(link.path) + ", where nothing is",
                "bring it back, or base the image on what takes its place"};
    case ChainState::network:
        return {"refers to " + not_on_this_host(link.reference),
                "base it on a volume of a pool, or flatten it with a program that may open that"};
    case ChainState::unreadable:
        return {"refers to " + shown(link.path) + ", which cannot be read as an image of format '" +
                    link.format + "'",
                "declare the format that it has"};
    case ChainState::cycle:
        return {"refers to " + shown(link.path) + ", which is based on it", "base it on another"};
    case ChainState::too_deep:
        return {"is based on more than " + std::to_string(chain_limit) + " images",
                "flatten one of them first"};
    case ChainState::outside:
    case ChainState::ok: break;
    }
    return {"refers to " + no_pool_has(link.path), in_a_pool};
}

/** Programs open a chain's images by their paths. */
void require_own_link(const Volume& volume, const std::string& path)
{
    if (keeps_volumes_in_target(PoolAccess(Volume::Access::pool(volume)).def()))
        open_content(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

/** Of an image that is damaged it is not certain where a program would be led. */
const ImageFinding* damage_of(const ImageInfo& header)
{
    const auto found = std::find_if(
        header.findings.begin(), header.findings.end(),
        [](const ImageFinding& finding) { return finding.issue != ImageIssue::marked_dirty; });
    return found == header.findings.end() ? nullptr : &*found;
}

/** Of VMDK: a part that is an image may have its data in further files. */
bool may_lead_on(const ImageInfo& part)
{
    return part.format == ImageFormat::vmdk && (!part.extents.empty() || damage_of(part));
}

} // namespace

std::optional<UntrustedReference> foreign_data(Context::Impl& context, const std::string& path,
                                               const ImageInfo& header)
{
    auto own = header;
    own.backing.reset();
    for (const auto& reference : references_of(parent_directory(path), own)) {
        const auto volume =
            reference.starts_with('/') ? volume_with_path(context, reference) : std::nullopt;
        if (!volume)
            return reference.starts_with('/')
                       ? UntrustedReference{"has data in " + no_pool_has(reference),
                                            "define a pool where it lies, if it is meant to be "
                                            "used"}
                       : UntrustedReference{"has data in " + not_on_this_host(reference),
                                            "make it anew, with its data in a volume of a pool"};
        require_own_link(*volume, reference);
        if (!header.extents.empty() && may_lead_on(volume->inspect()))
            return UntrustedReference{"has data in " + shown(reference) +
                                          ", which has data in further files",
                                      "convert it with a program that you tell"};
    }
    return std::nullopt;
}

std::optional<UntrustedReference> untrusted_reference(Context::Impl& context, const Volume& volume)
{
    const auto chain = image_chain(context, volume, volume.path());
    for (const auto& link : chain) {
        if (link.state != ChainState::ok)
            return broken(link);
        const auto image = link.path.empty() ? std::nullopt : volume_with_path(context, link.path);
        if (image)
            require_own_link(*image, link.path);
        if (link.format == "raw" || link.format == "dir")
            continue;
        if (!image)
            return UntrustedReference{"refers to " + no_pool_has(link.path), in_a_pool};
        const auto header = image->inspect();
        if (!link.format_declared &&
            (header.backing || header.data_file || !header.extents.empty()))
            return UntrustedReference{
                "refers to " + shown(link.path) + " without its format, and that begins as a '" +
                    link.format + "' image which refers to others: a guest may have written that",
                "record what it is in the image above, as 'qemu-img rebase -u' does, or flatten it "
                "with a program that you tell"};
        const bool is_below = &link != &chain.front();
        if (const auto* damage = is_below ? damage_of(header) : nullptr)
            return UntrustedReference{"refers to " + shown(link.path) +
                                          ", which is damaged: " + damage->message,
                                      "check it with qemu-img check"};
        if (auto file = foreign_data(context, link.path, header))
            return file;
    }
    return std::nullopt;
}

std::vector<Volume> dependents_of(PoolAccess& access, const std::string& path, Links links)
{
    auto& context = *access.context;
    std::vector<Volume> dependents;
    SameFile refers(context, path, links == Links::followed ? 0 : AT_SYMLINK_NOFOLLOW);
    for (const auto& pool : context.all_where([&](const PoolFiles& files) {
             return files.started && may_know(files.started->definition, path);
         }))
        visit_references(context, pool, pool == access.pool,
                         [&](std::string_view name, std::string_view reference) {
                             if (!refers(reference))
                                 return;
                             if (dependents.empty() || dependents.back().name() != name ||
                                 Volume::Access::pool(dependents.back()) != pool)
                                 dependents.push_back(
                                     Volume::Access::make(pool, std::string(name)));
                         });
    std::erase_if(dependents, [&](const Volume& volume) {
        const auto& pool = Volume::Access::pool(volume);
        return is_elsewhere(access, pool, false) ||
               // that another program took away
               (answers_at_once(pool) && !PoolAccess(pool).update_volume(volume.name()));
    });
    std::sort(dependents.begin(), dependents.end(), [](const Volume& a, const Volume& b) {
        return std::pair(Volume::Access::pool(a)->name, a.name()) <
               std::pair(Volume::Access::pool(b)->name, b.name());
    });
    return dependents;
}

} // namespace storage::inline v1
