#pragma once

#include "arguments.h"
#include "runtime/table.h"

namespace deepcache::addon {

// Reads lib/schedulers/table.ts's StepTable for runs of `batch` samples. Types and lengths are
// checked here; runtime/table.h's validate() checks that the rows fit together.
StepTable parse_table(const Argument& table, int batch);

}  // namespace deepcache::addon
