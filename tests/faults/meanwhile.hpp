// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <thread>

/** Does something again and again beside the test. */
class Meanwhile {
public:
    explicit Meanwhile(std::function<void()> work)
        : thread_([work = std::move(work)](std::stop_token stop) {
              while (!stop.stop_requested())
                  work();
          })
    {
    }

private:
    std::jthread thread_;
};
