#pragma once

#include <napi.h>

#include "model_object.h"
#include "models/autoencoder.h"

namespace deepcache::addon {

// A loaded image autoencoder.
class NativeVae : public ModelObject<NativeVae, Autoencoder> {
 public:
  static constexpr const char* kName = "Vae";
  static constexpr const char* kLoad = "loadVae()";
  static constexpr auto kClass = &Classes::vae;

  using ModelObject::ModelObject;

  static std::shared_ptr<Autoencoder> make(const ModelSource& source,
                                           std::shared_ptr<WeightSource> weights,
                                           std::shared_ptr<Backend> backend);
  static void describe(Napi::Object object, Autoencoder& model);
  static void count_memory(Napi::Object object, const Autoencoder& model);
  static Methods methods();

 private:
  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value decode(const Napi::CallbackInfo& info);
  Napi::Value decode_masked(const Napi::CallbackInfo& info,
                            const std::shared_ptr<Autoencoder>& model);
};

}  // namespace deepcache::addon
