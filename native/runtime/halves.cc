#include "halves.h"

#include "half.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "cpu_features.h"
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace deepcache {
namespace {

void convert(const uint16_t* halves, size_t count, float* out) {
  for (size_t i = 0; i < count; i++) out[i] = half_to_float(halves[i]);
}

#if defined(__x86_64__)
[[gnu::target("avx,f16c")]] void convert_f16c(const uint16_t* halves, size_t count, float* out) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i some = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(some));
  }
  convert(halves + i, count - i, out + i);
}
#elif defined(__aarch64__)
// Every processor of this kind has the instruction.
void convert_neon(const uint16_t* halves, size_t count, float* out) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const float16x8_t some = vreinterpretq_f16_u16(vld1q_u16(halves + i));
    vst1q_f32(out + i, vcvt_f32_f16(vget_low_f16(some)));
    vst1q_f32(out + i + 4, vcvt_high_f32_f16(some));
  }
  convert(halves + i, count - i, out + i);
}
#endif

}  // namespace

void halves_to_floats(const uint16_t* halves, size_t count, float* out) {
#if defined(__x86_64__)
  static const bool has_f16c = has_avx2();
  return has_f16c ? convert_f16c(halves, count, out) : convert(halves, count, out);
#elif defined(__aarch64__)
  convert_neon(halves, count, out);
#else
  convert(halves, count, out);
#endif
}

}  // namespace deepcache
