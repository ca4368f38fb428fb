// SPDX-License-Identifier: LGPL-2.1-or-later
// Pools of type "logical" in the lab's machine: two empty disks, a context, what LVM says.
#pragma once

#include "file_io.hpp"
#include "lab.hpp"
#include "process_runner.hpp"
#include "scratch.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

namespace logical_lab {

using namespace storage;

inline constexpr std::uint64_t mib = 1 << 20;

inline std::string output_of(const std::string& command)
{
    ProcessRunner runner;
    auto text = runner.run({.program = "bash", .arguments = {"-c", command}}, nullptr).output;
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.pop_back();
    return text.substr(std::min(text.find_first_not_of(' '), text.size()));
}

/** A context of its own, disks without anything on them, and LVM's modules. */
struct Lab {
    Scratch scratch{};
    std::optional<Context> context{};

    Lab()
    {
        lab_run("modprobe -a dm-mod dm-snapshot dm-thin-pool dm-raid");
        clean();
        open();
    }
    ~Lab() { clean(); }
    void clean()
    {
        ::unlink("/etc/lvm/lvmlocal.conf");
        std::system("{ umount /mnt; vgremove --yes --force --force labvg renamed;"
                    "pvremove --yes --force --force /dev/vda /dev/vdb;"
                    "wipefs -a /dev/vda /dev/vdb; } > /dev/null 2>&1");
    }
    void open()
    {
        context.reset();
        auto options = scratch.options();
        options.secrets = [](const SecretRequest&) { return Secret("passphrase"); };
        context.emplace(std::move(options));
    }

    PoolDef definition(bool with_devices = true)
    {
        PoolDef def{.type = "logical", .name = "lvm", .source = {.name = "labvg"}};
        if (with_devices)
            def.source.devices = {{.path = lab_disk('a')}, {.path = lab_disk('b')}};
        return def;
    }
    Pool running()
    {
        auto pool = context->define_pool(definition());
        pool.start(BuildMode::no_overwrite);
        return pool;
    }
};

inline VolumeDef volume(const std::string& name, std::uint64_t capacity,
                        std::optional<Provisioning> provisioning = {})
{
    VolumeDef def{.name = name, .capacity = capacity};
    def.target.provisioning = std::move(provisioning);
    return def;
}

inline Provisioning thin(const std::string& pool = "")
{
    return {.kind = ProvisioningKind::thin, .pool = pool};
}

inline Volume make_thin_pool(Pool& pool, std::uint64_t size = 96 * mib,
                             const std::string& name = "tp")
{
    return pool.create_volume(volume(name, size, {{.kind = ProvisioningKind::thin_pool}}));
}

inline std::string lv(const std::string& name, const std::string& field)
{
    return output_of("lvs --noheadings --units b --nosuffix -o " + field + " labvg/" + name);
}

inline std::string all_lvs()
{
    return output_of("lvs --noheadings -o lv_name,lv_tags labvg 2>&1 | sed 's/ *$//'");
}

inline void fill(const std::string& path, char letter, std::size_t size)
{
    const auto fd = open_file(path, O_WRONLY);
    write_at(fd.get(), 0, std::string(size, letter), path);
    ::fsync(fd.get());
}

inline std::string begin_of(const std::string& path, std::size_t size = 4)
{
    std::string text(size, '?');
    const auto fd = open_file(path, O_RDONLY);
    CHECK(::pread(fd.get(), text.data(), size, 0) == static_cast<ssize_t>(size));
    return text;
}

inline bool has_diagnostic(const Pool& pool, const std::string& name, DiagnosticReason reason)
{
    for (const auto& diagnostic : pool.diagnostics())
        if (diagnostic.name == name && diagnostic.reason == reason)
            return true;
    return false;
}

/** As if the other disks were not there, until it goes. */
struct OnlyDisk {
    explicit OnlyDisk(char letter)
    {
        std::ofstream("/etc/lvm/lvmlocal.conf")
            << "devices { global_filter=[\"a|^" << lab_disk(letter) << "$|\", \"r|.*|\"] }\n";
    }
    ~OnlyDisk() { ::unlink("/etc/lvm/lvmlocal.conf"); }
};

} // namespace logical_lab

#define ONLY_IN_LAB()                                                                              \
    if (!in_lab()) {                                                                               \
        WARN("skipped: not in the lab's machine");                                                 \
        return;                                                                                    \
    }
