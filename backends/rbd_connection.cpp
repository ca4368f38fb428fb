// SPDX-License-Identifier: LGPL-2.1-or-later
#include "rbd_connection.hpp"

#include "job_impl.hpp"
#include "names.hpp"
#include "rbd_closing.hpp"
#include "signal_guard.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <future>
#include <netdb.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace storage::inline v1 {
namespace {

using std::chrono::seconds;

/** Where neither the call nor the definition says how long. libvirt waits as long. */
constexpr seconds default_patience{30};

std::string monitor_text(const SourceHost& host)
{
    auto name = host.name;
    if (name.find(':') != name.npos && !name.starts_with('['))
        name = '[' + name + ']';
    // Without a port Ceph tries those of both protocols.
    return host.port.value_or(0) > 0 ? name + ':' + std::to_string(*host.port) : name;
}

/** In Ceph's own way to write addresses: "v2:10.0.0.1:3300", or several. */
bool has_addresses(std::string_view name)
{
    return name.starts_with("v1:") || name.starts_with("v2:") || name.find(',') != name.npos;
}

const std::string* option(const PoolDef& def, std::string_view name)
{
    for (const auto& given : def.config_options)
        if (given.name == name)
            return &given.value;
    return nullptr;
}

seconds patience_of(const PoolDef& def)
{
    int value = 0;
    if (const auto* text = option(def, "rados_osd_op_timeout"))
        std::from_chars(text->data(), text->data() + text->size(), value);
    return value > 0 ? std::min(seconds(value), seconds(3600)) : default_patience;
}

/** In whole seconds, as Ceph counts. */
seconds patience_until(const PoolDef& def, const Job* job)
{
    const auto most = patience_of(def);
    const auto deadline = job ? job->deadline() : std::nullopt;
    if (!deadline)
        return most;
    const auto left = std::chrono::ceil<seconds>(*deadline - std::chrono::steady_clock::now());
    return std::clamp(left, seconds(1), most);
}

/** A key as Ceph prints it; a secret of libvirt has the bytes that this stands for. */
Secret key_text(const Secret& secret)
{
    auto bytes = secret.bytes();
    while (bytes.ends_with('\n') || bytes.ends_with('\r'))
        bytes.remove_suffix(1);
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!bytes.empty() &&
        bytes.find_first_not_of(digits) >= std::min(bytes.find('='), bytes.size()))
        return Secret(bytes);
    bytes = secret.bytes();
    std::vector<char> text; // of the final length at once: no copy is left behind
    text.reserve((bytes.size() + 2) / 3 * 4 + 1);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        std::uint32_t group = 0;
        for (std::size_t i = 0; i != 3; ++i)
            group = group << 8 |
                    (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u);
        for (std::size_t i = 0; i != 4; ++i)
            text.push_back(at + i <= bytes.size() && (i < 2 || at + i - 1 < bytes.size())
                               ? digits[group >> (18 - 6 * i) & 63]
                               : '=');
    }
    Secret result(std::string_view(text.data(), text.size()));
    explicit_bzero(text.data(), text.size());
    return result;
}

void give_up(std::shared_ptr<RbdConnection> connection)
{
    close_elsewhere([old = std::move(connection)]() mutable { old.reset(); });
}

bool is_usable(const std::shared_ptr<RbdConnection>& connection)
{
    return connection && connection->is_ours() && !connection->is_broken() &&
           !connection->is_refused();
}

} // namespace

RbdPlace rbd_place(const PoolDef& def)
{
    const auto& name = def.source.name;
    const auto slash = name.find('/');
    if (slash == name.npos)
        return {.pool = name};
    if (slash == 0 || slash + 1 == name.size() || name.find('/', slash + 1) != name.npos)
        throw Error(ErrorCode::invalid_argument,
                    "source name " + shown(name) + " is neither POOL nor POOL/NAMESPACE",
                    "correct the name of the source");
    return {.pool = name.substr(0, slash), .name_space = name.substr(slash + 1)};
}

std::string rbd_monitors(const PoolDef& def)
{
    std::string result;
    for (const auto& host : def.source.hosts)
        result += (result.empty() ? "" : ",") + monitor_text(host);
    return result;
}

// ---- one connection ----------------------------------------------------------------------------

