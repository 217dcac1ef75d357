#pragma once

// What the sampler's kernels share: see sampler.cu.

#include "cuda/kernels/common.h"
#include "cuda/kernels/sampler.h"

namespace deepcache::cuda {

constexpr int kThreads = 256;
constexpr int kSampleThreads = 512;

// A row and its state, in shared memory.
struct SamplerCall {
  SamplerShape shape;
  SamplerBuffers at;
  const float* values;
  float* scratch;
  StepRow row;
  Term terms[kMaxTerms];  // the row's; see load_terms
};

template <typename T>
DEVICE void copy_words(T* to, const T* from, unsigned count = 1) {
  static_assert(sizeof(T) % 4 == 0);
  for (unsigned i = threadIdx.x; i < count * (sizeof(T) / 4); i += blockDim.x)
    reinterpret_cast<uint32_t*>(to)[i] = reinterpret_cast<const uint32_t*>(from)[i];
}

DEVICE SamplerCall& load_call(const LoopState& loop, int row) {
  SHARED_ARRAY(uint4, words, (sizeof(SamplerCall) + sizeof(uint4) - 1) / sizeof(uint4));
  SamplerCall& call = *reinterpret_cast<SamplerCall*>(words);
  if (threadIdx.x == 0) {
    call.shape = loop.shape;
    call.values = loop.values;
    call.scratch = loop.scratch;
  }
  copy_words(&call.at, &loop.buffers);
  copy_words(&call.row, &loop.rows[row]);
  __syncthreads();
  return call;
}

// For kernels that form the row's sums.
DEVICE void load_terms(const LoopState& loop, SamplerCall& c) {
  copy_words(c.terms, loop.terms + c.row.terms.first, c.row.terms.count);
  __syncthreads();
}

DEVICE float value(const SamplerCall& c, Coefficient coefficient, int sample) {
  return c.values[coefficient.offset + coefficient.stride * unsigned(sample)];
}

DEVICE float& rescale_factor(const SamplerCall& c, int sample) { return c.scratch[sample]; }

DEVICE float& threshold_bound(const SamplerCall& c, int sample) {
  return c.scratch[c.shape.batch + sample];
}

DEVICE size_t sample_size(const SamplerCall& c) {
  return size_t(c.shape.pixels) * c.shape.channels;
}

DEVICE float* slot(const SamplerCall& c, Slot which, int sample) {
  switch (which) {
    case Slot::x:
      return c.at.x;
    case Slot::m:
      return c.at.m;
    case Slot::x0:
      return c.at.x0;
    case Slot::noise:
      return c.at.noise + size_t(value(c, c.row.noise, sample)) * c.shape.batch * sample_size(c);
    default:
      return c.at.history[int(which) - kFirstHistorySlot];
  }
}

// The sum over the block; all threads get it.
DEVICE float block_sum(float v, float* shared) {
  v = warp_sum(v);
  __syncthreads();  // the previous sum has been read
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  v = 0;
  for (int i = 0; i < kSampleThreads / 32; i++) v += shared[i];
  return v;
}

}  // namespace deepcache::cuda
