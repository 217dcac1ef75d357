#pragma once

#include <napi.h>

#include <mutex>
#include <optional>

#include "model_slot.h"
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
class NativeUnet : public Napi::ObjectWrap<NativeUnet> {
 public:
  static Napi::Function define_class(Napi::Env env);
  // (backend, source) -> Job<NativeUnet>
  static Napi::Value load(const Napi::CallbackInfo& info);

  explicit NativeUnet(const Napi::CallbackInfo& info);

 private:
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<CountedUnet> model);

  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value feature(const Napi::CallbackInfo& info);
  Napi::Value denoise(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  void trim(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::optional<ModelSlot<CountedUnet>> slot_;
};

}  // namespace deepcache::addon
