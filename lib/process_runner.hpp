// SPDX-License-Identifier: LGPL-2.1-or-later
// ProcessRunner: runs commands for real.
#pragma once

#include "command.hpp"

namespace storage::inline v1 {

/**
 * A program gets nothing of this process but what the Command names:
 * - descriptors: pipes as 0 to 2, secrets from 3, inherited ones from 10; no other;
 * - environment: LC_ALL=C, PATH, this process' HOME and TMPDIR where they are absolute, and
 *   DM_DISABLE_UDEV=1 where udev does not run;
 * - working directory /, umask 077, every signal at its default and none blocked, no core dumps;
 * - a session of its own, so that it can ask no user at a terminal.
 *
 * PATH is this process' (as secure_getenv(3) gives it when the runner is made) without directories
 * that are not absolute, and /usr/sbin, /sbin, /usr/bin and /bin where they are missing from it.
 *
 * A program that has to end early gets SIGTERM and a second later SIGKILL, with its whole group.
 * One that even then waits in the kernel is left to init, and the error says so. Processes that a
 * program leaves behind may hold its output open for half a second after its end; then the rest of
 * its group is killed.
 *
 * This process gets no SIGCHLD and its wait(2) sees nothing of it. Meanwhile it has one child
 * "basin-wait", which shares its memory (process_supervisor.hpp says why). Needs Linux 5.9.
 * @note Thread-safe.
 */
class ProcessRunner final : public CommandRunner {
public:
    ProcessRunner();
    /** With this PATH, HOME and TMPDIR; "" for none. */
    ProcessRunner(std::string_view path, std::string_view home, std::string_view temporary);

    CommandResult run(const Command& command, Job* job) override;

    /** The file that would be run; "" when there is none. */
    std::string find_program(const std::string& program) const;

private:
    std::vector<std::string> directories_{};
    std::vector<std::string> environment_{};
};

} // namespace storage::inline v1
