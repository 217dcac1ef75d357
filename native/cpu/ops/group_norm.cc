#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "cpu/norm_values.h"
#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

// Of a sample's rows, whatever the number of threads: where they are cut decides about the last
// bits of sums.
constexpr int kMostBlocks = 32;

// Statistics come from sums of each channel (double precision across blocks of rows), taken
// relative to the sample's first row: see channel_sums in kernels_norm.h. Where a convolution
// computes the values itself, y holds the scales and shifts instead.
class GroupNormOp : public CpuOp {
 public:
  GroupNormOp(const GroupNorm& op, const OpContext& context)
      : op_(op),
        kernels_(context.kernels),
        gamma_(context.vector(op.gamma)),
        beta_(context.vector(op.beta)),
        samples_(op.y.shape.n),
        rows_(int(op.y.shape.rows() / op.y.shape.n)),
        channels_(op.y.shape.c),
        is_kept_(context.execution != Execution::op_by_op && op.conv >= 0),
        x_is_narrow_{context.is_narrow(op.x), context.is_narrow(op.x2)},
        y_is_narrow_(context.is_narrow(op.y)) {
    const size_t floats = size_t(rows_) * channels_;
    blocks_ = int(std::clamp<size_t>(floats / kItemFloats, 1, std::min(rows_, kMostBlocks)));
  }

  // Each block's sums and squares, then each sample's scales and shifts.
  size_t shared_bytes() const override {
    return size_t(samples_) * channels_ *
           (size_t(blocks_) * 2 * sizeof(double) + 2 * sizeof(float));
  }

  void run(const RunContext& context) const override {
    double* const sums = reinterpret_cast<double*>(context.shared);
    float* const scales =
        is_kept_ ? context.floats(op_.y)
                 : reinterpret_cast<float*>(sums + size_t(samples_) * blocks_ * 2 * channels_);
    const auto for_blocks = [&](const auto& body) {
      context.pool.run(
          samples_ * blocks_,
          [&](int index, int) {
            const int block = index % blocks_;
            const int first = int(int64_t(rows_) * block / blocks_);
            body(index / blocks_, block, first,
                 int(int64_t(rows_) * (block + 1) / blocks_) - first);
          },
          context.cancel);
    };

    for_blocks([&](int sample, int block, int first, int count) {
      double* sum = sums + (size_t(sample) * blocks_ + block) * 2 * channels_;
      double* square = sum + channels_;
      std::fill(sum, sum + 2 * channels_, 0.0);
      for_inputs(context, sample, [&](const auto* x, int width, int offset) {
        channel_sums(kernels_, x + size_t(first) * width, count, width, x, sum + offset,
                     square + offset);
      });
    });
    for (int sample = 0; sample < samples_; sample++)
      finish(context, sample, sums + size_t(sample) * blocks_ * 2 * channels_,
             scales + size_t(sample) * 2 * channels_);
    if (is_kept_) return;
    for_blocks([&](int sample, int, int first, int count) {
      const float* scale = scales + size_t(sample) * 2 * channels_;
      const float* shift = scale + channels_;
      const size_t row = (size_t(sample) * rows_ + first) * channels_;
      for_inputs(context, sample, [&](const auto* x, int width, int offset) {
        const ScaleShift values{count, width, channels_, scale + offset, shift + offset, op_.silu};
        x += size_t(first) * width;
        y_is_narrow_ ? values.run(kernels_, x, context.bf16(op_.y) + row + offset)
                     : values.run(kernels_, x, context.floats(op_.y) + row + offset);
      });
    });
  }

 private:
  // Calls body(the sample's first row, channels, first channel in y) for x and x2.
  template <typename Body>
  void for_inputs(const RunContext& context, int sample, const Body& body) const {
    int offset = 0;
    for (const Tensor* x : {&op_.x, &op_.x2}) {
      if (!*x) continue;
      const int width = x->shape.c;
      const size_t first = size_t(sample) * rows_ * width;
      if (x_is_narrow_[x != &op_.x])
        body(context.bf16(*x) + first, width, offset);
      else
        body(context.floats(*x) + first, width, offset);
      offset += width;
    }
  }

  // Adds the blocks up, and turns statistics into a scale and a shift for each channel.
  void finish(const RunContext& context, int sample, double* sums, float* scale) const {
    float* const shift = scale + channels_;
    double* const squares = sums + channels_;
    for (int block = 1; block < blocks_; block++)
      for (int c = 0; c < 2 * channels_; c++) sums[c] += sums[size_t(block) * 2 * channels_ + c];
    for_inputs(context, sample, [&](const auto* pivot, int width, int offset) {
      for (int c = 0; c < width; c++) {
        // From sums around the pivot to the mean and the squared deviations from it.
        double& sum = sums[offset + c];
        squares[offset + c] -= sum * sum / rows_;
        sum = sum / rows_ + double(value_of(pivot[c]));
      }
    });
    const int width = channels_ / op_.groups;
    for (int group = 0; group < op_.groups; group++) {
      const int first = group * width;
      double mean = 0, deviation = 0;
      for (int c = first; c < first + width; c++) mean += sums[c] / width;
      for (int c = first; c < first + width; c++) {
        const double d = sums[c] - mean;
        deviation += squares[c] + d * d * rows_;
      }
      const double variance = std::max(0.0, deviation / (double(rows_) * width));
      const double inverse = 1 / std::sqrt(variance + double(op_.epsilon));
      for (int c = first; c < first + width; c++) {
        const double factor = inverse * double(gamma_ ? gamma_[c] : 1.0f);
        scale[c] = float(factor);
        shift[c] = float(double(beta_ ? beta_[c] : 0.0f) - mean * factor);
      }
    }
  }

  GroupNorm op_;
  const Kernels& kernels_;
  const float *gamma_, *beta_;
  int samples_, rows_, channels_;
  bool is_kept_;
  bool x_is_narrow_[2], y_is_narrow_;
  int blocks_ = 1;  // of rows, for each sample
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const GroupNorm& op, const OpContext& context) {
  return std::make_unique<GroupNormOp>(op, context);
}

}  // namespace deepcache::cpu
