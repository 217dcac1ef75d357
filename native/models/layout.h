#pragma once

// PyTorch's order at the border (NCHW), ours inside (NHWC).

#include <cstddef>

namespace deepcache {

inline void nchw_to_nhwc(const float* in, float* out, size_t n, size_t c, size_t pixels) {
  for (size_t i = 0; i < n; ++i, in += c * pixels, out += c * pixels)
    for (size_t channel = 0; channel < c; ++channel)
      for (size_t p = 0; p < pixels; ++p) out[p * c + channel] = in[channel * pixels + p];
}

inline void nhwc_to_nchw(const float* in, float* out, size_t n, size_t c, size_t pixels) {
  for (size_t i = 0; i < n; ++i, in += c * pixels, out += c * pixels)
    for (size_t channel = 0; channel < c; ++channel)
      for (size_t p = 0; p < pixels; ++p) out[channel * pixels + p] = in[p * c + channel];
}

}  // namespace deepcache
