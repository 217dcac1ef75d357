#pragma once

// What all kernels share: views of activations, and activation functions.

#include "cuda/gpu.h"
#include "runtime/ops.h"

namespace deepcache::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

// An activation in device memory: values of the model's 16-bit type T, or fp32 where the plan's
// externals are (a run's inputs and outputs, the cached feature).
struct View {
  void* data = nullptr;
  bool fp32 = false;
};

template <typename T>
DEVICE float load(const View& view, size_t i) {
  return view.fp32 ? static_cast<const float*>(view.data)[i]
                   : Number<T>::widen(static_cast<const T*>(view.data)[i]);
}

template <typename T>
DEVICE void store(const View& view, size_t i, float value) {
  if (view.fp32)
    static_cast<float*>(view.data)[i] = value;
  else
    static_cast<T*>(view.data)[i] = Number<T>::narrow(value);
}

template <typename T>
DEVICE float2 unpack(uint32_t pair) {
  T values[2];
  memcpy(values, &pair, 4);
  return {Number<T>::widen(values[0]), Number<T>::widen(values[1])};
}

// Two neighbours; i is even and the view aligned to a pair.
template <typename T>
DEVICE float2 load_pair(const View& view, size_t i) {
  if (view.fp32) return static_cast<const float2*>(view.data)[i / 2];
  return unpack<T>(static_cast<const uint32_t*>(view.data)[i / 2]);
}

template <typename T>
DEVICE void store_pair(const View& view, size_t i, float2 v) {
  if (view.fp32)
    static_cast<float2*>(view.data)[i / 2] = v;
  else
    static_cast<uint32_t*>(view.data)[i / 2] = Number<T>::pack(v.x, v.y);
}

// Eight neighbours as 16-bit values; i is a multiple of 8 and the view aligned to 16 bytes.
template <typename T>
DEVICE uint4 load_eight(const View& view, size_t i) {
  if (!view.fp32) return static_cast<const uint4*>(view.data)[i / 8];
  const float4 a = static_cast<const float4*>(view.data)[i / 4];
  const float4 b = static_cast<const float4*>(view.data)[i / 4 + 1];
  return {Number<T>::pack(a.x, a.y), Number<T>::pack(a.z, a.w), Number<T>::pack(b.x, b.y),
          Number<T>::pack(b.z, b.w)};
}

template <typename T>
DEVICE void unpack_eight(const uint4& packed, float (&out)[8]) {
  const float2 v[4] = {unpack<T>(packed.x), unpack<T>(packed.y), unpack<T>(packed.z),
                       unpack<T>(packed.w)};
#pragma unroll
  for (int j = 0; j < 4; j++) out[2 * j] = v[j].x, out[2 * j + 1] = v[j].y;
}

// The activation as eight fp32 values.
template <typename T>
DEVICE void load_eight_floats(const View& view, size_t i, float (&out)[8]) {
  if (view.fp32) {
    const float4 a = static_cast<const float4*>(view.data)[i / 4];
    const float4 b = static_cast<const float4*>(view.data)[i / 4 + 1];
    out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
    out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
    return;
  }
  unpack_eight<T>(static_cast<const uint4*>(view.data)[i / 8], out);
}

template <typename T>
DEVICE void store_eight_floats(const View& view, size_t i, const float (&v)[8]) {
  if (view.fp32) {
    static_cast<float4*>(view.data)[i / 4] = {v[0], v[1], v[2], v[3]};
    static_cast<float4*>(view.data)[i / 4 + 1] = {v[4], v[5], v[6], v[7]};
  } else {
    static_cast<uint4*>(view.data)[i / 8] = {
        Number<T>::pack(v[0], v[1]), Number<T>::pack(v[2], v[3]), Number<T>::pack(v[4], v[5]),
        Number<T>::pack(v[6], v[7])};
  }
}

// What most kernels begin with. A next grid that is already there takes no time: its blocks only
// get what this one's leave.
DEVICE void follow_previous_grid() {
  wait_for_previous_grid();
  let_next_grid_start();
}

// exp(x) is exp2(kLog2e x).
constexpr float kLog2e = 1.44269504f;

// An exact division would be three times as many instructions.
DEVICE float sigmoid(float x) { return fast_reciprocal(1.0f + fast_exp2(-kLog2e * x)); }

constexpr float kLargestFloat = 3.40282347e38f;

// x Phi(x), as max(x, 0) - |x| Phi(-|x|), to 3e-6 of its value: Phi(-t) is 2 to a polynomial of t
// (of least largest error up to 6; beyond, nothing that counts). An error function takes twice as
// long.
DEVICE float gelu(float x) {
  const float t = fabsf(x);
  float power = -1.17131390e-6f;
  power = power * t + 5.14508065e-5f;
  power = power * t - 8.70288815e-4f;
  power = power * t + 8.33325926e-3f;
  power = power * t - 5.37051521e-2f;
  power = power * t - 4.58637238e-1f;
  power = power * t - 1.15120852f;
  power = power * t - 0.999996960f;
  // Of an infinite x the last factor is 0; NaN stays.
  return fmaxf(x, 0.0f) - fminf(t, kLargestFloat) * fast_exp2(power);
}

DEVICE float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::gelu:
    case Activation::geglu:  // of the gate
      return gelu(x);
    case Activation::quick_gelu:
      return x * sigmoid(1.702f * x);
    default:
      return x;
  }
}

DEVICE float warp_sum(float v) {
#pragma unroll
  for (int by = 16; by; by >>= 1) v += __shfl_xor_sync(kAllLanes, v, by);
  return v;
}

DEVICE float warp_max(float v) {
#pragma unroll
  for (int by = 16; by; by >>= 1) v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, by));
  return v;
}

// Blocks for `items` threads' worth of work, of which each thread may do several.
inline unsigned blocks_for(size_t items, unsigned threads) {
  const size_t blocks = (items + threads - 1) / threads;
  return unsigned(blocks < 65536 ? (blocks ? blocks : 1) : 65536);
}

}  // namespace deepcache::cuda
