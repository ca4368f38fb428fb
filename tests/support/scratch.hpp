// SPDX-License-Identifier: LGPL-2.1-or-later
// A private basin root with a dir pool to try things on.
#pragma once

#include "temporary_directory.hpp"

#include <basin/context.hpp>

#include <filesystem>

struct Scratch {
    TemporaryDirectory directory{};
    std::vector<std::string> log{};

    storage::ContextOptions options()
    {
        storage::ContextOptions result;
        result.root = directory / "root";
#ifdef BASIN_TEST_HELPERS
        result.helper_directory = BASIN_TEST_HELPERS;
#endif
        if (std::filesystem::exists(directory / "secrets"))
            result.secrets = storage::secret_directory(directory / "secrets");
        result.log = [this](storage::LogLevel, std::string_view line) { log.emplace_back(line); };
        return result;
    }

    std::string target(const std::string& name = "pool") const
    {
        return directory / name;
    }

    storage::PoolDef dir_pool(const std::string& name = "pool") const
    {
        storage::PoolDef def;
        def.type = "dir";
        def.name = name;
        def.target.path = target(name);
        return def;
    }

    /** Defined, built and started. */
    storage::Pool running_pool(storage::Context& context, const std::string& name = "pool") const
    {
        auto pool = context.define_pool(dir_pool(name));
        pool.build();
        pool.start();
        return pool;
    }
};

/** The code of the Error that call throws; 0 when it throws none. */
template <typename Call>
storage::ErrorCode error_code(Call&& call)
{
    try {
        call();
    } catch (const storage::Error& error) {
        return error.code();
    }
    return storage::ErrorCode{};
}

inline storage::VolumeDef raw_volume(const std::string& name, std::uint64_t capacity = 1 << 20,
                                     std::uint64_t allocation = 0)
{
    storage::VolumeDef def;
    def.name = name;
    def.capacity = capacity;
    def.allocation = allocation;
    return def;
}
