#pragma once

// A, the matrix of inputs that a convolution multiplies: which values its rows and columns are.

#include "cuda/kernels/matmul.h"

namespace deepcache::cuda {

// Where a row of A lies: the pixel of the output.
struct Pixel {
  int sample, y, x;
};

DEVICE Pixel find_pixel(const MatmulArgs& a, int row) {
  if (row >= a.rows) return {0, 1 << 24, 0};  // far outside of the input
  const int area = a.out_h * a.out_w, n = row / area, p = row - n * area, i = p / a.out_w;
  return {n, i, p - i * a.out_w};
}

// The input row of tap (r, s) of the pixel, or -1 outside.
DEVICE int find_source(const MatmulSegment& from, int phase, const Pixel& pixel, int r, int s) {
  const int y = pixel.y * from.stride + from.origin_y + (phase >> 1) + r;
  const int x = pixel.x * from.stride + from.origin_x + (phase & 1) + s;
  const int edge = from.limit_w + PLANTED(1);
  if (unsigned(y) >= unsigned(from.limit_h) || unsigned(x) >= unsigned(edge)) return -1;
  return (pixel.sample * from.in_h + (y >> from.shift)) * from.in_w + (x >> from.shift);
}
DEVICE int find_source(const MatmulSegment& from, int phase, const Pixel& pixel, int tap) {
  const int r = tap / from.kernel_w;
  return find_source(from, phase, pixel, r, tap - r * from.kernel_w);
}

// The 8 values of A from k on.
template <typename T>
DEVICE uint4 gather(const MatmulSegment& a, int phase, const Pixel& pixel, int k) {
  const int width = a.channels[0] + a.channels[1];
  int tap = k / width, channel = k - tap * width;
  uint4 out = {0, 0, 0, 0};
  if (k >= a.k) return out;
  int source = find_source(a, phase, pixel, tap);
  if (a.eights) {
    if (source < 0) return out;
    const int which = channel >= a.channels[0];
    return load_eight<T>(a.x[which],
                         size_t(source) * a.channels[which] + channel - which * a.channels[0]);
  }
  float v[8];
#pragma unroll
  for (int i = 0; i < 8; i++) {
    v[i] = 0;
    if (k + i < a.k && source >= 0) {
      const int which = channel >= a.channels[0];
      v[i] =
          load<T>(a.x[which], size_t(source) * a.channels[which] + channel - which * a.channels[0]);
    }
    if (++channel == width) {
      channel = 0;
      source = find_source(a, phase, pixel, ++tap);
    }
  }
  return {Number<T>::pack(v[0], v[1]), Number<T>::pack(v[2], v[3]), Number<T>::pack(v[4], v[5]),
          Number<T>::pack(v[6], v[7])};
}

}  // namespace deepcache::cuda
