// SPDX-License-Identifier: LGPL-2.1-or-later
// What most tests include, compiled once for each program: see lib/pch/standard.hpp.
#include <basin/context.hpp>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>
