#include "adapters/product.h"

#include <algorithm>
#include <utility>

#include "cpu/kernels.h"

namespace deepcache {
namespace {

constexpr size_t kRows = 64;       // that are multiplied at a time
constexpr size_t kMostPanel = 32;  // columns of any kernel's panel

const cpu::Kernels& kernels() {
  static const cpu::Kernels& chosen = cpu::choose_kernels();
  return chosen;
}

}  // namespace

Product::Product(std::vector<float> left, const std::vector<float>& right, size_t rank)
    : rank_(rank), width_(right.size() / rank), left_(std::move(left)) {
  const size_t panel = size_t(kernels().panel), count = (width_ + panel - 1) / panel;
  panels_.resize(count * rank_ * panel);
  for (size_t p = 0; p < count; p++)
    for (size_t i = 0; i < rank_; i++)
      std::copy_n(&right[i * width_ + p * panel], std::min(panel, width_ - p * panel),
                  &panels_[(p * rank_ + i) * panel]);
}

void Product::add(size_t first, size_t count, float scale, float* out) const {
  const size_t panel = size_t(kernels().panel);
  std::vector<float> a(std::min(count, kRows) * rank_);
  float sums[kRows * kMostPanel];
  for (size_t done = 0; done < count; done += kRows) {
    const size_t rows = std::min(kRows, count - done);
    const size_t tiles = (rows + size_t(kernels().tile_rows) - 1) / size_t(kernels().tile_rows);
    for (size_t t = 0; t < tiles; t++) {
      const size_t begin = rows * t / tiles, some = rows * (t + 1) / tiles - begin;
      for (size_t r = 0; r < some; r++) {
        const float* const row = &left_[(first + done + begin + r) * rank_];
        for (size_t i = 0; i < rank_; i++) a[begin * rank_ + i * some + r] = scale * row[i];
      }
    }
    cpu::Multiply multiply;
    multiply.k = int(rank_);
    multiply.rows = int(rows);
    multiply.tiles = int(tiles);
    multiply.a = a.data();
    multiply.b_stride = rank_ * panel;
    float* const to = out + done * width_;
    if (const size_t whole = width_ / panel) {
      multiply.panels = int(whole);
      multiply.columns = int(panel);
      multiply.b = panels_.data();
      multiply.c = to;
      multiply.c_stride = width_;
      kernels().multiply(multiply);
    }
    if (const size_t columns = width_ % panel) {
      const size_t at = width_ - columns;
      multiply.panels = 1;
      multiply.columns = int(columns);
      multiply.b = &panels_[at * rank_];
      multiply.c = sums;
      multiply.c_stride = 0;
      multiply.first = true;
      kernels().multiply(multiply);
      for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) to[r * width_ + at + c] += sums[r * panel + c];
    }
  }
}

}  // namespace deepcache
