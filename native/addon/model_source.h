#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "arguments.h"
#include "backend.h"
#include "classes.h"
#include "errors.h"
#include "job.h"
#include "runtime/stored_weights.h"

namespace deepcache::addon {

// ModelSource of lib/native/types.ts.
struct ModelSource {
  std::string config;
  // One of them is empty.
  std::vector<std::string> files;
  std::vector<StoredTensor> tensors;

  static ModelSource parse(const Argument& argument);
  std::shared_ptr<WeightSource> open() const;
};

// TensorSource of lib/native/types.ts without its name.
StoredTensor parse_stored_tensor(const Argument& argument);

// The text of a config.json.
std::string parse_config(const Argument& argument);

// Whether config.json (transformers) says CLIPTextModelWithProjection; without "architectures",
// `otherwise`.
bool has_projection(const std::string& config, bool otherwise);

// Weights whose find() throws Error(kAborted) once a flag is set: this is how a model's loading is
// stopped between two tensors.
class AbortableWeights : public WeightSource {
 public:
  // `cancel` must live until disarm().
  AbortableWeights(std::shared_ptr<WeightSource> source, const CancelFlag* cancel)
      : source_(std::move(source)), cancel_(cancel) {}
  // The model is loaded: the flag means nothing any more.
  void disarm() { cancel_ = nullptr; }

  const SourceTensor* find(const std::string& name) const override;
  std::vector<std::string> names() const override { return source_->names(); }
  std::string stored_name(const std::string& name) const override {
    return source_->stored_name(name);
  }
  std::string description() const override { return source_->description(); }
  void release() override { source_->release(); }

 private:
  std::shared_ptr<WeightSource> source_;
  const CancelFlag* cancel_;
};

// loadUnet, loadTextEncoder, loadVae: (backend, source) -> Job. `load` makes the model on the job's
// thread, `wrap` its object on the JS thread.
template <typename Model>
Napi::Value load_job(
    const Napi::CallbackInfo& info,
    std::function<std::shared_ptr<Model>(const ModelSource&, std::shared_ptr<WeightSource>,
                                         std::shared_ptr<Backend>)>
        load,
    Napi::Value (*wrap)(Napi::Env, std::shared_ptr<Model>)) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto backend =
        unwrap<NativeBackend>({info[0], "backend"}, "a Backend made by this addon").lease();
    auto source = ModelSource::parse({info[1], "source"});
    return start_job(info.Env(),
                     [=, source = std::move(source)](JobContext& context) -> Finish {
                       const auto weights =
                           std::make_shared<AbortableWeights>(source.open(), context.cancel_flag());
                       auto model = load(source, weights, backend);
                       weights->disarm();
                       return [=](Napi::Env env) { return wrap(env, model); };
                     })
        .object(info.Env());
  });
}

}  // namespace deepcache::addon
