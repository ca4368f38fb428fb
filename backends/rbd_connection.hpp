// SPDX-License-Identifier: LGPL-2.1-or-later
// A connection to the RADOS pool of one storage pool: shared by all calls of a process, opened when
// it is first needed, given up when the cluster did not answer.
#pragma once

#include "host.hpp"
#include "rados_library.hpp"

#include <basin/error.hpp>
#include <basin/job.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <sys/types.h>

namespace storage::inline v1 {

/** "pool/namespace" as a definition has it. rbd_place() throws Error invalid_argument. */
struct RbdPlace {
    std::string pool{};
    std::string name_space{};
};
RbdPlace rbd_place(const PoolDef& def);

/** The monitors as messages name them. */
std::string rbd_monitors(const PoolDef& def);

/** The RADOS pool, or the namespace in it, is not there, and so nothing that was in it. */
class RbdPlaceGone final : public Error {
public:
    RbdPlaceGone(const std::string& message, std::string remedy)
        : Error(ErrorCode::not_found, message, std::move(remedy), {}, ENOENT)
    {
    }
};

class RbdConnection : public std::enable_shared_from_this<RbdConnection> {
public:
    /** Connects. @throws Error timed_out, connection, permission_denied, not_found, unavailable */
    RbdConnection(const PoolDef& def, const Host& host, std::chrono::seconds patience);
    ~RbdConnection();
    RbdConnection(const RbdConnection&) = delete;
    RbdConnection& operator=(const RbdConnection&) = delete;

    const RbdLibrary& library() const { return library_; }
    RadosPool pool() const { return pool_; }
    RadosCluster cluster() const { return cluster_; }
    /** "cluster's fsid, pool's id, namespace". */
    const std::string& identity() const { return identity_; }
    /** "pool" or "pool/namespace". */
    const std::string& place() const { return place_; }
    /** The name that libvirt prints as key and path. */
    std::string path_of(std::string_view image) const { return place_ + '/' + std::string(image); }

    /** Whether the cluster did not answer a call. */
    bool is_broken() const { return broken_; }
    /** Whether the user was refused something: a connection has the rights of when it was made, for
     * an hour as a rule, and only a new one has what was granted since. */
    bool is_refused() const { return refused_; }
    /** Of many images one was refused, as it may be for ever: that is worth a new connection once a
     * minute, and not for every list. */
    void forgive();
    /** Whether it can be used: not in a child that was forked off, where its threads are not. */
    bool is_ours() const;

    /**
     * The Error for a negative answer.
     * @param what  "cannot open 'rbd/a'"
     */
    Error error(std::int64_t code, const std::string& what);
    /** Ceph answers for a RADOS pool or a namespace that was deleted as for an empty one.
     * @throws RbdPlaceGone */
    void require_pool();
    /** Throws it, where the answer is negative. */
    void check(std::int64_t code, const std::string& what)
    {
        if (code < 0)
            throw error(code, what);
    }

    /** Calls that run now limit how long Ceph waits for an answer. */
    void enter(std::chrono::seconds patience);
    void leave(std::chrono::seconds patience);

    /**
     * What a creation just made, for its own call to read: spares opening it again.
     * @param call  as long as it lives: afterwards somebody else may have changed the image
     */
    void remember_new(const std::string& name, std::uint64_t size, std::weak_ptr<const void> call);
    std::optional<std::uint64_t> take_new(std::string_view name);

private:
    void configure(const PoolDef& def, const Host& host, std::chrono::seconds patience);
    int connect();
    void require_namespace();
    std::string resolvable_monitors(const PoolDef& def) const;
    void set(const std::string& name, const std::string& value);
    void set_patience();

    const RbdLibrary& library_;
    std::string monitors_;
    std::string place_;
    std::string user_;
    bool has_key_;
    pid_t pid_;
    RadosCluster cluster_{};
    RadosPool pool_{};
    std::string identity_{};
    std::atomic<bool> broken_{false};
    std::atomic<bool> refused_{false};
    const std::chrono::steady_clock::time_point made_{std::chrono::steady_clock::now()};