RbdConnection::RbdConnection(const PoolDef& def, const Host& host, seconds patience)
    : library_(rbd_library()), monitors_(rbd_monitors(def)), place_(def.source.name),
      user_(def.source.auth ? def.source.auth->username : std::string("admin")),
      has_key_(def.source.auth.has_value()), pid_(::getpid()), patience_(patience)
{
    const auto place = rbd_place(def);
    const auto user = "client." + user_;
    if (const auto code = library_.rados_create2(&cluster_, "ceph", user.c_str(), 0); code < 0)
        throw error(code, "cannot prepare a connection to Ceph as user '" + user_ + "'");
    try {
        configure(def, host, patience);
        const auto what = "RADOS pool " + shown(place.pool) + ": cannot connect";
        if (const auto code = connect(); code == -EINVAL)
            throw Error(ErrorCode::invalid_argument,
                        what + " to " + monitors_ + ": the key of user '" + user_ +
                            "' is not one, or an address is wrong",
                        "give the secret the key that 'ceph auth get-key client." + user_ +
                            "' prints",
                        {}, EINVAL);
        else
            check(code, what);
        std::array<char, 64> fsid{};
        check(library_.rados_cluster_fsid(cluster_, fsid.data(), fsid.size()),
              "cannot ask for the cluster's id");
        // Asked at once: a monitor that has just answered. For an unknown pool it is asked again,
        // and Ceph has no limit for that.
        const auto code = library_.rados_ioctx_create(cluster_, place.pool.c_str(), &pool_);
        if (code == -ENOENT)
            throw RbdPlaceGone(
                "the cluster at " + monitors_ + " has no RADOS pool " + shown(place.pool),
                "create it ('ceph osd pool create'), or correct the name of the source");
        check(code, "cannot open RADOS pool " + shown(place.pool));
        try_although_full(library_, pool_);
        require_namespace();
        library_.rados_ioctx_set_namespace(pool_, place.name_space.c_str());
        identity_ = std::string(fsid.data()) + ' ' +
                    std::to_string(library_.rados_ioctx_get_id(pool_)) +
                    (place.name_space.empty() ? "" : " " + place.name_space);
    } catch (...) {
        if (pool_)
            library_.rados_ioctx_destroy(pool_);
        library_.rados_shutdown(cluster_);
        throw;
    }
}

void RbdConnection::require_namespace()
{
    const auto slash = place_.find('/');
    if (slash == place_.npos)
        return;
    const auto name = place_.substr(slash + 1);
    bool exists = true;
    // A user who may use the namespace alone cannot ask.
    if (library_.rbd_namespace_exists(pool_, name.c_str(), &exists) < 0 || exists)
        return;
    broken_ = true;
    throw RbdPlaceGone(
        "RADOS pool " + shown(place_.substr(0, slash)) + " has no namespace " + shown(name),
        "create it ('rbd namespace create " + place_ + "'), or correct the name of the source");
}

/** Ceph does without any of them where it cannot resolve one, and prints that on standard error. */
std::string RbdConnection::resolvable_monitors(const PoolDef& def) const
{
    std::string result;
    const auto resolve = [&](const SourceHost& host, int flags) {
        std::string name = host.name;
        if (name.starts_with('[') && name.ends_with(']'))
            name = name.substr(1, name.size() - 2);
        struct addrinfo hints {}; // by default a host would need IPv6 to take its addresses
        hints.ai_flags = flags;
        struct addrinfo* found = nullptr;
        const auto code =
            has_addresses(name) ? 0 : ::getaddrinfo(name.c_str(), nullptr, &hints, &found);
        if (found)
            ::freeaddrinfo(found);
        if (code == 0)
            result += (result.empty() ? "" : ",") + monitor_text(host);
        return code;
    };
    std::vector<const SourceHost*> names;
    for (const auto& host : def.source.hosts)
        if (resolve(host, AI_NUMERICHOST) != 0)
            names.push_back(&host);
    std::string problem;
    for (const auto* host : names) {
        const auto code = resolve(*host, 0);
        if (code != 0 && problem.empty())
            problem =
                "monitor " + shown(host->name) + " cannot be resolved: " + ::gai_strerror(code);
        if (code == EAI_AGAIN && !result.empty()) // who waited for a name server need not again
            break;
    }
    if (result.empty())
        throw Error(ErrorCode::connection,
                    "RADOS pool " + shown(rbd_place(def).pool) + ": " + problem,
                    "correct the name, or see whether the name server knows it");
    return result;
}

