// SPDX-License-Identifier: LGPL-2.1-or-later
// The power fails after each write of a changing call, and the disk has kept only what was flushed,
// or that and some of the rest. Definitions and journal are intact in all cases, a volume is whole
// or absent, and what a call said was done is done.
#include "aftermath.hpp"
#include "fault_fs_mount.hpp"
#include "write_order.hpp"

#include <iostream>
#include <random>

using namespace storage;

namespace {

const std::string source_content = noise(90000) + std::string(70000, '\0') + noise(10000, 2);

/** Definitions, journal and a pool, all on one disk. What is in memory goes with the power. */
struct Stage {
    FaultFs disk{};
    std::string target{disk.path() + "/pool"};
    std::vector<std::string> log{};

    ContextOptions options(const TemporaryDirectory& memory)
    {
        ContextOptions result;
        result.config_dir = disk.path() + "/etc";
        result.state_dir = disk.path() + "/var";
        result.run_dir = memory / "run";
        result.log = [this](LogLevel level, std::string_view line) {
            if (level >= LogLevel::warning)
                log.emplace_back(line);
        };
        return result;
    }

    PoolDef definition(const std::string& name = "pool", const std::string& below = "")
    {
        PoolDef def;
        def.type = "dir";
        def.name = name;
        def.target.path = target + below;
        return def;
    }

    /** The pool, started again as after a boot. */
    Pool running(Context& context)
    {
        auto pool = context.find_pool("pool");
        if (pool.info().state != PoolState::running)
            pool.start();
        return pool;
    }
};

using Work = std::function<void(Stage&, Context&)>;
/** Whether the work shows as done; checks that it shows whole. */
using Done = std::function<bool(Stage&, Context&)>;

struct Kept {
    const char* what;
    Disk::Keeps (*make)(std::uint64_t seed);
};

const Kept variants[] = {
    {"all of it", [](std::uint64_t) -> Disk::Keeps { return [](bool) { return true; }; }},
    {"only what was flushed",
     [](std::uint64_t) -> Disk::Keeps { return [](bool) { return false; }; }},
    {"all names, of the data what was flushed",
     [](std::uint64_t) -> Disk::Keeps { return [](bool names) { return names; }; }},
    {"all data, of the names what was flushed",
     [](std::uint64_t) -> Disk::Keeps { return [](bool names) { return !names; }; }},
    {"what was flushed and some of the rest",
     [](std::uint64_t seed) -> Disk::Keeps {
         return [random = std::mt19937_64(seed)](bool) mutable { return (random() & 1) != 0; };
     }},
};

void empty(const std::string& directory)
{
    for (const auto& entry : std::filesystem::directory_iterator(directory))
        std::filesystem::remove_all(entry.path());
}

enum class Lasting : bool { no, yes };

/** @param lasting  whether what was done is done once the call has returned */
void cut_power_everywhere(const Work& prepare, const Work& work, const Done& done,
                          Lasting lasting = Lasting::yes)
{
    Stage stage;
    NEEDS_FAULT_FS(stage.disk)
    {
        const TemporaryDirectory memory;
        Context context(stage.options(memory));
        context.define_pool(stage.definition()).start(BuildMode::keep);
        prepare(stage, context);
    }
    Disk disk(stage.disk.backing());
    stage.disk.begin_record();
    {
        const TemporaryDirectory memory;
        Context context(stage.options(memory));
        stage.running(context);
        work(stage, context);
    }
    const auto writes = disk_writes(stage.disk.record());
    stage.disk.unmount();
    stage.log.clear();

    std::size_t before = 0, after = 0;
    for (std::size_t count = 0; count <= writes.size(); ++count) {
        if (count > 0)
            disk.apply(writes[count - 1]);
        for (const auto& [what, make] : variants) {
            INFO("after write " << count << " of " << writes.size() << ", kept: " << what);
            empty(stage.disk.path());
            disk.show(stage.disk.path(), make(Catch::rngSeed() + count));
            const TemporaryDirectory memory;
            Context context(stage.options(memory));
            for (const auto& result : context.recover())
                CHECK_FALSE(result.pending);
            const bool is_done = done(stage, context);
            ++(is_done ? after : before);
            if (count == writes.size() && lasting == Lasting::yes)
                CHECK(is_done);
            CHECK(stage.log == std::vector<std::string>{});
            stage.log.clear();
        }
    }
    std::cout << "# power cut after each of " << writes.size() << " writes: " << before
              << " as before, " << after << " as after\n";
    CHECK(before > 0);
}

/** Whether the volume is there; then it has that content. */
bool has_whole(Stage& stage, Context& context, const std::string& name, const std::string& content)
{
    stage.running(context).refresh();
    const auto path = stage.target + '/' + name;
    if (!std::filesystem::exists(path))
        return false;
    std::ifstream file(path, std::ios::binary);
    CHECK((std::string(std::istreambuf_iterator<char>(file), {}) == content));
    return true;
}

/** A volume on the disk, flushed. */
void put_source(Stage& stage, Context& context)
{
    std::ofstream(stage.target + "/source", std::ios::binary) << source_content;
    context.find_pool("pool").refresh();
}

const Work nothing = [](Stage&, Context&) {};

} // namespace

