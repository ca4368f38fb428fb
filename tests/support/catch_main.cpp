// SPDX-License-Identifier: LGPL-2.1-or-later
// The one translation unit that compiles Catch2 itself.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
