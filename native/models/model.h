#pragma once

// What every loaded model has: weights on a backend, and a way to run plans over them.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../adapters/adapted_weights.h"
#include "../runtime/backend.h"

namespace deepcache {

// Of a plan's externals.
using Buffers = std::map<Port, std::unique_ptr<Buffer>>;
using Bindings = std::map<Port, Binding>;

// Each port to the whole of its buffer.
Bindings bindings_of(const Buffers& buffers);

// Whether all of them are numbers, and finite.
bool all_finite(const std::vector<float>& values);

// Between PyTorch's order and a plan's external; `shape` receives the external's.
void upload_nchw(const Plan& plan, const Buffers& buffers, Port port, const float* values);
std::vector<float> download_nchw(const Plan& plan, const Buffers& buffers, Port port, Shape* shape);

// All of a buffer of fp32 values.
std::vector<float> values_of(const Buffer& buffer);

class Model {
 public:
  Model(std::shared_ptr<WeightSource> source, std::shared_ptr<Backend> backend);
  virtual ~Model() = default;

  // Packs every weight that the plan names. Throws Error(kInvalidWeights) or Error(kOutOfMemory).
  void load(const Plan& plan);
  // All is packed: the files' pages may go.
  void finish_loading();

  // Exchanges adapters' terms (AdaptedWeights::exchange) and packs what they touch again where it
  // lies: plans, graphs and sessions stay. All or nothing: an error leaves the weights as they
  // were. Nothing else may use the model meanwhile. Returns how many packed weights it were.
  size_t adapt(AdapterTerms terms);
  // A weight as plans multiply by it, adapters included, but not yet rounded as the backend packs
  // it. Throws Error(kInvalidArgument) when there is none of the name.
  std::vector<float> read_weight(const std::string& name) const;
  // Throws Error(kInvalidWeights) after a failed adapt() whose weights could not be brought back.
  void require_intact() const;

  Backend& backend() { return *backend_; }
  Weights& weights() { return weights_; }
  size_t weight_bytes() const { return weights_.packed_bytes(); }

  std::unique_ptr<Program> compile(const Plan& plan, Buffer& arena, const Bindings& bindings);
  // A buffer for each of the plan's externals.
  Buffers allocate(const Plan& plan);
  // Compiles and runs a plan once, with an arena of its own. Returns the arena's bytes.
  size_t run_once(const Plan& plan, const Bindings& bindings, const CancelFlag* cancel,
                  const Tap* tap);

  // For a pass that made values which are not finite. Throws Error(kNotFinite) that names the
  // weight which is not, or else the layer where such values appear first; `again` runs the pass
  // once more.
  [[noreturn]] void fail_not_finite(const std::string& made_by, const std::vector<Plan>& plans,
                                    const std::function<void(const Tap&)>& again);

  size_t arena_bytes(const Plan& plan) const { return backend_->arena_bytes(plan); }
  size_t external_bytes(const Plan& plan, const External& external) const {
    return plan.external_bytes(external, backend_->activation_type());
  }

 private:
  std::shared_ptr<AdaptedWeights> source_;
  std::shared_ptr<Backend> backend_;
  Weights weights_;
  bool is_intact_ = true;
};

}  // namespace deepcache