TEST_CASE("power cut while defining: the definition is whole or absent", "[faults][power]")
{
    cut_power_everywhere(
        nothing,
        [](Stage& stage, Context& context) {
            context.define_pool(stage.definition("other", "/other"));
        },
        [](Stage& stage, Context& context) {
            const auto pools = context.pools();
            CHECK((pools.size() == 1 || pools.size() == 2));
            for (const auto& pool : pools)
                CHECK(pool.definition().target.path ==
                      stage.target + (pool.name() == "other" ? "/other" : ""));
            return pools.size() == 2;
        });
}

TEST_CASE("power cut while redefining: the old definition or the new one", "[faults][power]")
{
    cut_power_everywhere(
        nothing,
        [](Stage& stage, Context& context) {
            auto def = stage.definition("pool", "/elsewhere");
            def.uuid = context.find_pool("pool").uuid();
            context.define_pool(def);
        },
        [](Stage& stage, Context& context) {
            const auto path = context.find_pool("pool").definition().target.path;
            CHECK((path == stage.target || path == stage.target + "/elsewhere"));
            return path != stage.target;
        });
}

TEST_CASE("power cut while marking for autostart or undefining", "[faults][power]")
{
    cut_power_everywhere(
        nothing, [](Stage&, Context& context) { context.find_pool("pool").set_autostart(true); },
        [](Stage&, Context& context) { return context.find_pool("pool").autostart(); });
    cut_power_everywhere(
        [](Stage&, Context& context) { context.find_pool("pool").set_autostart(true); },
        [](Stage&, Context& context) {
            auto pool = context.find_pool("pool");
            pool.stop();
            pool.undefine();
        },
        [](Stage& stage, Context& context) {
            const bool exists = !context.pools().empty();
            CHECK(std::filesystem::exists(std::filesystem::symlink_status(
                      stage.disk.path() + "/etc/autostart/pool.xml")) == exists);
            return !exists;
        });
}

TEST_CASE("power cut while building directories: the definitions stay", "[faults][power]")
{
    cut_power_everywhere(
        [](Stage& stage, Context& context) {
            context.define_pool(stage.definition("other", "/x/y"));
        },
        [](Stage&, Context& context) { context.find_pool("other").build(); },
        [](Stage& stage, Context& context) {
            CHECK(context.pools().size() == 2);
            return std::filesystem::is_directory(stage.target + "/x/y");
        });
}

TEST_CASE("power cut while creating a volume: it is whole or absent", "[faults][power]")
{
    cut_power_everywhere(
        nothing,
        [](Stage&, Context& context) {
            context.find_pool("pool").create_volume(raw_volume("a", 50000, 50000));
        },
        [](Stage& stage, Context& context) {
            return has_whole(stage, context, "a", std::string(50000, '\0'));
        });
    cut_power_everywhere(
        nothing,
        [](Stage&, Context& context) {
            context.find_pool("pool").create_volume(volume_def("q", "qcow2", mib),
                                                    CreateFlags::prealloc_metadata);
        },
        [](Stage& stage, Context& context) {
            auto pool = stage.running(context);
            pool.refresh();
            CHECK(pool.diagnostics().empty());
            if (pool.volume_count() == 0)
                return false;
            CHECK(pool.find_volume("q").info().capacity == mib);
            CHECK(pool.find_volume("q").inspect().findings.empty());
            return true;
        });
}

TEST_CASE("power cut while copying or uploading a volume: it is whole or absent", "[faults][power]")
{
    cut_power_everywhere(
        put_source,
        [](Stage&, Context& context) {
            auto pool = context.find_pool("pool");
            pool.create_volume_from(raw_volume("copy", 0), pool.find_volume("source"));
        },
        [](Stage& stage, Context& context) {
            CHECK(has_whole(stage, context, "source", source_content));
            return has_whole(stage, context, "copy", source_content);
        });
    cut_power_everywhere(
        put_source,
        [](Stage& stage, Context& context) {
            const OpenFile source(stage.target + "/source");
            context.find_pool("pool").upload_volume(raw_volume("copy", 0), source.fd());
        },
        [](Stage& stage, Context& context) {
            return has_whole(stage, context, "copy", source_content);
        });
}

TEST_CASE("power cut while renaming or deleting a volume: it has one name, or is gone",
          "[faults][power]")
{
    cut_power_everywhere(
        put_source,
        [](Stage&, Context& context) {
            context.find_pool("pool").find_volume("source").rename("renamed");
        },
        [](Stage& stage, Context& context) {
            const bool renamed = has_whole(stage, context, "renamed", source_content);
            CHECK(has_whole(stage, context, "source", source_content) != renamed);
            return renamed;
        });
    cut_power_everywhere(
        put_source,
        [](Stage&, Context& context) {
            context.find_pool("pool").find_volume("source").delete_storage();
        },
        [](Stage& stage, Context& context) {
            return !has_whole(stage, context, "source", source_content);
        },
        Lasting::no); // deleting does not wait for the disk
}

TEST_CASE("power cut while resizing a volume: it has its old or its new size", "[faults][power]")
{
    cut_power_everywhere(
        put_source,
        [](Stage&, Context& context) {
            context.find_pool("pool").find_volume("source").resize(mib);
        },
        [](Stage& stage, Context& context) {
            const auto size = stage.running(context).find_volume("source").info().capacity;
            CHECK((size == source_content.size() || size == mib));
            return size == mib;
        });
}
