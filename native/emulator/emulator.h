#pragma once

// CUDA's names, for kernels that are compiled by an ordinary compiler. Only native/cuda/gpu.h
// includes it.

#include <bit>
#include <cmath>

#include "async_proxy.h"
#include "barriers.h"
#include "cluster.h"
#include "cp_async.h"
#include "launch.h"
#include "matrix.h"
#include "mbarrier.h"
#include "memory.h"
#include "previous_grid.h"
#include "registers.h"
#include "scheduler.h"
#include "shared_limit.h"
#include "shared_memory.h"
#include "stream.h"
#include "tensor_map.h"
#include "tma.h"
#include "warp.h"
#include "wgmma.h"

#define threadIdx (deepcache::emulator::current->thread)
#define blockIdx (deepcache::emulator::current->block->index)
#define blockDim (deepcache::emulator::block_size)
#define gridDim (deepcache::emulator::grid_size)

inline void __syncthreads(EMULATOR_AT) { deepcache::emulator::sync_threads(file, line); }

inline void __syncwarp(unsigned mask = ~0u, EMULATOR_AT) {
  deepcache::emulator::warp_op(
      "__syncwarp", mask, nullptr, file, line, [](void**, uint32_t) {}, true);
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, EMULATOR_AT) {
  const int lane = deepcache::emulator::current->index & 31;
  return deepcache::emulator::shuffle("__shfl_sync", mask, value,
                                      (lane & ~(width - 1)) + (source & (width - 1)), file, line);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32, EMULATOR_AT) {
  const int lane = deepcache::emulator::current->index & 31, source = lane ^ by;
  const bool inside = (source & ~(width - 1)) <= (lane & ~(width - 1));
  return deepcache::emulator::shuffle("__shfl_xor_sync", mask, value, inside ? source : -1, file,
                                      line);
}

inline unsigned __ballot_sync(unsigned mask, int vote, EMULATOR_AT) {
  return deepcache::emulator::ballot(mask, vote != 0, file, line);
}

// Threads switch only where they synchronise, so that plain arithmetic is atomic.
template <typename T>
T atomicAdd(T* address, T value) {
  deepcache::emulator::Internal internal;
  const T old = *address;
  *address = old + value;
  return old;
}

template <typename T>
T atomicMax(T* address, T value) {
  deepcache::emulator::Internal internal;
  const T old = *address;
  if (old < value) *address = value;
  return old;
}

inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
