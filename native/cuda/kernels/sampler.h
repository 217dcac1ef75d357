#pragma once

// The step table's arithmetic: see sampler.cu.

#include "cuda/api.h"
#include "cuda/kernels/slices.h"

namespace deepcache::cuda {

// What a run's kernels read, in device memory at an address that its graphs hold.
struct LoopState {
  // The row that is computed, and the one that the next graph computes.
  int row, next;
  SamplerShape shape;
  SamplerBuffers buffers;
  const StepRow* rows;
  const Term* terms;
  const float* values;
  float* scratch;  // two numbers for each sample
};

constexpr size_t kScratchFloats = 2;  // for each sample

// What rows of a table ask for besides the ordinary.
struct SamplerFeatures {
  bool rescaled = false, thresholded = false;
  auto operator<=>(const SamplerFeatures&) const = default;
};

// Takes the next row, which runs no program.
void launch_sampler_row(LoopState* loop, Stream stream);
// Takes the next row: builds the model's input and fetches its slices.
void launch_sampler_input(LoopState* loop, const SamplerShape& shape, const Slices& slices,
                          Stream stream);
// Applies the row, whose program has computed `halves`. Rows may leave out features, but ask for no
// others.
void launch_sampler_step(LoopState* loop, const SamplerShape& shape, SamplerFeatures features,
                         Halves halves, Stream stream);

}  // namespace deepcache::cuda
