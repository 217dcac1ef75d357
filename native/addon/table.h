#pragma once

#include "arguments.h"
#include "runtime/table.h"

namespace deepcache::addon {

// Reads lib/schedulers/table.ts's StepTable for runs of `batch` samples. Types and lengths are
// checked here; runtime/table.h's validate() checks that the rows fit together.
StepTable parse_table(const Argument& table, int batch);

// AttentionUse of lib/schedulers/table.ts, which may be left out.
AttentionUse parse_attention_use(const Argument& in);

// What the addon's tableLimits says: TABLE_LIMITS of lib/schedulers/table.ts.
Napi::Object table_limits(Napi::Env env);

}  // namespace deepcache::addon
