#include <cmath>
#include <complex>
#include <numbers>

#include "op_cases.h"

namespace deepcache::test {
namespace {

using Complex = std::complex<double>;

Complex wave(int k, int j, int size) {
  return std::polar(1.0, 2 * std::numbers::pi * k * j / size);
}

// fourier_filter as it is written: a transform over all frequencies, the box around the middle of
// those in order, and back.
std::vector<double> filtered(const std::vector<double>& x, int h, int w, int threshold,
                             double scale) {
  std::vector<double> out(x.size());
  const auto in_box = [&](int k, int size) {
    const int place = k + size / 2;  // behind fftshift
    int begin = size / 2 - threshold;
    if (begin < 0) begin = std::max(begin + size, 0);
    return place >= begin && place < size / 2 + threshold;
  };
  for (int u = -(h / 2); u < h - h / 2; u++)
    for (int v = -(w / 2); v < w - w / 2; v++) {
      Complex sum = 0;
      for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++)
          sum += x[size_t(i) * w + j] * std::conj(wave(u, i, h) * wave(v, j, w));
      if (in_box(u, h) && in_box(v, w)) sum *= scale;
      for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++)
          out[size_t(i) * w + j] += (sum * wave(u, i, h) * wave(v, j, w)).real() / (h * w);
    }
  return out;
}

}  // namespace

void reference(const FreeU& op, ReferenceState& state) {
  const auto &x = state.get(op.x), &skip = state.get(op.skip), &factors = state.get(op.factors);
  auto& y = state.output(op.y);
  const Shape& shape = op.skip.shape;
  const size_t width = op.x.shape.c, behind = shape.c, pixels = size_t(shape.h) * shape.w;
  for (size_t n = 0; n < size_t(shape.n); n++) {
    const double* const by = factors.data() + n * op.factors.shape.c + op.place;
    for (size_t p = n * pixels; p < (n + 1) * pixels; p++)
      for (size_t c = 0; c < width; c++)
        y[p * (width + behind) + c] = x[p * width + c] * (c < width / 2 ? by[0] : 1);
    for (size_t c = 0; c < behind; c++) {
      std::vector<double> plane(pixels);
      for (size_t p = 0; p < pixels; p++) plane[p] = skip[(n * pixels + p) * behind + c];
      plane = filtered(plane, shape.h, shape.w, op.threshold, by[1]);
      for (size_t p = 0; p < pixels; p++)
        y[(n * pixels + p) * (width + behind) + width + c] = plane[p];
    }
  }
}

std::vector<OpCase> free_u_cases() {
  struct Size {
    const char* name;
    Shape x;
    int skip;
    int place = 0, threshold = 1;
  };
  std::vector<OpCase> cases;
  for (const Size& size : std::vector<Size>{{"", {2, 8, 8, 48}, 24},
                                            {"_wide", {1, 9, 13, 80}, 136, 2},
                                            {"_odd", {3, 7, 4, 11}, 35, 1},
                                            {"_one_row", {2, 1, 5, 8}, 8},
                                            {"_two_pixels", {1, 2, 1, 8}, 16},
                                            {"_threshold_3", {2, 11, 6, 16}, 40, 0, 3},
                                            {"_threshold_of_an_axis", {1, 2, 3, 8}, 9, 0, 2},
                                            {"_many_pixels", {1, 40, 37, 16}, 40}})
    cases.push_back({std::string("free_u") + size.name, [size](OpBuilder& b) {
                       FreeU op;
                       op.x = b.input(size.x);
                       op.skip = b.input({size.x.n, size.x.h, size.x.w, size.skip}, 1, 0.3);
                       op.factors = b.input({size.x.n, 1, 1, 4}, 0.5, 1);
                       op.place = size.place;
                       op.threshold = size.threshold;
                       op.y = b.output({size.x.n, size.x.h, size.x.w, size.x.c + size.skip});
                       return Op(op);
                     }});
  return cases;
}

}  // namespace deepcache::test