void RbdConnection::forgive()
{
    constexpr std::chrono::minutes worth_another{1};
    if (std::chrono::steady_clock::now() - made_ < worth_another)
        refused_ = false;
}

RbdConnection::~RbdConnection()
{
    if (!is_ours())
        return; // a child must not touch what belongs to threads that it does not have
    library_.rados_ioctx_destroy(pool_);
    library_.rados_shutdown(cluster_);
}

bool RbdConnection::is_ours() const
{
    return pid_ == ::getpid();
}

/**
 * On a new thread: Ceph draws the random part of a client's address from a generator of the thread,
 * which a forked child has in the same state as its parent. Two clients with one address would be
 * locked out together when one of them dies with a lock.
 */
int RbdConnection::connect()
{
    int code = 0;
    quiet_thread([&] { code = library_.rados_connect(cluster_); }).join();
    return code;
}

void RbdConnection::set(const std::string& name, const std::string& value)
{
    if (const auto code = library_.rados_conf_set(cluster_, name.c_str(), value.c_str()); code < 0)
        throw Error(ErrorCode::invalid_argument,
                    "Ceph does not accept option '" + name + "' with value " + shown(value),
                    "correct the pool's config_opts", {}, static_cast<int>(-code));
}

void RbdConnection::configure(const PoolDef& def, const Host& host, seconds patience)
{
    // Nothing is read from the host's files unless the definition asks for it.
    if (const auto* file = option(def, "conf"))
        check(library_.rados_conf_read_file(cluster_, file->c_str()),
              "cannot read Ceph's configuration " + shown(*file));
    if (!def.source.hosts.empty())
        set("mon_host", resolvable_monitors(def));
    // Nor does CEPH_ARGS in the environment say where the pool is, or a file what the key is.
    for (const auto* name : {"monmap", "mon_host_override"})
        library_.rados_conf_set(cluster_, name, "");
    if (def.source.auth)
        library_.rados_conf_set(cluster_, "keyring", "");
    // The application's standard error is not Ceph's to write to.
    for (const auto* name : {"log_to_stderr", "err_to_stderr"})
        set(name, "false");
    // A discard that does not cover whole objects would be left out, and the data stay readable.
    // The first is of Ceph 14.2.2 on, the second of those before.
    library_.rados_conf_set(cluster_, "rbd_discard_granularity_bytes", "0");
    library_.rados_conf_set(cluster_, "rbd_skip_partial_discard", "false");
    // Not auth_supported, which Ceph 20 does not have any more. What the cluster itself uses
    // between its daemons is nothing that a client would be asked.
    const auto& auth = def.source.auth;
    const std::string method = auth ? "cephx" : "none";
    for (const auto* name :
         {"auth_client_required", "auth_service_required", "auth_cluster_required"})
        if (auth || !option(def, "conf"))
            set(name, method);
    if (auth) {
        const auto key = key_text(host.secret({.usage = SecretUsage::ceph,
                                               .reference = auth->secret,
                                               .pool_name = def.name,
                                               .volume_name = {}}));
        std::vector<char> text(key.bytes().begin(), key.bytes().end());
        text.push_back('\0');
        const auto code = library_.rados_conf_set(cluster_, "key", text.data());
        explicit_bzero(text.data(), text.size());
        check(code, "Ceph does not accept the key of user '" + user_ + "'");
    }
    for (const auto& given : def.config_options)
        if (given.name != "conf")
            set(given.name, given.value);
    for (const auto* name :
         {"client_mount_timeout", "rados_mon_op_timeout", "rados_osd_op_timeout"}) {
        // A definition may ask for less, as may the call.
        int value = 0;
        if (const auto* text = option(def, name))
            std::from_chars(text->data(), text->data() + text->size(), value);
        const auto most = value > 0 ? std::min(seconds(value), patience) : patience;
        set(name, std::to_string(most.count()));
    }
}

