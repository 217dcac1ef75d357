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
  return x;
}

// Vectors of y that a panel gives: geglu's panels hold one of values and one of gates.
template <Activation A>
static void finish_rows(const Epilogue& e) {
  constexpr bool gated = A == Activation::geglu;
  constexpr int width = gated ? kLanes : kPanel;
  for (int p = 0; p < e.panels; p++) {
    for (int r = 0; r < e.rows; r++) {
      const float* c = e.c + (ptrdiff_t(p) * e.rows + r) * kPanel;
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
  }
}

template <Activation A>
static void map_values(const float* x, const float* x2, float* y, size_t count, float a, float b) {
  for (size_t i = 0; i < count; i += kLanes) {
    const int part = count - i < size_t(kLanes) ? int(count - i) : kLanes;
    Vec v = load_part(x + i, part) * a;
    if (x2) v = fma(load_part(x2 + i, part), splat(b), v);
    store_part(y + i, activate<A>(v), part);
  }
}

static void elementwise(const float* x, const float* x2, float* y, size_t count, float a, float b,
                        Activation activation) {
  switch (activation) {
    case Activation::silu:
      return map_values<Activation::silu>(x, x2, y, count, a, b);
    case Activation::gelu:
      return map_values<Activation::gelu>(x, x2, y, count, a, b);
    case Activation::quick_gelu:
      return map_values<Activation::quick_gelu>(x, x2, y, count, a, b);
    default:
      return map_values<Activation::none>(x, x2, y, count, a, b);
  }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA
