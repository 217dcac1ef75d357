#pragma once

#include <napi.h>

#include <optional>

#include "model_slot.h"
#include "models/image_encoder.h"

namespace deepcache::addon {

// A loaded CLIP image encoder.
class NativeImageEncoder : public Napi::ObjectWrap<NativeImageEncoder> {
 public:
  static Napi::Function define_class(Napi::Env env);
  // (backend, source) -> Job<NativeImageEncoder>
  static Napi::Value load(const Napi::CallbackInfo& info);

  explicit NativeImageEncoder(const Napi::CallbackInfo& info);

 private:
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<ImageEncoder> model);

  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::optional<ModelSlot<ImageEncoder>> slot_;
};

}  // namespace deepcache::addon
