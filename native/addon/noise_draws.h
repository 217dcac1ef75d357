#pragma once

#include <cstddef>

#include "arguments.h"
#include "models/unet.h"

namespace deepcache::addon {

// What one draw is for: `samples` of [channels, frames, pixels], in the order in which they are
// drawn. Samples of the runtime are single frames, [channels, pixels].
struct DrawShape {
  size_t samples, channels, frames, pixels;

  size_t each() const { return channels * frames * pixels; }
  size_t count() const { return samples * each(); }
};

// The draws themselves, or the generators that make them, which are copied as they are now:
// DenoiseRequest.noise of lib/native/types.ts.
void parse_noise(const Argument& in, const DrawShape& shape, UnetDenoise& out);

}  // namespace deepcache::addon