void RbdConnection::set_patience()
{
    // Of calls that run at once, none may lose its time to another's haste.
    const auto longest = waiting_.empty() ? patience_ : *waiting_.rbegin();
    if (longest == patience_)
        return;
    patience_ = longest;
    for (const auto* name : {"rados_mon_op_timeout", "rados_osd_op_timeout"})
        library_.rados_conf_set(cluster_, name, std::to_string(longest.count()).c_str());
}

void RbdConnection::enter(seconds patience)
{
    const std::lock_guard lock(mutex_);
    waiting_.insert(patience);
    set_patience();
}

void RbdConnection::leave(seconds patience)
{
    const std::lock_guard lock(mutex_);
    waiting_.erase(waiting_.find(patience));
}

void RbdConnection::remember_new(const std::string& name, std::uint64_t size,
                                 std::weak_ptr<const void> call)
{
    const std::lock_guard lock(mutex_);
    std::erase_if(new_, [](const auto& entry) { return entry.second.call.expired(); });
    new_.insert_or_assign(name, NewImage{.size = size, .call = std::move(call)});
}

std::optional<std::uint64_t> RbdConnection::take_new(std::string_view name)
{
    const std::lock_guard lock(mutex_);
    const auto found = new_.find(name);
    if (found == new_.end())
        return std::nullopt;
    const auto made = std::move(found->second);
    new_.erase(found);
    return made.call.expired() ? std::nullopt : std::optional(made.size);
}

void RbdConnection::require_pool()
{
    std::array<char, 1> name{};
    if (!pool_)
        return;
    if (library_.rados_pool_reverse_lookup(cluster_, library_.rados_ioctx_get_id(pool_),
                                           name.data(), name.size()) != -ENOENT)
        return require_namespace();
    broken_ = true; // by its name another pool may be found
    throw RbdPlaceGone("RADOS pool " + shown(place_.substr(0, place_.find('/'))) +
                           " was deleted from the cluster at " + monitors_,
                       "stop the pool, or create it anew and start the pool again");
}

void try_although_full(const RbdLibrary& library, RadosPool pool)
{
    if (library.rados_set_pool_full_try)
        library.rados_set_pool_full_try(pool);
}

Error RbdConnection::error(std::int64_t code, const std::string& what)
{
    const auto number = static_cast<int>(-code);
    const auto text = [&](ErrorCode kind, const std::string& why, const std::string& remedy = {}) {
        return Error(kind, what + ": " + why, remedy, {}, number);
    };
    const auto at = monitors_.empty() ? "the cluster" : "the cluster at " + monitors_;
    switch (number) {
    case ESHUTDOWN: // Ceph's EBLOCKLISTED
        broken_ = true;
        return text(ErrorCode::connection, at + " has locked this client out",
                    "try again, with a new connection; 'ceph osd blocklist ls' shows for how long "
                    "the old one is locked out");
    case ETIMEDOUT:
        broken_ = true;
        return text(ErrorCode::timed_out,
                    (pool_ ? at : "monitor " + monitors_) + " did not answer within " +
                        std::to_string(patience_.count()) + " s",
                    pool_ ? "see whether its daemons run ('ceph status'), then try again"
                          : "see whether it runs and can be reached");
    case ECONNREFUSED:
    case ENOTCONN:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
        broken_ = true;
        return text(ErrorCode::connection, at + ": " + std::strerror(number),
                    "see whether it runs and can be reached");
    case ENOENT: require_pool(); return text(ErrorCode::not_found, "there is no such thing");
    case EMLINK:
        return text(ErrorCode::busy, "it belongs to a group of images",
                    "take it out first: 'rbd group image remove'");
    case EEXIST: return text(ErrorCode::already_exists, "it exists", "choose another name");
    case EBUSY:
        return text(ErrorCode::busy, "it is in use", "end its use, or wait until it has ended");
    case EROFS:
        return text(ErrorCode::busy,
                    "another client holds its lock, or died with it and user '" + user_ +
                        "' may not lock that one out, or it is the copy of a mirror",
                    "end its use first; give the user the rights for 'osd blocklist' (mon 'profile "
                    "rbd'); or promote it: 'rbd mirror image promote'");
    case ENOTEMPTY:
        return text(ErrorCode::busy, "it has snapshots, or clones that are based on it",
                    "delete these first; a snapshot of its group goes by 'rbd group snap rm'");
    case ENOSPC:
    case EDQUOT:
        return text(ErrorCode::no_space, "the pool is full, or has used up its quota",
                    "free space, or give the pool more");
    case EPERM:
    case EACCES:
        refused_ = true;
        if (pool_)
            return text(ErrorCode::permission_denied, "user '" + user_ + "' may not",
                        "give the user rights on the pool: 'ceph auth caps'; a mirror's copy has "
                        "to be promoted before it is written to");
        if (!has_key_)
            return text(ErrorCode::permission_denied, "the cluster lets nobody in without a key",
                        "add <auth type='ceph'> to the definition");
        return text(ErrorCode::permission_denied,
                    at + " does not know user '" + user_ + "', or the key is not this user's",
                    "correct user and secret: 'ceph auth get client." + user_ + "' shows both");
    case EOPNOTSUPP:
        return text(pool_ ? ErrorCode::not_supported : ErrorCode::permission_denied,
                    pool_ ? "the cluster or this version of librbd does not do that"
                          : "the cluster does not accept this way to log in",
                    pool_ ? "" : "add <auth type='ceph'> to the definition");
    case ENOSYS: return text(ErrorCode::not_supported, "this version of librbd does not do that");
    case EINVAL:
        return text(ErrorCode::invalid_argument,
                    pool_ ? "Ceph does not accept the values"
                          : "an address is wrong, or the key is not one",
                    pool_ ? "" : "correct the hosts " + monitors_ + ", or the secret");
    case EDOM:
        return text(ErrorCode::invalid_argument, "Ceph does not make objects of that size",
                    "correct rbd_default_order in the pool's config_opts: 12 (4 KiB) to 25 (32 "
                    "MiB)");
    case ENOMEM: return text(ErrorCode::no_memory, "out of memory");
    case ECANCELED: return text(ErrorCode::cancelled, "cancelled");
    default: return text(ErrorCode::io, std::strerror(number));
    }
}

// ---- using it ----------------------------------------------------------------------------------

struct RbdKeeper::Shared {
    std::mutex opening{}; ///< one connects, the others wait for it
    std::shared_ptr<RbdConnection> connection{};
    int keepers{};
};

namespace {

std::mutex connections_mutex;

// A child of fork() has no other thread that would give it back.
[[maybe_unused]] const int registered =
    ::pthread_atfork([] { connections_mutex.lock(); }, [] { connections_mutex.unlock(); },
                     [] { connections_mutex.unlock(); });

/** One context's secrets do not open another's connection. */
std::string key_of(const PoolDef& def, const Host& host)
{
    const PoolDef source{.type = def.type,
                         .name = def.name,
                         .source = def.source,
                         .config_options = def.config_options};
    return std::to_string(host.id) + ' ' + to_json(source);
}

} // namespace

std::map<std::string, std::shared_ptr<RbdKeeper::Shared>>& RbdKeeper::all()
{
    // Never destroyed: Ceph's threads may outlive main().
    static auto& connections = *new std::map<std::string, std::shared_ptr<Shared>>;
    return connections;
}

RbdKeeper::RbdKeeper(const PoolDef& def, const Host& host) : key_(key_of(def, host))
{
    const std::lock_guard lock(connections_mutex);
    auto& entry = all()[key_];
    if (!entry)
        entry = std::make_shared<Shared>();
    shared_ = entry;
    ++shared_->keepers;
}

RbdKeeper::~RbdKeeper()
{
    {
        const std::lock_guard lock(connections_mutex);
        if (--shared_->keepers > 0)
            return;
        all().erase(key_);
    }
    auto& connection = shared_->connection;
    if (connection && connection->is_ours() && connection->is_broken())
        give_up(std::move(connection));
}

std::shared_ptr<RbdConnection> RbdKeeper::open_connection() const
{
    const std::unique_lock lock(shared_->opening, std::try_to_lock);
    return lock && is_usable(shared_->connection) ? shared_->connection : nullptr;
}

std::shared_ptr<RbdConnection> RbdKeeper::connection(const PoolDef& def, const Host& host,
                                                     seconds patience) const
{
    const std::lock_guard lock(shared_->opening);
    auto& connection = shared_->connection;
    if (is_usable(connection))
        return connection;
    if (connection && connection->is_ours())
        give_up(std::move(connection));
    connection = std::make_shared<RbdConnection>(def, host, patience);
    return connection;
}

RbdUse::RbdUse(const PoolDef& def, const Host& host, Job* job)
    : patience_(patience_until(def, job ? job : current_job())), keeper_(def, host),
      connection_(keeper_.connection(def, host, patience_))
{
    connection_->enter(patience_);
}

// ---- images ------------------------------------------------------------------------------------

int RbdImage::try_open(RbdConnection& connection, std::string_view name, RbdHandle& handle)
{
    return connection.library().rbd_open_read_only(connection.pool(), std::string(name).c_str(),
                                                   &handle, nullptr);
}

RbdImage::RbdImage(const std::shared_ptr<RbdConnection>& connection, std::string_view name,
                   Mode mode, const char* snapshot)
    : connection_(connection),
      path_(connection->path_of(name) + (snapshot ? '@' + std::string(snapshot) : ""))
{
    const auto open = mode == Mode::read ? library().rbd_open_read_only : library().rbd_open;
    const auto code = open(connection_->pool(), std::string(name).c_str(), &handle_, snapshot);
    if (code == -ENOENT)
        connection_->require_pool();
    if (code == -ENOENT)
        throw Error(ErrorCode::not_found,
                    shown(path_) + ": there is no such image" + (snapshot ? " or snapshot" : ""),
                    {}, {}, ENOENT);
    connection_->check(code, "cannot open " + shown(path_));
}

void close_image(const RbdLibrary& library, RbdHandle handle)
{
    std::this_thread::sleep_for(std::chrono::microseconds(1));
    library.rbd_close(handle);
}

RbdImage::~RbdImage()
{
    if (!connection_->is_ours())
        return;
    if (!connection_->is_broken()) {
        close_image(library(), handle_);
        return;
    }
    // Each part of closing would wait for an answer again.
    close_elsewhere([connection = connection_, handle = handle_]() mutable {
        close_image(connection->library(), handle);
        connection.reset();
    });
}

std::string RbdImage::id() const
{
    std::array<char, 256> id{};
    const auto code = library().rbd_get_id(handle_, id.data(), id.size());
    if (code == -EINVAL) { // an image of format 1 has none; what its objects are called is its own
        const auto image = info();
        return {image.block_name_prefix,
                ::strnlen(image.block_name_prefix, sizeof image.block_name_prefix)};
    }
    check(code, "cannot ask for its id");
    return id.data();
}

RbdImageInfo RbdImage::info() const
{
    RbdImageInfo info{};
    check(library().rbd_stat(handle_, &info, sizeof info), "cannot ask for its size");
    return info;
}

void RbdImage::require_id(const std::string& wanted) const
{
    if (id() != wanted)
        throw Error(ErrorCode::not_found,
                    "'" + path_ + "' is not the image any more that was meant",
                    "refresh the pool and look again");
}

int RbdJob::report(std::uint64_t done, std::uint64_t total, void* self) noexcept
{
    auto& state = *static_cast<RbdJob*>(self);
    if (state.is_over())
        return -ECANCELED;
    if (done <= total)
        state.done = done;
    return 0;
}

bool RbdJob::is_over() const noexcept
{
    if (!job)
        return false;
    const auto deadline = job->deadline();
    return job->is_cancelled() || (deadline && std::chrono::steady_clock::now() >= *deadline);
}

int RbdJob::follow(const std::function<int()>& call)
{
    if (!job)
        return call();
    std::future<int> answer;
    try {
        const SignalsBlocked blocked;
        answer = std::async(std::launch::async, call);
    } catch (const std::system_error&) { // no thread: then nobody hears how far it is
        return call();
    }
    std::uint64_t told = 0;
    const auto tell = [&] {
        if (const auto now = done.load(); now > told)
            advance(job, now - std::exchange(told, now));
    };
    constexpr std::chrono::milliseconds interval{100};
    // A thread that moves when its time is over is taken for one that ends cleanly.
    while (!is_over() && answer.wait_for(interval) == std::future_status::timeout)
        tell();
    const int code = answer.get();
    tell();
    return code;
}

} // namespace storage::inline v1
