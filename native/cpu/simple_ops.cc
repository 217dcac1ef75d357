// Ops that are bound by memory: element by element, gathers, copies.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/op.h"
#include "runtime/error.h"

namespace deepcache::cpu {
namespace {

constexpr size_t kItemFloats = 32 * 1024;

// Calls body(first, count) for parts of `count` rows of `width` floats.
template <typename Body>
void for_rows(const RunContext& context, size_t rows, size_t width, const Body& body) {
  const size_t each = std::max<size_t>(1, kItemFloats / std::max<size_t>(1, width));
  context.pool.run(
      int((rows + each - 1) / each),
      [&](int index, int) { body(index * each, std::min(each, rows - index * each)); },
      context.cancel);
}

class ElementwiseOp : public CpuOp {
 public:
  ElementwiseOp(const Elementwise& op, const OpContext& context)
      : op_(op), kernels_(context.kernels) {
    if (op.activation == Activation::geglu)
      throw Error(ErrorCode::kInternal, "elementwise: geglu needs a convolution");
  }

  void run(const RunContext& context) const override {
    const float *x = context.floats(op_.x), *x2 = context.floats(op_.x2);
    float* y = context.floats(op_.y);
    const size_t width = op_.x.shape.c, rows = op_.x.shape.rows();
    const size_t period = op_.x2 ? op_.x2.shape.rows() : rows;  // x2's rows repeat
    const bool one_by_one = op_.repeat > 1;
    for_rows(context, rows, width, [&](size_t first, size_t count) {
      while (count) {
        const size_t row2 = first / op_.repeat % period;
        const size_t some = one_by_one ? 1 : std::min(count, period - row2);
        kernels_.elementwise(x + first * width, x2 ? x2 + row2 * width : nullptr, y + first * width,
                             some * width, op_.a, op_.b, op_.activation);
        first += some;
        count -= some;
      }
    });
  }

 private:
  Elementwise op_;
  const Kernels& kernels_;
};

class EmbeddingOp : public CpuOp {
 public:
  EmbeddingOp(const Embedding& op, const OpContext& context)
      : op_(op),
        table_(context.vector(op.table)),
        positions_(context.vector(op.positions)),
        rows_(context.plan.weights()[op.table].out) {}

  void run(const RunContext& context) const override {
    const int32_t* ids = context.ints(op_.ids);
    const int width = op_.y.shape.c, length = op_.ids.shape.w;
    for (size_t i = 0; i < op_.ids.shape.count(); i++) {
      if (ids[i] < 0 || ids[i] >= rows_)
        throw Error(ErrorCode::kInvalidArgument, "token id " + std::to_string(ids[i]) +
                                                     " is outside of the vocabulary of " +
                                                     std::to_string(rows_));
      const float* from = table_ + size_t(ids[i]) * width;
      const float* position = positions_ ? positions_ + (i % length) * width : nullptr;
      float* to = context.floats(op_.y) + i * width;
      for (int c = 0; c < width; c++) to[c] = position ? from[c] + position[c] : from[c];
    }
  }

 private:
  Embedding op_;
  const float *table_, *positions_;
  int rows_;
};

// In fp32 step by step, as PyTorch does it.
class TimestepEmbeddingOp : public CpuOp {
 public:
  explicit TimestepEmbeddingOp(const TimestepEmbedding& op) : op_(op) {}

  void run(const RunContext& context) const override {
    const int half = op_.dim / 2;
    const float* x = context.floats(op_.x);
    float* y = context.floats(op_.y);
    for (size_t i = 0; i < op_.x.shape.count(); i++, y += op_.dim) {
      float* const sines = y + (op_.flip_sin_to_cos ? half : 0);
      float* const cosines = y + (op_.flip_sin_to_cos ? 0 : half);
      for (int j = 0; j < half; j++) {
        const float exponent =
            float(-std::log(10000.0)) * float(j) / (float(half) - op_.freq_shift);
        const float angle = x[i] * std::exp(exponent);
        sines[j] = std::sin(angle);
        cosines[j] = std::cos(angle);
      }
      if (op_.dim % 2) y[op_.dim - 1] = 0;
    }
  }

 private:
  TimestepEmbedding op_;
};

class PickTokenOp : public CpuOp {
 public:
  explicit PickTokenOp(const PickToken& op) : op_(op) {}

