#pragma once

#include <napi.h>

#include <mutex>

#include "model_object.h"
#include "models/unet.h"

namespace deepcache::addon {

// A U-Net with a count of its memory that may be read while a job runs.
class CountedUnet {
 public:
  CountedUnet(const UnetConfig& config, std::shared_ptr<WeightSource> source,
              std::shared_ptr<Backend> backend)
      : unet(config, std::move(source), std::move(backend)) {
    count_memory();
  }

  // By whoever may use the U-Net.
  void count_memory();
  UnetMemory memory() const;

  Unet unet;

 private:
  mutable std::mutex mutex_;
  UnetMemory memory_;
};

// A loaded U-Net.
class NativeUnet : public ModelObject<NativeUnet, CountedUnet> {
 public:
  static constexpr const char* kName = "Unet";
  static constexpr const char* kLoad = "loadUnet()";
  static constexpr auto kClass = &Classes::unet;

  using ModelObject::ModelObject;

  static std::shared_ptr<CountedUnet> make(const ModelSource& source,
                                           std::shared_ptr<WeightSource> weights,
                                           std::shared_ptr<Backend> backend);
  static void describe(Napi::Object object, CountedUnet& model);
  static void count_memory(Napi::Object object, const CountedUnet& model);
  static Methods methods();

 private:
  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value feature(const Napi::CallbackInfo& info);
  Napi::Value denoise(const Napi::CallbackInfo& info);
  void trim(const Napi::CallbackInfo& info);
};

}  // namespace deepcache::addon
