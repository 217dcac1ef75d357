#include "cpu/rounded_input.h"

#include <algorithm>

#include "cpu/rows.h"
#include "runtime/e4m3.h"

namespace deepcache::cpu {
namespace {

constexpr int kParts = 64;  // of a sample, which threads share

}  // namespace

size_t RoundedInput::bytes() const {
  const Shape& x = op_.x.shape;
  return (x.count() + (op_.fp8_rows() ? 0 : size_t(x.n) * kParts)) * sizeof(float);
}

void RoundedInput::make(const RunContext& context) const {
  float* const to = reinterpret_cast<float*>(context.shared);
  op_.fp8_rows() ? make_rows(context, to) : make_samples(context, to);
}

void RoundedInput::make_rows(const RunContext& context, float* to) const {
  const float* const x = context.floats(op_.x);
  const size_t width = size_t(op_.x.shape.c);
  for_rows(context, op_.x.shape.rows(), width, [&](size_t first, size_t count) {
    for (size_t at = first * width; at < (first + count) * width; at += width) {
      const E4m3Scale of(kernels_.largest(x + at, width));
      kernels_.round_to_e4m3(x + at, to + at, width, of.factor, of.scale);
    }
  });
}

void RoundedInput::make_samples(const RunContext& context, float* to) const {
  const Shape& shape = op_.x.shape;
  const float* const x = context.floats(op_.x);
  const size_t size = shape.count() / size_t(shape.n);
  float* const largest = to + shape.count();  // of each part
  const auto for_parts = [&](const auto& body) {
    context.pool.run(
        shape.n * kParts,
        [&](int index, int) {
          const size_t part = size_t(index % kParts), first = size * part / kParts;
          body(index, size_t(index / kParts) * size + first, size * (part + 1) / kParts - first);
        },
        context.cancel);
  };
  for_parts([&](int index, size_t at, size_t count) {
    largest[index] = kernels_.largest(x + at, count);
  });
  for_parts([&](int index, size_t at, size_t count) {
    const float* const sample = largest + index / kParts * kParts;
    const E4m3Scale of(*std::max_element(sample, sample + kParts));
    kernels_.round_to_e4m3(x + at, to + at, count, of.factor, of.scale);
  });
}

}  // namespace deepcache::cpu
