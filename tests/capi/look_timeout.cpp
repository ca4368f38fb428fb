// SPDX-License-Identifier: LGPL-2.1-or-later
// A look through the C ABI on a server that hangs ends when the context's options say.
#include "../support/stopped_server.hpp"
#include "fixture.h"

#include <chrono>
#include <future>

namespace {

/** Runs a look while the server hangs. What would wait as long as without the option is ended by
 * the server after 15 seconds, and so is no BASIN_E_TIMED_OUT. */
template <typename Look>
void expect_timed_out(const StoppableServer& server, Look look)
{
    std::promise<void> told;
    server.stop();
    const auto healer = std::async(std::launch::async, [&] {
        if (told.get_future().wait_for(std::chrono::seconds(15)) == std::future_status::timeout)
            server.go_on();
    });
    EXPECT_CODE(look(), BASIN_E_TIMED_OUT);
    told.set_value();
    healer.wait();
    server.go_on();
}

basin_context* new_context(uint64_t look_timeout)
{
    basin_context_options options = BASIN_CONTEXT_OPTIONS_INIT;
    basin_context* context = nullptr;
    options.root = fixture_root;
    options.look_timeout = look_timeout;
    EXPECT_OK(basin_context_new(&options, 0, &context, &error));
    return context;
}

} // namespace

int main()
{
    const StoppableServer server;
    if (!server.mounted()) {
        std::puts("needs root, fuse2fs and FUSE");
        return 77;
    }
    fixture_open();
    std::snprintf(fixture_target, sizeof(fixture_target), "%s", server.path().c_str());
    std::snprintf(fixture_xml, sizeof(fixture_xml),
                  "<pool type='dir'><name>vms</name><target><path>%s</path></target></pool>",
                  fixture_target);

    auto* patient = fixture_context();
    auto* made = fixture_pool(patient);
    basin_volume_free(fixture_volume(made, "a"));

    auto* impatient = new_context(300);
    basin_pool* pool = nullptr;
    basin_volume* volume = nullptr;
    EXPECT_OK(basin_context_find_pool(impatient, "vms", 0, &pool, &error));
    EXPECT_OK(basin_pool_find_volume(pool, "a", 0, &volume, &error));
    expect_timed_out(server, [&] {
        char* xml = nullptr;
        const auto code = basin_volume_get_xml(volume, 0, &xml, &error);
        basin_free(xml);
        return code;
    });
    basin_volume_free(volume);
    basin_pool_free(pool);
    basin_context_free(impatient);

    // As long as an application can say is as long as it can say.
    auto* longest = new_context(UINT64_MAX);
    EXPECT_OK(basin_context_find_pool(longest, "vms", 0, &pool, &error));
    EXPECT_OK(basin_pool_find_volume(pool, "a", 0, &volume, &error));
    basin_volume_free(volume);
    basin_pool_free(pool);
    basin_context_free(longest);

    EXPECT_OK(basin_pool_stop(made, 0, nullptr, &error));
    basin_pool_free(made);
    basin_context_free(patient);
    return failures();
}
