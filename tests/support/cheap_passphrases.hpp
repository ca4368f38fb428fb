// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "passphrase_cost.hpp"

/** As long as it lives, guesses at the passphrases of new volumes take this instead of 2 s. */
struct CheapPassphrases {
    explicit CheapPassphrases(std::uint32_t ms = 10) { storage::passphrase_cost_ms = ms; }
    ~CheapPassphrases() { storage::passphrase_cost_ms = storage::default_passphrase_cost_ms; }
    CheapPassphrases(const CheapPassphrases&) = delete;
    CheapPassphrases& operator=(const CheapPassphrases&) = delete;
};
