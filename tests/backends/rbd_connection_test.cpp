// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type rbd: what is needed to connect, and what must not be seen of it.
#include "canary.hpp"
#include "log.hpp"
#include "process_runner.hpp"
#include "rbd_connection.hpp"
#include "rbd_stage.hpp"
#include "system_root.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <netdb.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace storage;

namespace {

/** How often a name server was asked that does not answer: for names of ".dead-server.test". */
std::atomic<int> waits{};
std::atomic<bool> is_without_ipv6{};

} // namespace

/** In place of libc's, for librados too. */
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** found)
{
    static const auto real =
        reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    if (is_without_ipv6 && name && std::strchr(name, ':') &&
        (!hints || hints->ai_flags & AI_ADDRCONFIG))
        return EAI_ADDRFAMILY;
    if (!name || !std::string_view(name).ends_with(".dead-server.test"))
        return real(name, service, hints, found);
    if (hints && hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    ++waits;
    return EAI_AGAIN;
}

namespace {

RBD_CASE("what is wrong with the definition")
{
    RbdStage stage(peer);
    std::string message;
    const auto code = [&](const PoolDef& def) {
        Job job;
        job.set_timeout(std::chrono::seconds(2));
        return error_code([&] {
            auto pool = stage.context->define_pool(def);
            try {
                pool.start(BuildMode::none, &job);
            } catch (const Error& error) {
                message = error.what();
                CHECK_FALSE(error.remedy().empty());
                pool.undefine();
                throw;
            }
        });
    };
    CHECK(code(stage.definition("x", "no such pool")) == ErrorCode::not_found);
    CHECK(code(stage.definition("x", "rbd/nowhere")) == ErrorCode::not_found);
    CHECK(message.find("has no namespace 'nowhere'") != std::string::npos);
    for (const auto* name : {"rbd/", "/space", "rbd/space/x"}) {
        CAPTURE(name);
        CHECK(code(stage.definition("x", name)) == ErrorCode::invalid_argument);
        CHECK(message.find(std::string("'") + name + "' is neither") != std::string::npos);
    }
    auto def = stage.definition("x");
    def.source.hosts = {{.name = "127.0.0.1", .port = 1}};
    CHECK(code(def) == ErrorCode::timed_out);
    def = stage.definition("x");
    def.source.auth.reset();
    CHECK(code(def) == ErrorCode::permission_denied);
    def = stage.definition("x");
    def.source.auth->secret.uuid = "2ec115d7-3a88-4ceb-bc12-0ac909a6fd88";
    CHECK(code(def) == ErrorCode::not_found);
    CHECK(message == "no secret with uuid '2ec115d7-3a88-4ceb-bc12-0ac909a6fd88' for pool 'x'");
    def = stage.definition("x");
    def.config_options = {{.name = "no_such_option", .value = "1"}};
    CHECK(code(def) == ErrorCode::invalid_argument);
    stage.given_key = peer.fake ? "AQBhbm90aGVyIG9uZQ==" : RbdPeer::read("reader.key");
    CHECK(code(stage.definition("x")) == ErrorCode::permission_denied);
    stage.given_key = peer.key;
    CHECK(code(stage.definition("x")) == ErrorCode{});
}

std::string base64(const std::string& bytes)
{
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    std::uint32_t group = 0;
    int bits = 0;
    for (const unsigned char c : bytes) {
        group = group << 8 | c;
        for (bits += 8; bits >= 6; bits -= 6)
            text += digits[group >> (bits - 6) & 63];
    }
    if (bits > 0)
        text += digits[group << (6 - bits) & 63];
    return text + std::string((4 - text.size() % 4) % 4, '=');
}

RBD_CASE("the key is nowhere to be seen")
{
    RbdStage stage(peer);
    Canary canary;
    if (peer.fake) { // the real one's key cannot be chosen
        peer.fake->key = base64(canary.passphrase());
        stage.given_key = canary.passphrase();
    }
    std::string said;
    canary.watch([&] {
        auto pool = stage.pool();
        auto volume = pool.create_volume(raw_volume("a", 8 * mib));
        Job job;
        job.set_dry_run(true);
        volume.resize(16 * mib, {}, {}, &job);
        for (const auto& step : job.plan())
            said += to_json(step);
        said += pool.xml() + volume.xml();
        stage.given_key += "x";
        pool.stop();
        try {
            pool.start();
        } catch (const Error& error) {
            said += to_json(error);
        }
    });
    CHECK(canary.rounds() > 0);
    canary.look_into(stage.scratch.directory / "root");
    canary.look_at_text(said, "plan, XML or error");
    for (const auto& line : stage.scratch.log)
        canary.look_at_text(line, "log");
    CHECK(canary.sightings().empty());
    const auto key = peer.fake ? peer.fake->key : peer.key;
    CHECK(said.find(key) == said.npos);
    for (const auto& line : stage.scratch.log)
        CHECK(line.find(key) == line.npos);
}

RBD_CASE("a key as libvirt keeps it: the bytes that the text stands for")
{
    RbdStage stage(peer);
    if (peer.fake)
        peer.fake->key = "AQBiYXNpbg==";
    std::string bytes;
    std::uint32_t group = 0;
    int bits = 0;
    for (const char c : peer.fake ? peer.fake->key : peer.key) {
        const auto digit =
            std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
                .find(c);
        if (digit == std::string_view::npos)
            break;
        group = group << 6 | static_cast<std::uint32_t>(digit);
        if ((bits += 6) >= 8)
            bytes += static_cast<char>(group >> (bits -= 8) & 0xff);
    }
    stage.given_key = bytes;
    CHECK(stage.pool().is_active());
}

RBD_CASE("a forked child opens its own connection")
{
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.create_volume(raw_volume("a", 8 * mib));
    const auto child = ::fork();
    if (child == 0) {
        bool right = false;
        try {
            right = pool.volume_names() == std::vector<std::string>{"a"};
        } catch (const Error&) {
        }
        ::_exit(right ? 0 : 1);
    }
    int status = 1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(names(pool) == std::vector<std::string>{"a"});
}

TEST_CASE("rbd, simulated: a program that ends lets its connections be closed", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    stage.pool();
    auto* const memory = ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    auto* const count = new (memory) std::atomic<int>{};
    const auto child = ::fork();
    if (child == 0) {
        stage.open();
        peer.fake->shut_down = count;
        auto pool = stage.context->find_pool("ceph");
        pool.refresh();
        peer.fake->fail("rbd_list2", -ETIMEDOUT);
        error_code([&] { names(pool); });
        names(pool); // with a new one; the old one is closed meanwhile
        std::exit(0);
    }
    int status = 1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(*count == 1);
    ::munmap(memory, sizeof(std::atomic<int>));
}

TEST_CASE("rbd, simulated: one connection, given up when nothing answers", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    const auto first = peer.fake->connections();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    volume.upload(source_of(pattern(mib)));
    pool.refresh();
    CHECK(peer.fake->connections() - first <= 1); // that of the start is closed with it
    const auto before = peer.fake->connections();
    peer.fake->fail("rbd_list2", -ETIMEDOUT);
    CHECK(error_code([&] { names(pool); }) == ErrorCode::timed_out);
    CHECK(pool.is_active());
    CHECK(names(pool).size() == 1); // heals by itself
    CHECK(peer.fake->connections() == before + 1);
    CHECK(std::find(peer.fake->options().begin(), peer.fake->options().end(),
                    "rados_osd_op_timeout=30") != peer.fake->options().end());
    Job job;
    job.set_timeout(std::chrono::seconds(3));
    pool.refresh(&job);
    CHECK(peer.fake->options().back() == "rados_osd_op_timeout=3");
}

TEST_CASE("rbd, simulated: what state a pool is in is not waited for longer than is said", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    stage.pool();
    stage.open(); // as a program that is started now
    CHECK(stage.context->find_pool("ceph").info().state == PoolState::running);
    const auto& options = peer.fake->options();
    for (const char* option : {"client_mount_timeout=5", "rados_osd_op_timeout=5"})
        CHECK(std::find(options.begin(), options.end(), option) != options.end());
}

TEST_CASE("rbd, simulated: rights that the user gets count at the next call", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.refresh();
    const auto before = peer.fake->connections();
    pool.refresh();
    CHECK(peer.fake->connections() == before);
    for (const char* call : {"rbd_create4", "rbd_list2"}) { // the user may not look either
        peer.fake->fail("rbd_create4", -EPERM);
        peer.fake->fail(call, -EPERM);
        const auto error = error_of([&] { pool.create_volume(raw_volume("a", 8 * mib)); });
        CHECK(error.code() == ErrorCode::permission_denied);
        CHECK(error.detail().empty());
        peer.fake->heal();
        CHECK(stage.context->recover().empty());
    }
    auto golden = pool.create_volume(raw_volume("a", 8 * mib)); // by a new connection
    CHECK(peer.fake->connections() == before + 2);
    pool.refresh();
    CHECK(peer.fake->connections() == before + 2);
    for (const auto flags : {CreateFlags::none, CreateFlags::linked}) { // who may only read
        peer.fake->fail("rbd_create4", -EPERM);
        peer.fake->fail("rbd_open_by_id", -EPERM, 1, 2);
        peer.fake->fail("rbd_remove_with_progress", -EPERM);
        const auto error =
            error_of([&] { pool.create_volume_from(raw_volume("b", 0), golden, flags); });
        CHECK(error.code() == ErrorCode::permission_denied);
        CHECK(error.detail().empty());
        peer.fake->heal();
        CHECK(stage.context->recover().empty());
    }
}

TEST_CASE("rbd, simulated: an image that may not be opened costs no connection each time", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    pool.create_volume(raw_volume("a", 8 * mib));
    ++peer.fake->find("rbd", "a")->version; // so that it is read again
    constexpr int always = 100;
    peer.fake->fail("rbd_open_read_only", -EPERM, 1, always);
    const auto before = peer.fake->connections();
    for (int i = 0; i != 3; ++i) {
        pool.refresh();
        REQUIRE(pool.diagnostics().size() == 1);
        CHECK(pool.diagnostics()[0].reason == DiagnosticReason::unreadable);
    }
    CHECK(peer.fake->connections() == before);
    peer.fake->heal();
    pool.refresh();
    CHECK(names(pool) == std::vector<std::string>{"a"});
}

TEST_CASE("rbd, simulated: a namespace that was deleted is no empty one", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool("inside", "rbd/space");
    pool.create_volume(raw_volume("a", 8 * mib));
    pool.refresh();
    auto& images = peer.fake->images_;
    const auto kept = images;
    images.clear();
    peer.fake->name_spaces_.clear();
    const auto error = error_of([&] { pool.refresh(); });
    CHECK(error.code() == ErrorCode::not_found);
    CHECK(says(error, "RADOS pool 'rbd' has no namespace 'space'"));
    peer.fake->fail("rbd_create4", -ENOENT); // as librbd answers then
    const auto refused = error_of([&] { pool.create_volume(raw_volume("b", 8 * mib)); });
    CHECK(says(refused, "no namespace 'space'"));
    CHECK(pool.info().state == PoolState::inaccessible);
    peer.fake->heal();
    peer.fake->name_spaces_.insert("space");
    images = kept;
    CHECK(pool.volume_count() == 1);
    pool.refresh();
    CHECK(names(pool) == std::vector<std::string>{"a"});
}

TEST_CASE("rbd, simulated: monitors and options as the definition has them", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto def = stage.definition();
    def.source.hosts = {{.name = "fd00::1", .port = 3300},
                        {.name = "no-such-monitor.invalid", .port = 6789}, // keeps nobody away
                        {.name = peer.fake->monitor}};
    def.config_options = {{.name = "rbd_default_features", .value = "1"},
                          {.name = "client_mount_timeout", .value = "4"}};
    def.source.name = "rbd/space";
    auto pool = stage.context->define_pool(def);
    pool.start();
    const auto& options = peer.fake->options();
    const auto has = [&](const std::string& option) {
        return std::find(options.begin(), options.end(), option) != options.end();
    };
    CHECK(has("mon_host=[fd00::1]:3300,192.0.2.1"));
    CHECK(has("rbd_default_features=1"));
    CHECK(has("client_mount_timeout=4"));
    CHECK(has("auth_client_required=cephx"));
    CHECK(peer.fake->calls("rados_conf_read_file") == 0);
    auto volume = pool.create_volume(raw_volume("a"));
    CHECK(volume.path() == "rbd/space/a");
    CHECK(peer.fake->find("rbd", "a", "space"));
    auto linked = pool.create_volume_from(raw_volume("b", 0), volume, CreateFlags::linked);
    CHECK(linked.definition().backing[0].path == "rbd/space/a");
    CHECK(stage.requests.front().usage == SecretUsage::ceph);
}

TEST_CASE("rbd, simulated: a name server that does not answer is waited for once", "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto def = stage.definition();
    def.source.hosts = {{.name = "a.dead-server.test"},
                        {.name = "b.dead-server.test"},
                        {.name = "fd00::1", .port = 3300},
                        {.name = "[v2:192.0.2.1:3300,v1:192.0.2.1:6789]"},
                        {.name = "v2:192.0.2.2:3300"}};
    auto pool = stage.context->define_pool(def);
    const auto before = peer.fake->connections();
    waits = 0;
    is_without_ipv6 = true; // which keeps nobody from writing such an address down
    const auto code = error_code([&] { pool.start(); });
    is_without_ipv6 = false;
    CHECK(code == ErrorCode{});
    CHECK(waits == peer.fake->connections() - before);
    const auto& options = peer.fake->options();
    CHECK(std::find(options.begin(), options.end(),
                    "mon_host=[fd00::1]:3300,[v2:192.0.2.1:3300,v1:192.0.2.1:6789],"
                    "[v2:192.0.2.2:3300]") != options.end());
}

TEST_CASE("rbd, simulated: who makes a volume need not open it, and nobody reads what was once",
          "[rbd]")
{
    const auto peer = RbdPeer::simulated();
    RbdStage stage(peer);
    auto pool = stage.pool();
    peer.fake->forget_calls();
    auto volume = pool.create_volume(raw_volume("a", 8 * mib));
    CHECK(peer.fake->calls("rbd_open_read_only") == 0);
    peer.fake->find("rbd", "a")->size = 16 * mib;
    CHECK(volume.info().capacity == 16 * mib);

    SystemRoot system;
    Log log;
    ProcessRunner runner;
    const Host host{.system = system,
                    .log = log,
                    .runner = runner,
                    .secret = [&](const SecretRequest&) { return Secret(peer.key); }};
    const RbdUse use(stage.definition(), host);
    auto call = std::make_shared<int>();
    use->remember_new("x", 1, call);
    use->remember_new("y", 2, call);
    CHECK(use->take_new("x") == 1u);
    CHECK_FALSE(use->take_new("x"));
    call.reset(); // the call is over
    CHECK_FALSE(use->take_new("y"));
}

} // namespace
