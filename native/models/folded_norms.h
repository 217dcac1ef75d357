#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../runtime/weights.h"

namespace deepcache {

// Another source's convolutions with the batch norms behind them, as they are after training: those
// of a layer X, X.conv.weight without a bias and X.bn, as X.conv.weight and X.conv.bias, computed
// when they are read. What is no such layer stays as it is.
class FoldedNorms : public WeightSource {
 public:
  FoldedNorms(std::shared_ptr<WeightSource> base, double epsilon);
  ~FoldedNorms() override;

  // Throws Error(kInvalidWeights) for a convolution whose norm is missing or of another width.
  const SourceTensor* find(const std::string& name) const override;
  std::vector<std::string> names() const override { return base_->names(); }
  std::string stored_name(const std::string& name) const override {
    return base_->stored_name(name);
  }
  std::string description() const override { return base_->description(); }
  void release() override { base_->release(); }

 private:
  class Layer;

  std::shared_ptr<WeightSource> base_;
  const double epsilon_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::unique_ptr<Layer>> layers_;
};

}  // namespace deepcache
