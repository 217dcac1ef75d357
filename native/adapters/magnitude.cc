// DoRA: a weight's directions are adapted, and their lengths are given. Liu et al., "DoRA:
// Weight-Decomposed Low-Rank Adaptation", 2024.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <utility>

#include "adapters/delta.h"
#include "runtime/parallel.h"

namespace deepcache {
namespace {

class MagnitudeDelta : public Delta {
 public:
  MagnitudeDelta(std::unique_ptr<Delta> inner, const AdapterTerm& term, const SourceTensor& weight)
      : inner_(std::move(inner)),
        magnitude_(values_of(term.tensors.at("magnitude"))),
        peft_(term.rule == MagnitudeRule::peft),
        factor_(float(term.factor)),
        width_(weight.count / size_t(weight.shape[0])) {
    if (is_of_inputs(term, weight)) measure_inputs(weight);
  }

  bool needs_base() const override { return true; }

  void add(size_t first, size_t count, float scale, const float* base, float* out) const override {
    const std::vector<float> adapted = adapt(first, count, peft_ ? scale : 1, base);
    const float strength = peft_ ? 1 : scale;
    for (size_t r = 0; r < count; r++) {
      const float* const row = &adapted[r * width_];
      const float of_row = taps_ ? 0 : magnitude_[first + r] / length(row);
      for (size_t i = 0; i < width_; i++) {
        const float factor = taps_ ? of_inputs_[i / taps_] : of_row;
        out[r * width_ + i] += strength * (factor * row[i] - base[r * width_ + i]);
      }
    }
  }

 private:
  // W + scale * D
  std::vector<float> adapt(size_t first, size_t count, float scale, const float* base) const {
    std::vector<float> out(base, base + count * width_);
    inner_->add(first, count, scale * factor_, base, out.data());
    return out;
  }

  float length(const float* row) const {
    double sum = 0;
    for (size_t i = 0; i < width_; i++) sum += double(row[i]) * row[i];
    return float(std::sqrt(sum)) + FLT_EPSILON;
  }

  // The lengths of columns take all rows.
  void measure_inputs(const SourceTensor& weight) {
    constexpr size_t kBlock = 64;  // rows of a task
    const size_t rows = size_t(weight.shape[0]), inputs = magnitude_.size();
    taps_ = width_ / inputs;
    const size_t blocks = (rows + kBlock - 1) / kBlock;
    // Each block's sums for itself, then in order: the same result on any number of threads.
    std::vector<std::vector<double>> sums(blocks, std::vector<double>(inputs));
    parallel_for(blocks, 0, [&](size_t block, int) {
      const size_t first = block * kBlock, count = std::min(kBlock, rows - first);
      std::vector<float> base(count * width_);
      read_floats(weight, first * width_, base.size(), base.data());
      const std::vector<float> adapted = adapt(first, count, 1, base.data());
      for (size_t i = 0; i < adapted.size(); i++)
        sums[block][i % width_ / taps_] += double(adapted[i]) * adapted[i];
    });
    of_inputs_.resize(inputs);
    for (size_t i = 0; i < inputs; i++) {
      double sum = 0;
      for (const std::vector<double>& of_block : sums) sum += of_block[i];
      of_inputs_[i] = magnitude_[i] / (float(std::sqrt(sum)) + FLT_EPSILON);
    }
  }

  std::unique_ptr<Delta> inner_;
  std::vector<float> magnitude_;
  bool peft_;
  float factor_;
  size_t width_;
  size_t taps_ = 0;               // 0: a magnitude for each row
  std::vector<float> of_inputs_;  // magnitude over length, for each input channel
};

}  // namespace

std::unique_ptr<Delta> with_magnitude(std::unique_ptr<Delta> delta, const AdapterTerm& term,
                                      const SourceTensor& weight) {
  if (term.rule == MagnitudeRule::none) return delta;
  return std::make_unique<MagnitudeDelta>(std::move(delta), term, weight);
}

}  // namespace deepcache
