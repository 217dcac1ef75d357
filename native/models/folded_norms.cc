#include "folded_norms.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "../runtime/error.h"

namespace deepcache {
namespace {

constexpr std::string_view kWeight = ".conv.weight", kBias = ".conv.bias";

}  // namespace

// y = gamma * (W x - mean) / sqrt(variance + epsilon) + beta = (scale * W) x + shift
class FoldedNorms::Layer {
 public:
  Layer(const WeightSource& base, const std::string& name, double epsilon)
      : base_(base), name_(name + std::string(kWeight)), weight_(*this), shift_(*this) {
    const SourceTensor& stored = *base.find(name_);
    if (stored.shape.empty() || stored.shape[0] < 1)
      throw Error(ErrorCode::kInvalidWeights,
                  base.description() + ": tensor \"" + name_ + "\" has no rows");
    const size_t rows = size_t(stored.shape[0]);
    row_ = stored.count / rows;
    const auto gamma = vector(name + ".bn.weight", rows), beta = vector(name + ".bn.bias", rows);
    const auto mean = vector(name + ".bn.running_mean", rows);
    const auto variance = vector(name + ".bn.running_var", rows);
    for (size_t i = 0; i < rows; i++) {
      const double scale = gamma[i] / std::sqrt(double(variance[i]) + epsilon);
      scales_.push_back(float(scale));
      shifts_.push_back(float(beta[i] - mean[i] * scale));
    }
    weight.shape = stored.shape;
    weight.count = stored.count;
    weight.computed = &weight_;
    bias.shape = {stored.shape[0]};
    bias.count = rows;
    bias.computed = &shift_;
  }

  SourceTensor weight, bias;

 private:
  struct Weight : ComputedTensor {
    explicit Weight(const Layer& layer) : layer(layer) {}
    void read(size_t offset, size_t count, float* out) const override {
      read_floats(*layer.base_.find(layer.name_), offset, count, out);
      for (size_t done = 0; done < count;) {
        const size_t at = offset + done, row = at / layer.row_;
        const size_t some = std::min(count - done, (row + 1) * layer.row_ - at);
        for (size_t i = 0; i < some; i++) out[done + i] *= layer.scales_[row];
        done += some;
      }
    }
    const Layer& layer;
  };
  struct Shift : ComputedTensor {
    explicit Shift(const Layer& layer) : layer(layer) {}
    void read(size_t offset, size_t count, float* out) const override {
      std::copy_n(layer.shifts_.begin() + offset, count, out);
    }
    const Layer& layer;
  };

  std::vector<float> vector(const std::string& name, size_t count) const {
    const auto fail = [&](const std::string& problem) {
      throw Error(ErrorCode::kInvalidWeights, base_.description() + ": " + problem + "\"" + name +
                                                  "\" of " + std::to_string(count) +
                                                  " values, the batch norm of \"" + name_ + "\"");
    };
    const SourceTensor* tensor = base_.find(name);
    if (!tensor) fail("lacks the tensor ");
    if (tensor->count != count)
      fail("has " + std::to_string(tensor->count) + " values in the tensor ");
    std::vector<float> values(count);
    read_floats(*tensor, 0, count, values.data());
    return values;
  }

  const WeightSource& base_;
  const std::string name_;
  size_t row_ = 0;
  std::vector<float> scales_, shifts_;
  const Weight weight_;
  const Shift shift_;
};

FoldedNorms::FoldedNorms(std::shared_ptr<WeightSource> base, double epsilon)
    : base_(std::move(base)), epsilon_(epsilon) {}

FoldedNorms::~FoldedNorms() = default;

const SourceTensor* FoldedNorms::find(const std::string& name) const {
  const bool is_bias = name.ends_with(kBias);
  if (!is_bias && !name.ends_with(kWeight)) return base_->find(name);
  const std::string layer = name.substr(0, name.size() - (is_bias ? kBias : kWeight).size());
  if (!base_->find(layer + std::string(kWeight))) return nullptr;
  std::lock_guard lock(mutex_);
  auto& found = layers_[layer];
  if (!found) found = std::make_unique<Layer>(*base_, layer, epsilon_);
  return is_bias ? &found->bias : &found->weight;
}

}  // namespace deepcache
