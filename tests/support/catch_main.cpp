// SPDX-License-Identifier: LGPL-2.1-or-later
// The one translation unit that compiles Catch2 itself.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#include "lab.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>

namespace {

/**
 * Prints one TAP line for each test case, from which tests/run counts; the reporter's own output
 * stays. A case that said WARN("skipped: why") is skipped: Catch2 2 knows no other way.
 *
 * A case tagged [lab] may wipe disks. It is run in the virtual machine of tests/lab or not at all.
 */
class CaseLines : public Catch::TestEventListenerBase {
public:
    using TestEventListenerBase::TestEventListenerBase;

    void testCaseStarting(const Catch::TestCaseInfo& info) override
    {
        TestEventListenerBase::testCaseStarting(info);
        reason_.clear();
        if (!in_lab() && std::count(info.lcaseTags.begin(), info.lcaseTags.end(), "lab") > 0) {
            std::cerr << info.name << ": only inside the virtual machine of tests/lab" << std::endl;
            std::_Exit(97);
        }
    }

    bool assertionEnded(const Catch::AssertionStats& stats) override
    {
        const auto& result = stats.assertionResult;
        const std::string mark = "skipped: ";
        const auto message = std::string(result.getMessage());
        if (result.getResultType() == Catch::ResultWas::Warning &&
            message.compare(0, mark.size(), mark) == 0)
            reason_ = message.substr(mark.size());
        return TestEventListenerBase::assertionEnded(stats);
    }

    void testCaseEnded(const Catch::TestCaseStats& stats) override
    {
        const bool ok = stats.totals.assertions.allOk();
        std::cout << (ok ? "ok - " : "not ok - ") << stats.testInfo.name;
        if (ok && !reason_.empty())
            std::cout << " # SKIP " << reason_;
        std::cout << std::endl;
        TestEventListenerBase::testCaseEnded(stats);
    }

private:
    std::string reason_{};
};

CATCH_REGISTER_LISTENER(CaseLines)

} // namespace
