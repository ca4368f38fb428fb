// SPDX-License-Identifier: LGPL-2.1-or-later
// Host: the services that the core lends to backends and to the actions of changes.
#pragma once

#include "file_io.hpp"

#include <basin/secret.hpp>

#include <functional>
#include <string>

namespace storage::inline v1 {

class CommandRunner;
class SystemRoot;
struct Log;

/** Outlives what uses it. */
struct Host {
    const SystemRoot& system;
    const Log& log;
    CommandRunner& runner;
    /** Asks the application. @throws Error not_found  there is no such secret */
    std::function<Secret(const SecretRequest&)> secret{};
    std::string helper_directory{};  ///< basin's own helper programs
    std::uint64_t id{random_bits()}; ///< of no other
};

} // namespace storage::inline v1
