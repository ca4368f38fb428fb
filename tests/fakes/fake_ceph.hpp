// SPDX-License-Identifier: LGPL-2.1-or-later
// A Ceph cluster in this process' memory, behind the functions of librados and librbd that basin
// uses: as much as the tests of the rbd pool see of one, with every call able to fail.
#pragma once

#include "rados_library.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace fake_ceph {

/** The objects of an image at one moment: 4 MiB each, those never written are not there. */
using Objects = std::map<std::uint64_t, std::string>;

inline constexpr std::int64_t this_client = 4711;
inline constexpr int killed = 7; ///< how a process ends that a test kills

struct Image;
struct Snapshot {
    std::uint64_t id{};
    std::string name{};
    std::uint64_t size{};
    Objects objects{};
    bool in_trash{}; ///< deleted, but clones need it
    bool is_protected{};
};

struct Image {
    std::string id{};
    std::string name{};
    std::string pool{};
    std::string name_space{};
    std::uint64_t size{};
    Objects objects{};
    std::set<std::uint64_t> unwritten{}; ///< in the object map, but not in objects
    std::vector<std::shared_ptr<Snapshot>> snapshots{};
    std::map<std::string, std::string> metadata{};
    std::string passphrase{}; ///< of its encryption
    int luks_version{};
    std::shared_ptr<Image> parent{};
    std::shared_ptr<Snapshot> parent_snapshot{};
    std::uint64_t version{1}; ///< of its header
    int writers{};
    std::int64_t client{4100}; ///< that all writers are
    std::string locker{};      ///< who has locked it by a command
    bool has_header{true};     ///< false: what a killed creation leaves behind
    bool is_old{};             ///< of format 1
    bool lost_parent{};        ///< what a flattening leaves behind that ended short of the end
};

/** One cluster; while it lives, rbd_library() gives its functions. It ends when all connections are
 * closed. */
class Cluster {
public:
    Cluster();
    ~Cluster();
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    std::string key{"AQBFakeKeyOfTheTestsAAAAAAAAAAAAAAAAAA=="};
    std::string monitor{"192.0.2.1"}; ///< by "7" behind it, it tells of another cluster
    bool has_manager{true};
    std::atomic<int>* shut_down{}; ///< where not null: counts it there, after a while
    std::uint64_t quota{};
    bool full{}; ///< who does not want to try then gets no answer
    std::set<std::string> known_options{};
    std::chrono::milliseconds pause{}; ///< before each report of progress

    /** From the n-th call on (1: the next), `times` calls of this function answer with the code. */
    void fail(const std::string& function, int code, int after = 1, int times = 1);
    void heal();
    /** Does that first at the next call of this function. */
    void at_next(const std::string& function, std::function<void()> act);
    /** The process ends at the next call of this function. */
    void die_at(const std::string& function);
    /** As before Ceph 16. */
    void become_old();
    int calls(const std::string& function) const;
    void forget_calls();
    int connections() const { return connections_; }
    /** Every option that was set but the key, as "name=value". */
    const std::vector<std::string>& options() const { return options_; }

    Image* find(const std::string& pool, const std::string& name,
                const std::string& name_space = {});
    std::size_t image_count() const { return images_.size(); }
    void add_half_made(const std::string& pool, const std::string& name);

    // For the functions.
    std::recursive_mutex mutex{};
    /** Counts the call; the code that it is to fail with, or 0. */
    int enter(const char* function);
    std::vector<std::shared_ptr<Image>> images_{};
    std::map<std::string, std::string> remains_{}; ///< objects that a kill left, and their bytes
    std::map<std::string, std::int64_t> pools_{{"rbd", 1}, {"other", 2}};
    std::set<std::string> name_spaces_{"space"}; ///< of each pool
    std::vector<std::string> options_{};
    int connections_{};
    int open_{}; ///< connections that are not shut down
    std::condition_variable_any closed_{};
    std::uint64_t next_id_{0x1000};

private:
    struct Fault {
        int code{};
        int after{};
        int times{};
    };
    std::map<std::string, Fault> faults_{};
    std::map<std::string, int> calls_{};
    std::map<std::string, std::function<void()>> acts_{};
};

} // namespace fake_ceph
