#pragma once

#include <napi.h>

#include "model_object.h"
#include "models/run_gate.h"
#include "models/unet_batch.h"

namespace deepcache::addon {

// A U-Net whose runs may go together.
class SharedUnet : public Unet {
 public:
  using Unet::Unet;
  UnetBatch batch{*this};
  RunGate gate;  // of runs in the batch: they take many turns
};

// A loaded U-Net.
class NativeUnet : public ModelObject<NativeUnet, SharedUnet> {
 public:
  static constexpr const char* kName = "Unet";
  static constexpr const char* kLoad = "loadUnet()";
  static constexpr auto kClass = &Classes::unet;
  static constexpr napi_type_tag kTypeTag = {0x64656570'63616368, 0x65000000'00000004};

  using ModelObject::ModelObject;

  static std::shared_ptr<SharedUnet> make(const ModelSource& source,
                                          std::shared_ptr<WeightSource> weights,
                                          std::shared_ptr<Backend> backend);
  static void describe(Napi::Object object, SharedUnet& model);
  static void count_memory(Napi::Object object, const SharedUnet& model);
  static Methods methods();
  // (backend, source, beside?) -> Job<NativeUnet>; on the engine of the U-Net that it goes beside.
  static Napi::Value load(const Napi::CallbackInfo& info);

  std::shared_ptr<SharedUnet> shared() const { return model(); }

 private:
  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value feature(const Napi::CallbackInfo& info);
  Napi::Value denoise(const Napi::CallbackInfo& info);
  void tick(const Napi::CallbackInfo& info);
  void trim(const Napi::CallbackInfo& info);
  Napi::Value adapt(const Napi::CallbackInfo& info);
  Napi::Value counters(const Napi::CallbackInfo& info);
};

}  // namespace deepcache::addon
