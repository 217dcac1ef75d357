#pragma once

// Tensors that hold one slice for each step of a run (time projections): the step's slice is copied
// to where the ops of the plan read it, so that a recorded graph serves all steps.

#include "cuda/gpu.h"

namespace deepcache::cuda {

constexpr int kMaxSlices = 4;

// Sizes in words of four bytes.
struct Slices {
  int count = 0;
  struct {
    const uint32_t* from;  // of step 0
    size_t step;           // between slices
    uint32_t* to;
    size_t words;
  } slice[kMaxSlices] = {};

  size_t words() const {
    size_t sum = 0;
    for (int i = 0; i < count; i++) sum += slice[i].words;
    return sum;
  }
};

// The calling thread's part, of `threads` in all.
DEVICE void fetch_slices(const Slices& slices, int step, size_t thread, size_t threads) {
  for (int s = 0; s < slices.count; s++) {
    const auto& slice = slices.slice[s];
    const uint32_t* from = slice.from + slice.step * size_t(step);
    for (size_t i = thread; i < slice.words; i += threads) slice.to[i] = from[i];
  }
}

void launch_fetch_slices(const Slices& slices, int step, Stream stream);

}  // namespace deepcache::cuda
