// SPDX-License-Identifier: LGPL-2.1-or-later
// From argv to a verb and its option values; help texts.
#pragma once

#include "verb.hpp"

#include <stdexcept>

namespace command {

/** A command line that cannot be understood; the hint is what to do about it. */
class UsageError : public std::runtime_error {
public:
    UsageError(const std::string& message, std::string hint = "see 'basin --help'")
        : std::runtime_error(message), hint_(std::move(hint))
    {
    }
    const std::string& hint() const { return hint_; }

private:
    std::string hint_;
};

struct Invocation {
    Arguments globals;
    const Verb* verb{}; ///< null: only global options were given
    Arguments arguments;
};

/**
 * Fills in what was understood as it goes, so that after a UsageError `globals` still tells
 * whether the error is wanted as JSON.
 */
void parse_command_line(int argc, char** argv, Invocation& invocation);

std::string help_text();
std::string help_text(const Verb& verb);

/** "vol-create-as POOL NAME CAPACITY [--allocation SIZE] …" */
std::string usage_line(const Verb& verb);

} // namespace command
