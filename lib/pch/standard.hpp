// SPDX-License-Identifier: LGPL-2.1-or-later
// What most files of the library include anyway, compiled once where b_pch is on, as tests/run has
// it. It is off by default, and under the thread sanitizer, so that each file says what it needs.
#include <basin/context.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>
