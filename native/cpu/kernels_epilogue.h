#pragma once

// What happens to a value after it was summed: bias, row vector, activation, residual. Also the
// same activations over plain arrays.

#include "kernels.h"
#include "simd.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

template <Activation A>
static inline Vec activate(Vec x) {
  if constexpr (A == Activation::silu) return silu(x);
  if constexpr (A == Activation::gelu) return gelu(x);
  if constexpr (A == Activation::quick_gelu) return quick_gelu(x);
  if constexpr (A == Activation::mish) return mish(x);
  return x;
}

// Vectors of y that a panel gives: geglu's panels hold one of values and one of gates.
template <Activation A>
static void finish_rows(const Epilogue& e) {
  constexpr bool gated = A == Activation::geglu;
  constexpr int width = gated ? kLanes : kPanel;
  for (int p = 0; p < e.panels; p++) {
    for (int r = 0; r < e.rows; r++) {
      const float* c = e.c + (ptrdiff_t(p) * e.c_rows + r) * kPanel;
      for (int j = p * width; j < (p + 1) * width && j < e.columns; j += kLanes, c += kLanes) {
        const int count = e.columns - j < kLanes ? e.columns - j : kLanes;
        Vec x = load(c);
        if (e.bias) x += load_part(e.bias + j, count);
        if constexpr (gated) {
          Vec gate = load(c + kLanes);
          if (e.gate_bias) gate += load_part(e.gate_bias + j, count);
          x *= gelu(gate);
        } else {
          if (e.row) x += load_part(e.row[r] + j, count);
          x = activate<A>(x);
        }
        x *= e.scale;
        if (e.residual) x = fma(load_part(e.residual[r] + j, count), splat(e.residual_scale), x);
        store_part(e.y[r] + j, x, count);
      }
    }
  }
}

static void epilogue(const Epilogue& e) {
  switch (e.activation) {
    case Activation::none:
      return finish_rows<Activation::none>(e);
    case Activation::silu:
      return finish_rows<Activation::silu>(e);
    case Activation::gelu:
      return finish_rows<Activation::gelu>(e);
    case Activation::quick_gelu:
      return finish_rows<Activation::quick_gelu>(e);
    case Activation::geglu:
      return finish_rows<Activation::geglu>(e);
    default:
      return finish_rows<Activation::none>(e);  // Conv::check() lets no other one through
  }
}

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
