// SPDX-License-Identifier: LGPL-2.1-or-later
// The step that makes a clone independent of its parent.
#pragma once

#include "change.hpp"

namespace storage::inline v1 {

void apply_flatten(StepRun& run);
void undo_flatten(StepRun& run);

} // namespace storage::inline v1
