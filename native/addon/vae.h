#pragma once

#include <napi.h>

#include <optional>

#include "model_slot.h"
#include "models/autoencoder.h"

namespace deepcache::addon {

// A loaded image autoencoder.
class NativeVae : public Napi::ObjectWrap<NativeVae> {
 public:
  static Napi::Function define_class(Napi::Env env);
  // (backend, source) -> Job<NativeVae>
  static Napi::Value load(const Napi::CallbackInfo& info);

  explicit NativeVae(const Napi::CallbackInfo& info);

 private:
  static Napi::Value wrap(Napi::Env env, std::shared_ptr<Autoencoder> model);

  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value decode(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  std::optional<ModelSlot<Autoencoder>> slot_;
};

}  // namespace deepcache::addon
