#pragma once

#include <napi.h>

#include <optional>

#include "model_slot.h"
#include "models/text_encoder.h"

namespace deepcache::addon {

// A loaded CLIP text encoder.
class NativeTextEncoder : public Napi::ObjectWrap<NativeTextEncoder> {
 public:
  static Napi::Function define_class(Napi::Env env);
  // (backend, source) -> Job<NativeTextEncoder>
  static Napi::Value load(const Napi::CallbackInfo& info);

  explicit NativeTextEncoder(const Napi::CallbackInfo& info);

 private:
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<TextEncoder> model);

  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::optional<ModelSlot<TextEncoder>> slot_;
};

}  // namespace deepcache::addon
