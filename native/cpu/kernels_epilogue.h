#pragma once

// What happens to a value after it was summed: bias, row vector, activation, residual.

#include "kernels.h"
#include "simd_bf16.h"

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
template <Activation A, typename Value>
static void finish_rows(const Epilogue& e, Value* const* y) {
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
        store_part(y[r] + j, x, count);
      }
    }
  }
}

// To e.y or e.bf16_y, which is `y`.
template <typename Value>
static void finish(const Epilogue& e, Value* const* y) {
  switch (e.activation) {
    case Activation::none:
      return finish_rows<Activation::none>(e, y);
    case Activation::silu:
      return finish_rows<Activation::silu>(e, y);
    case Activation::gelu:
      return finish_rows<Activation::gelu>(e, y);
    case Activation::quick_gelu:
      return finish_rows<Activation::quick_gelu>(e, y);
    case Activation::geglu:
      return finish_rows<Activation::geglu>(e, y);
    default:
      return finish_rows<Activation::none>(e, y);  // Conv::check() lets no other one through
  }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA
