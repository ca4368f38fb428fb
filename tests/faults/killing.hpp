// SPDX-License-Identifier: LGPL-2.1-or-later
// Sudden death: a call is killed after each of its system calls in turn.
#pragma once

#include "aftermath.hpp"
#include "tracing.hpp"

#include <algorithm>
#include <iostream>
#include <numeric>
#include <random>
#include <sys/prctl.h>

using Prepare = std::function<void(Scratch&, storage::Context&)>;
using Work = std::function<void(Scratch&, storage::Context&)>;
/** Looks at what is there; says whether the work shows as done, and checks that it shows whole. */
using Done = std::function<bool(Scratch&, storage::Context&)>;

struct KillOptions {
    int most{0}; ///< so many points, chosen at random; 0, or with BASIN_KILL_EVERYWHERE: every one
    bool opening_too{false};     ///< counts the opening of the Context as part of the work
    bool named_only{false};      ///< as on a file system that has no files without a name
    std::string keeps{};         ///< names that begin so may be left over
    bool every_call{false};      ///< also behind calls that change nothing
    bool awaits_programs{false}; ///< looks when what the killed process ran has ended, too
    Work at_end{};               ///< takes away what is not the scratch directory's
};

/** Until the programs ended that a killed process left. */
inline void await_orphans()
{
    while (::waitpid(-1, nullptr, __WALL) > 0 || errno == EINTR)
        ;
}

class Killing {
public:
    Killing(Prepare prepare, Work work, Done done, KillOptions options)
        : prepare_(std::move(prepare)), work_(std::move(work)), done_(std::move(done)),
          options_(std::move(options))
    {
        if (std::getenv("BASIN_KILL_EVERYWHERE"))
            options_.most = 0;
    }

    void run()
    {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        const auto calls = run_and_kill_at(INT_MAX);
        std::vector<int> points(static_cast<std::size_t>(calls));
        std::iota(points.begin(), points.end(), 1);
        if (options_.most > 0 && calls > options_.most) {
            std::mt19937 random(Catch::rngSeed());
            std::shuffle(points.begin(), points.end(), random);
            points.resize(static_cast<std::size_t>(options_.most));
            std::sort(points.begin(), points.end());
            points.back() = calls; // once it is done for sure
        }
        for (auto point : points)
            for (int attempt = 0; attempt < 6; ++attempt) {
                const auto counted = run_and_kill_at(point);
                if (counted == point)
                    break;
                // Not every run has as many: this one came to its end, and the next may be shorter.
                point = std::max(1, counted - (1 << attempt));
            }
        // Where runs differ much, none may have been killed behind the last call but one of its
        // own.
        for (int attempt = 0; after_ == 0 && attempt < 20; ++attempt)
            run_and_kill_at(std::max(1, run_and_kill_at(INT_MAX) - attempt % 4));
        std::cout << "# killed at " << points.size() << " of " << calls << " system calls";
        if (points.size() < static_cast<std::size_t>(calls))
            std::cout << " (--rng-seed " << Catch::rngSeed() << ')';
        std::cout << ": " << before_ << " as before, " << after_ << " as after\n";
        CHECK(after_ > 0);
        CHECK(before_ > 0);
    }

private:
    int run_and_kill_at(int point)
    {
        Scratch scratch;
        {
            storage::Context context(scratch.options());
            prepare_(scratch, context);
        }
        int counted = 0;
        const auto decide = [&](const TracedCall& call) -> Fate {
            counted += options_.every_call || changes_something(call);
            return {.killed = counted == point,
                    .error = options_.named_only && opens_unnamed(call) ? EOPNOTSUPP : 0};
        };
        const auto result = trace([&] { return in_child(scratch); }, !options_.opening_too, decide);
        INFO("killed after system call " << point << " of " << counted);
        CHECK(result.status == 0);
        storage::Context context(scratch.options());
        if (options_.awaits_programs)
            await_orphans();
        const bool is_done = done_(scratch, context);
        if (!result.killed) {
            CHECK(is_done);
            end(scratch, context);
            return counted;
        }
        ++(is_done ? after_ : before_);
        // A program that it ran is killed a moment later, and may hold the locks until then.
        await_orphans();
        context.recover();
        CHECK(done_(scratch, context) == is_done);
        for (const auto& path : leftovers(scratch.directory.path())) {
            // A record's temporary file goes with the next start; everything else is gone.
            INFO(path);
            const auto name = path.substr(path.rfind('/') + 1);
            CHECK((path.find("/root/run/") != std::string::npos ||
                   (!options_.keeps.empty() && name.starts_with(options_.keeps))));
        }
        // Whatever happened, the pool can be used on.
        if (!is_done) {
            work_(scratch, context);
            CHECK(done_(scratch, context));
        }
        if (!options_.opening_too)
            check_usable(context.find_pool("pool"));
        end(scratch, context);
        return counted;
    }

    void end(Scratch& scratch, storage::Context& context)
    {
        if (options_.at_end)
            options_.at_end(scratch, context);
    }

    int in_child(Scratch& scratch)
    {
        try {
            storage::Context context(scratch.options());
            if (!options_.opening_too)
                mark();
            work_(scratch, context);
            return 0;
        } catch (const std::exception& error) {
            std::fprintf(stderr, "child: %s\n", error.what());
            return 3;
        }
    }

    Prepare prepare_;
    Work work_;
    Done done_;
    KillOptions options_;
    int before_{};
    int after_{};
};

inline void kill_everywhere(Prepare prepare, Work work, Done done, KillOptions options = {})
{
    Killing(std::move(prepare), std::move(work), std::move(done), std::move(options)).run();
}
