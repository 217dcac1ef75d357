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
  float* scratch;  // kScratchFloats arrays of a number for each sample
};

constexpr size_t kScratchFloats = 6;
constexpr size_t kChangePlace = 2;   // the array that launch_sampler_change() fills
constexpr size_t kFactorsPlace = 3;  // three arrays, of launch_guidance()

// What rows of a table ask for besides the ordinary.
struct SamplerFeatures {
  bool rescaled = false, thresholded = false, keeps = false;
  bool ruled = false;  // guidance by another rule than the linear one
  auto operator<=>(const SamplerFeatures&) const = default;
};

// Takes the next row, which runs no program.
void launch_sampler_row(LoopState* loop, Stream stream);
// Takes the next row: builds the model's input and fetches its slices. The feature `keeps`: keeps a
// copy of the input.
void launch_sampler_input(LoopState* loop, const SamplerShape& shape, SamplerFeatures features,
                          const Slices& slices, Stream stream);
// How much the next row's input differs from the one that was kept, for each sample.
void launch_sampler_change(LoopState* loop, const SamplerShape& shape, Stream stream);
// Applies the row, whose program has computed `halves`. Rows may leave out features, but ask for no
// others.
void launch_sampler_step(LoopState* loop, const SamplerShape& shape, SamplerFeatures features,
                         Halves halves, Stream stream);

}  // namespace deepcache::cuda
