#pragma once

#include <cstddef>
#include <cstdint>

namespace deepcache {

// half_to_float() of each value (NaNs may become quiet ones), by the processor's own instruction
// where it has one: most checkpoints are fp16, and all that they hold comes through here.
void halves_to_floats(const uint16_t* halves, size_t count, float* out);

}  // namespace deepcache
