#pragma once

// The activations of products, and more, over plain arrays.

#include "kernels_epilogue.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

// In terms of the logistic function: where it cancels, near 0, the result is off by 1e-7.
static inline Vec tanh(Vec x) { return 2.0f / (1.0f + exp(x * -2.0f)) - 1.0f; }

template <Activation A>
static void map_values(const ElementwiseJob& job) {
  for (size_t i = 0; i < job.count; i += kLanes) {
    const int part = job.count - i < size_t(kLanes) ? int(job.count - i) : kLanes;
    Vec v = fma(load_part(job.x + i, part), splat(job.a), splat(job.offset));
    if (job.x2) v = fma(load_part(job.x2 + i, part), splat(job.b), v);
    if (job.gain) v = fma(load_part(job.gain + i, part), v, v + load_part(job.shift + i, part));
    if constexpr (A == Activation::leaky_relu) {
      const Vec slope = job.slopes ? load_part(job.slopes + i, part) : splat(job.slope);
      v = v < 0.0f ? v * slope : v;
    } else if constexpr (A == Activation::tanh) {
      v = tanh(v);
    } else {
      v = activate<A>(v);
    }
    store_part(job.y + i, v, part);
  }
}

static void elementwise(const ElementwiseJob& job) {
  switch (job.activation) {
    case Activation::silu:
      return map_values<Activation::silu>(job);
    case Activation::gelu:
      return map_values<Activation::gelu>(job);
    case Activation::quick_gelu:
      return map_values<Activation::quick_gelu>(job);
    case Activation::mish:
      return map_values<Activation::mish>(job);
    case Activation::leaky_relu:
      return map_values<Activation::leaky_relu>(job);
    case Activation::tanh:
      return map_values<Activation::tanh>(job);
    default:
      return map_values<Activation::none>(job);
  }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA
