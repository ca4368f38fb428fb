// SPDX-License-Identifier: LGPL-2.1-or-later
// What several verbs share: options, and ways to show things.
#pragma once

#include "call.hpp"

namespace command {

inline constexpr Option pool_option{.name = "pool",
                                    .takes = Takes::pool,
                                    .help = "name, uuid or target path of the pool",
                                    .required = true};
inline constexpr Option optional_pool_option{
    .name = "pool", .takes = Takes::pool, .help = "name, uuid or target path of the volume's pool"};
inline constexpr Option volume_option{.name = "vol",
                                      .takes = Takes::volume,
                                      .help = "name, key or path of the volume",
                                      .required = true};

/** The options with --build, --no-overwrite and --overwrite. */
std::vector<Option> with_build_options(std::vector<Option> options);

/** @throws UsageError when the options contradict each other */
storage::BuildMode build_mode(const Call& call);

/** "Name:           vms" up to the value, as virsh prints it. */
std::string label(std::string name);

std::string yes_no(bool value);

inline constexpr Option allow_option{.name = "allow",
                                     .takes = Takes::blocker,
                                     .help = "kinds of blockers that shall not stop it",
                                     .named_only = true,
                                     .list = true};

inline constexpr Option expect_option{.name = "expect",
                                      .takes = Takes::text,
                                      .help = "what vol-identity printed; refuse another volume",
                                      .named_only = true};

inline constexpr Option xpath_option{.name = "xpath",
                                     .takes = Takes::text,
                                     .help = "only what this XPath expression selects",
                                     .named_only = true};
inline constexpr Option wrap_option{.name = "wrap",
                                    .help = "what --xpath selects in one element <nodes>"};

/** The XML, or what --xpath selects of it; in JSON with the definition. */
void print_dump(Call& call, const std::string& xml, const std::function<std::string()>& definition);

/** With --print-xml only shows what would be made, as people write it: without the numbers of a
 * pool that is not there yet, and without what is empty. */
bool print_only(Call& call, const std::function<std::string()>& print,
                const std::function<std::string()>& definition);

/** What --allow says, and --delete-snapshots. @throws UsageError for what cannot be allowed */
storage::BlockerKind allowed_blockers(const Call& call);

/** Runs a change on the volume that the command line names, and says what became of it. */
template <typename Body>
void change_volume(Call& call, const std::string& outcome, Body&& body)
{
    auto volume = call.volume();
    const auto details = identity(volume);
    if (call.change([&](Job* job) { body(volume, job); }))
        call.done("Vol " + volume.name() + ' ' + outcome, details);
}

void print_blockers(Call& call, const std::vector<storage::Blocker>& blockers);

} // namespace command