    std::mutex mutex_{};
    std::multiset<std::chrono::seconds> waiting_{};
    std::chrono::seconds patience_;
    struct NewImage {
        std::uint64_t size{};
        std::weak_ptr<const void> call{};
    };
    std::map<std::string, NewImage, std::less<>> new_{};
};

/** Keeps a pool's connection open, once a use has opened it. */
class RbdKeeper {
public:
    RbdKeeper(const PoolDef& def, const Host& host);
    ~RbdKeeper();
    RbdKeeper(const RbdKeeper&) = delete;
    RbdKeeper& operator=(const RbdKeeper&) = delete;

    /** The connection that is open, or null. Asks nobody. */
    std::shared_ptr<RbdConnection> open_connection() const;
    /** Connects where need be. */
    std::shared_ptr<RbdConnection> connection(const PoolDef& def, const Host& host,
                                              std::chrono::seconds patience) const;

private:
    struct Shared;
    static std::map<std::string, std::shared_ptr<Shared>>& all();

    std::string key_;
    std::shared_ptr<Shared> shared_;
};

/** Lets changes try although the pool is full or has used up its quota: a deletion gives space
 * back, and the others are answered at once. Else Ceph lets all wait until somebody else makes
 * room. */
void try_although_full(const RbdLibrary& library, RadosPool pool);

/** A connection as long as one call uses it, with the call's deadline. */
class RbdUse {
public:
    /** @param job  whose deadline counts; null: that of the call that runs on this thread */
    RbdUse(const PoolDef& def, const Host& host, Job* job = nullptr);
    ~RbdUse() { connection_->leave(patience_); }
    RbdUse(const RbdUse&) = delete;
    RbdUse& operator=(const RbdUse&) = delete;

    RbdConnection* operator->() const { return connection_.get(); }
    RbdConnection& operator*() const { return *connection_; }
    const RbdLibrary& library() const { return connection_->library(); }
    const std::shared_ptr<RbdConnection>& shared() const { return connection_; }

private:
    std::chrono::seconds patience_;
    RbdKeeper keeper_;
    std::shared_ptr<RbdConnection> connection_;
};

/**
 * Closes an image. The thread of librbd (16) that has told that it is open looks at it once more
 * (ImageState::complete_action_unlock()), and may find it freed where a busy machine lets that
 * thread wait: who closes it gives way first.
 */
void close_image(const RbdLibrary& library, RbdHandle handle);

/** An image that is open. */
class RbdImage {
public:
    enum class Mode : bool { read, write };
    /** @throws Error not_found */
    RbdImage(const std::shared_ptr<RbdConnection>& connection, std::string_view name, Mode mode,
             const char* snapshot = nullptr);
    ~RbdImage();
    RbdImage(const RbdImage&) = delete;
    RbdImage& operator=(const RbdImage&) = delete;

    /** The code instead of an exception, and no image. */
    static int try_open(RbdConnection& connection, std::string_view name, RbdHandle& handle);

    RbdHandle get() const { return handle_; }
    const RbdLibrary& library() const { return connection_->library(); }
    RbdConnection& connection() const { return *connection_; }
    const std::string& path() const { return path_; }
    void check(std::int64_t code, const std::string& what) const
    {
        connection_->check(code, "'" + path_ + "': " + what);
    }
    std::string id() const;
    RbdImageInfo info() const;
    /** @throws Error not_found  it is another one by now */
    void require_id(const std::string& id) const;

private:
    std::shared_ptr<RbdConnection> connection_;
    std::string path_;
    RbdHandle handle_{};
};

/** Gives an RbdProgress the job to tell of, and ends the call when the job ends. librbd reports on
 * threads of its own, with its locks held: there it is only noted. */
struct RbdJob {
    Job* job{};
    std::atomic<std::uint64_t> done{};
    static int report(std::uint64_t done, std::uint64_t total, void* self) noexcept;
    bool is_over() const noexcept;
    /** Has another thread do the call that reports, and tells the job on this one meanwhile.
     * @return Ceph's answer */
    int follow(const std::function<int()>& call);
};

} // namespace storage::inline v1