  void run(const RunContext& context) const override {
    const int32_t* index = context.ints(op_.index);
    const size_t width = op_.x.shape.c, length = op_.x.shape.rows() / op_.x.shape.n;
    for (int n = 0; n < op_.x.shape.n; n++) {
      if (index[n] < 0 || size_t(index[n]) >= length)
        throw Error(ErrorCode::kInvalidArgument, "token " + std::to_string(index[n]) +
                                                     " of a sequence of " + std::to_string(length) +
                                                     " cannot be picked");
      std::memcpy(context.floats(op_.y) + n * width,
                  context.floats(op_.x) + (n * length + index[n]) * width, width * sizeof(float));
    }
  }

 private:
  PickToken op_;
};

class ConcatOp : public CpuOp {
 public:
  explicit ConcatOp(const Concat& op) : op_(op) {}

  void run(const RunContext& context) const override {
    const size_t width = op_.x.shape.c, width2 = op_.x2.shape.c;
    for_rows(context, op_.y.shape.rows(), width + width2, [&](size_t first, size_t count) {
      for (size_t row = first; row < first + count; row++) {
        float* y = context.floats(op_.y) + row * (width + width2);
        std::memcpy(y, context.floats(op_.x) + row * width, width * sizeof(float));
        std::memcpy(y + width, context.floats(op_.x2) + row * width2, width2 * sizeof(float));
      }
    });
  }

 private:
  Concat op_;
};

class ResampleOp : public CpuOp {
 public:
  explicit ResampleOp(const Resample& op) : op_(op) {}

  void run(const RunContext& context) const override {
    const Shape &from = op_.x.shape, &to = op_.y.shape;
    const bool smaller = to.h < from.h || to.w < from.w;
    const size_t c = to.c, line = size_t(from.w) * c;
    const auto row = [&](size_t index) {  // of y's pixels
      const size_t image = index / to.h, y = index % to.h;
      const float* x = context.floats(op_.x) + image * from.h * line;
      float* out = context.floats(op_.y) + index * to.w * c;
      for (int w = 0; w < to.w; w++, out += c) {
        if (!smaller) {
          std::memcpy(out, x + y / 2 * line + w / 2 * c, c * sizeof(float));
          continue;
        }
        const float* square = x + 2 * y * line + 2 * w * c;
        for (size_t i = 0; i < c; i++)
          out[i] = (square[i] + square[c + i] + square[line + i] + square[line + c + i]) / 4;
      }
    };
    for_rows(context, size_t(to.n) * to.h, size_t(to.w) * c, [&](size_t first, size_t count) {
      for (size_t index = first; index < first + count; index++) row(index);
    });
  }

 private:
  Resample op_;
};

class NearestCodeOp : public CpuOp {
 public:
  NearestCodeOp(const NearestCode& op, const OpContext& context)
      : op_(op), table_(context.vector(op.table)), codes_(context.plan.weights()[op.table].out) {}

  void run(const RunContext& context) const override {
    const size_t width = op_.x.shape.c;
    const float* x = context.floats(op_.x);
    float* y = context.floats(op_.y);
    const auto nearest = [&](const float* value) {
      const float* best = table_;
      float least = INFINITY;
      for (size_t code = 0; code < codes_; code++) {
        const float* candidate = table_ + code * width;
        float distance = 0;
        for (size_t i = 0; i < width; i++)
          distance += (value[i] - candidate[i]) * (value[i] - candidate[i]);
        if (distance < least) {
          least = distance;
          best = candidate;
        }
      }
      return best;
    };
    for_rows(context, op_.x.shape.rows(), codes_ * width, [&](size_t first, size_t count) {
      for (size_t row = first; row < first + count; row++)
        std::memcpy(y + row * width, nearest(x + row * width), width * sizeof(float));
    });
  }

 private:
  NearestCode op_;
  const float* table_;
  size_t codes_;
};

}  // namespace

std::unique_ptr<CpuOp> make_simple(const Op& op, const OpContext& context) {
  switch (op.kind) {
    case OpKind::elementwise:
      return std::make_unique<ElementwiseOp>(op.elementwise, context);
    case OpKind::embedding:
      return std::make_unique<EmbeddingOp>(op.embedding, context);
    case OpKind::timestep_embedding:
      return std::make_unique<TimestepEmbeddingOp>(op.timestep_embedding);
    case OpKind::pick_token:
      return std::make_unique<PickTokenOp>(op.pick_token);
    case OpKind::concat:
      return std::make_unique<ConcatOp>(op.concat);
    case OpKind::resample:
      return std::make_unique<ResampleOp>(op.resample);
    case OpKind::nearest_code:
      return std::make_unique<NearestCodeOp>(op.nearest_code, context);
    default:
      throw Error(ErrorCode::kInternal, "the CPU backend does not know an op of the plan");
  }
}

}  // namespace deepcache::cpu
