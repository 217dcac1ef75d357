#pragma once

// What every loaded model has: weights on a backend, and a way to run plans over them.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../runtime/backend.h"

namespace deepcache {

// Buffers by the names of a plan's externals.
using Bindings = std::map<std::string, Binding>;

class Model {
 public:
  Model(std::shared_ptr<WeightSource> source, std::shared_ptr<Backend> backend);
  virtual ~Model() = default;

  // Packs every weight that the plan names. Throws Error(kInvalidWeights) or Error(kOutOfMemory).
  void load(const Plan& plan);
  // All is packed: the files' pages may go.
  void finish_loading();

  Backend& backend() { return *backend_; }
  Weights& weights() { return weights_; }
  size_t weight_bytes() const { return weights_.packed_bytes(); }

  std::unique_ptr<Program> compile(const Plan& plan, Buffer& arena, const Bindings& bindings);
  // A buffer for one of the plan's externals.
  std::unique_ptr<Buffer> allocate(const Plan& plan, const External& external) {
    return backend_->allocate(external_bytes(plan, external));
  }
  // Compiles and runs a plan once, with an arena of its own. Returns the arena's bytes.
  size_t run_once(const Plan& plan, const Bindings& bindings, const CancelFlag* cancel,
                  const Tap* tap);

  size_t arena_bytes(const Plan& plan) const {
    return plan.arena_bytes(backend_->activation_type());
  }
  size_t external_bytes(const Plan& plan, const External& external) const {
    return plan.external_bytes(external, backend_->activation_type());
  }

 private:
  std::shared_ptr<WeightSource> source_;
  std::shared_ptr<Backend> backend_;
  Weights weights_;
};

}  // namespace deepcache
