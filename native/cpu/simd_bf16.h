#pragma once

// Vectors of bf16 values, and pairs of them in the lanes of a vector of floats: the value of the
// even index in the lower half.

#include "kernels.h"
#include "simd.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

typedef IntVec LooseIntVec __attribute__((aligned(4), may_alias));
static inline IntVec load_pairs(const Bf16* p) { return *reinterpret_cast<const LooseIntVec*>(p); }
static inline void store_pairs(Bf16* p, IntVec v) { *reinterpret_cast<LooseIntVec*>(p) = v; }
// One pair in every lane.
static inline IntVec splat_pair(const Bf16* p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, sizeof pair);
  return pair - IntVec{};
}

typedef Bf16 HalfVec __attribute__((vector_size(2 * kLanes)));
typedef HalfVec LooseHalfVec __attribute__((aligned(2), may_alias));

// As floats.
static inline Vec widened(HalfVec v) { return bits(__builtin_convertvector(v, IntVec) << 16); }
static inline Vec load(const Bf16* p) { return widened(*reinterpret_cast<const LooseHalfVec*>(p)); }
static inline Vec load_part(const Bf16* p, int count) {
  if (count >= kLanes) return load(p);
#if defined(__AVX512F__)
  return widened(HalfVec(_mm256_maskz_loadu_epi16(__mmask16((1u << count) - 1), p)));
#else
  HalfVec v = {};
  for (int i = 0; i < count; i++) v[i] = p[i];
  return widened(v);
#endif
}

// The nearest bf16 of each lane, in its upper half; the lower one is zero.
static inline IntVec round_to_bf16(Vec x) {
  const IntVec m = bits(x) & 0x7fffffff, sign = bits(x) ^ m;
  const IntVec rounded = (m + 0x7fff + (m >> 16 & 1)) & int32_t(0xffff0000);
  const IntVec number = m < 0x00800000 ? m - m : rounded;
  return sign | (m > 0x7f800000 ? m - m + 0x7fc00000 : number);
}

#if defined(__AVX512BF16__)
static inline IntVec pairs(Vec even, Vec odd) {
  const __m512i both = __m512i(_mm512_cvtne2ps_pbh(odd, even));
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return IntVec(_mm512_permutexvar_epi16(order, both));
}

// Both vectors' values, one after the other.
static inline void store_bf16(Bf16* out, Vec low, Vec high) {
  _mm512_storeu_si512(out, __m512i(_mm512_cvtne2ps_pbh(high, low)));
}

static inline HalfVec rounded(Vec v) { return HalfVec(_mm512_cvtneps_pbh(v)); }

static inline Vec dot(Vec sum, IntVec a, IntVec b) {
  return _mm512_dpbf16_ps(sum, __m512bh(a), __m512bh(b));
}
#else
static inline IntVec pairs(Vec even, Vec odd) {
  return (round_to_bf16(even) >> 16 & 0xffff) | round_to_bf16(odd);
}

static inline HalfVec rounded(Vec v) {
  return __builtin_convertvector(round_to_bf16(v) >> 16, HalfVec);
}

static inline void store_bf16(Bf16* out, Vec low, Vec high) {
  *reinterpret_cast<LooseHalfVec*>(out) = rounded(low);
  *reinterpret_cast<LooseHalfVec*>(out + kLanes) = rounded(high);
}

// What the instruction computes: the odd values' products first, each sum rounded.
static inline Vec dot(Vec sum, IntVec a, IntVec b) {
  constexpr int32_t kOdd = int32_t(0xffff0000);
  return fma(bits(a << 16), bits(b << 16), fma(bits(a & kOdd), bits(b & kOdd), sum));
}
#endif

static inline void store(Bf16* p, Vec v) { *reinterpret_cast<LooseHalfVec*>(p) = rounded(v); }
static inline void store_part(Bf16* p, Vec v, int count) {
  if (count >= kLanes) return store(p, v);
  const HalfVec halves = rounded(v);
#if defined(__AVX512F__)
  _mm256_mask_storeu_epi16(p, __mmask16((1u << count) - 1), __m256i(halves));
#else
  for (int i = 0; i < count; i++) p[i] = halves[i];
#endif
}

// Pairs of values at two places, of which the first `count` lanes exist.
static inline IntVec load_pairs(const float* even, const float* odd, int count) {
  return pairs(load_part(even, count), load_part(odd, count));
}
static inline IntVec load_pairs(const Bf16* even, const Bf16* odd, int count) {
  return (bits(load_part(even, count)) >> 16 & 0xffff) | bits(load_part(odd, count));
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA
