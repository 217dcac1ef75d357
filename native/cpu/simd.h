#pragma once

// One vector of floats, as wide as the instruction set that this copy of kernels.cc is compiled
// for. Included by kernels.cc only: everything here is static, so that no copy leaks wide
// instructions into code that runs on every processor.

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace deepcache::cpu::DEEPCACHE_ISA {

// On NEON two registers make a vector: a tile of 6 x 2 vectors then fills 24 of its 32. GCC 12
// would keep such a tile in memory, so there it is one register and 8 sums.
#if defined(__AVX512F__)
#define DEEPCACHE_LANES 16
constexpr int kTileRows = 14;  // rows of the matrix kernel's register tile, at most kLanes
#elif defined(__AVX2__) || (defined(__aarch64__) && defined(__clang__))
#define DEEPCACHE_LANES 8
constexpr int kTileRows = 6;
#else
#define DEEPCACHE_LANES 4
constexpr int kTileRows = 4;
#endif
constexpr int kLanes = DEEPCACHE_LANES;
constexpr int kPanel = 2 * kLanes;  // columns of the tile

typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef int32_t IntVec __attribute__((vector_size(4 * kLanes)));
typedef float LooseVec __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

static inline Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
static inline void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }
// Past the caches; `p` is aligned to a vector. Other threads see it after fence_stores().
static inline void store_away(float* p, Vec v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, v);
#elif defined(__AVX2__)
  _mm256_stream_ps(p, v);
#elif defined(__SSE2__)
  _mm_stream_ps(p, v);
#else
  store(p, v);
#endif
}
static inline void fence_stores() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}
// x - 0 is x, also when x is -0, so that this is one instruction; 0 + x is not.
static inline Vec splat(float x) { return x - Vec{}; }

// The first `count` lanes; the others are zero.
static inline Vec load_part(const float* p, int count) {
  if (count >= kLanes) return load(p);
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), p);
#else
  Vec v = {};
  for (int i = 0; i < count; i++) v[i] = p[i];
  return v;
#endif
}

static inline void store_part(float* p, Vec v, int count) {
  if (count >= kLanes) return store(p, v);
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, __mmask16((1u << count) - 1), v);
#else
  for (int i = 0; i < count; i++) p[i] = v[i];
#endif
}

// a * b + c in one rounding where the hardware can.
static inline Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

// The second argument when either is NaN.
static inline Vec max(Vec a, Vec b) {
#if defined(__AVX512F__)
  return _mm512_maskz_max_ps(0xffff, a, b);  // the plain one makes GCC 12 warn
#elif defined(__AVX2__)
  return _mm256_max_ps(a, b);
#elif defined(__SSE2__)
  return _mm_max_ps(a, b);
#else
  return a > b ? a : b;
#endif
}

static inline Vec min(Vec a, Vec b) {
#if defined(__AVX512F__)
  return _mm512_maskz_min_ps(0xffff, a, b);
#elif defined(__AVX2__)
  return _mm256_min_ps(a, b);
#elif defined(__SSE2__)
  return _mm_min_ps(a, b);
#else
  return a < b ? a : b;
#endif
}

static inline Vec bits(IntVec v) { return reinterpret_cast<Vec>(v); }
static inline IntVec bits(Vec v) { return reinterpret_cast<IntVec>(v); }

static inline float sum(Vec v) {
  for (int half = kLanes / 2; half; half /= 2)
    for (int i = 0; i < half; i++) v[i] += v[i + half];
  return v[0];
}

// p[0] + p[1] x + ... + p[N - 1] x^(N - 1)
template <int N>
static inline Vec polynomial(const float (&p)[N], Vec x) {
  Vec y = splat(p[N - 1]);
#pragma GCC unroll 16
  for (int i = N - 2; i >= 0; i--) y = fma(y, x, splat(p[i]));
  return y;
}

// 2^(x + n) for x in [-1/2, 1/2] (relative error 8e-8, Lawson's minimax fit) and whole n, given as
// the bits of n + kRound: adding 1.5 * 2^23 leaves a rounded number in the low bits.
constexpr float kRound = 12582912.0f;
static inline Vec exp2_parts(Vec x, Vec rounded) {
  constexpr float p[] = {1.00000007e+00f, 6.93146967e-01f, 2.40221197e-01f,
                         5.55071327e-02f, 9.67554133e-03f, 1.32764718e-03f};
  return bits(bits(polynomial(p, x)) + (bits(rounded) << 23));
}

// 2^x, for x <= 127; 0 or nearly so below -126.
static inline Vec exp2(Vec x) {
  x = max(splat(-126.0f), x);
  const Vec rounded = x + kRound;
  return exp2_parts(x - (rounded - kRound), rounded);
}

// e^x; x is limited to [-87.3, 88].
static inline Vec exp(Vec x) {
  constexpr float p[] = {
      1.0f,           1.00000004f,    4.99999921e-01f, 1.66664202e-01f, 4.16682256e-02f,
      8.3748158e-03f, 1.38368458e-03f};
  x = max(splat(-87.3f), min(splat(88.0f), x));
  const Vec rounded = fma(x, splat(1.44269504f), splat(kRound));
  const Vec n = rounded - kRound;
  // ln 2 in two parts: n * 0.693359375 is exact.
  const Vec r = fma(n, splat(2.12194440e-4f), fma(n, splat(-0.693359375f), x));
  return bits(bits(polynomial(p, r)) + (bits(rounded) << 23));
}

static inline Vec silu(Vec x) { return x / (1.0f + exp(-x)); }

static inline Vec quick_gelu(Vec x) { return x / (1.0f + exp(x * -1.702f)); }

// x * tanh(ln(1 + e^x)), where tanh is a ratio of polynomials in e^x; beyond 20 it is x.
static inline Vec mish(Vec x) {
  const Vec e = exp(min(splat(20.0f), x));
  const Vec n = e * (e + splat(2.0f));
  return x * (n / (n + splat(2.0f)));
}

// x * Phi(x) (the erf form). The upper tail is exp(-x^2 / 2) t P(t), t = 1 / (1 + 0.35 |x|), with a
// minimax fit of P; relative error 1e-7 for |x| < 4.
static inline Vec gelu(Vec x) {
  constexpr float p[] = {1.39621404e-01f,  1.39861869e-01f,  1.19832870e-01f,
                         1.05507995e-01f,  -2.31098133e-02f, 1.59174128e-01f,
                         -2.55714226e-01f, 1.43971674e-01f,  -2.91459276e-02f};
  const Vec a = bits(bits(x) & 0x7fffffff);
  const Vec t = 1.0f / fma(a, splat(0.35f), splat(1.0f));
  const Vec tail = exp(a * a * -0.5f) * t * polynomial(p, t);
  // Of an infinite x the tail is 0.
  return x > 0.0f ? x - min(splat(3.40282347e38f), x) * tail : x * tail;
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA
