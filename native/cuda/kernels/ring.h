#pragma once

#include "cuda/gpu.h"

namespace deepcache::cuda {

// A place in a ring of stages; the parity is of the phase of its barriers.
template <int kStages>
struct Place {
  int stage = 0, parity = 0;
  DEVICE void next() {
    if constexpr (kStages == 2) {  // fewer instructions
      parity ^= stage;
      stage ^= 1;
      return;
    }
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
  DEVICE Place before() const {
    if constexpr (kStages == 2) return {stage ^ 1, parity ^ stage ^ 1};
    return stage > 0 ? Place{stage - 1, parity} : Place{kStages - 1, parity ^ 1};
  }
};

}  // namespace deepcache::cuda
