#pragma once

// The step table's arithmetic: see sampler.cu.

#include "cuda/api.h"
#include "cuda/gpu.h"

namespace deepcache::cuda {

// Scratch of a call: a number for each sample.
size_t sampler_scratch_floats(int batch);

void launch_sampler_input(const SamplerCall& call, Stream stream);
void launch_sampler_step(const SamplerCall& call, float* scratch, Stream stream);

}  // namespace deepcache::cuda
