#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "adapters/delta.h"

namespace deepcache {

// Another source's tensors with adapters on them: base + sum of scale * delta, each delta against
// the base. They are computed in fp32 when they are read, row by row, by whichever threads read.
// Without terms a tensor is the base's own, bit for bit.
class AdaptedWeights : public WeightSource {
 public:
  explicit AdaptedWeights(std::shared_ptr<WeightSource> base);
  ~AdaptedWeights() override;

  // Puts these terms in the place of those that the named weights had, and returns the latter.
  // Throws Error(kInvalidWeights) before anything changes: for a weight that does not exist, and a
  // term that does not fit.
  AdapterTerms exchange(AdapterTerms terms);

  const SourceTensor* find(const std::string& name) const override;
  std::vector<std::string> names() const override { return base_->names(); }
  std::string stored_name(const std::string& name) const override {
    return base_->stored_name(name);
  }
  std::string description() const override { return base_->description(); }
  // Factors that were read go, too.
  void release() override;

 private:
  class Tensor;

  std::shared_ptr<WeightSource> base_;
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Tensor>> adapted_;
};

}  // namespace deepcache
