#pragma once

#include <napi.h>

#include <memory>

#include "runtime/safetensors.h"

namespace deepcache::addon {

// A safetensors file, checked.
class NativeSafetensorsFile : public Napi::ObjectWrap<NativeSafetensorsFile> {
 public:
  static Napi::Function define_class(Napi::Env env);
  // (path)
  explicit NativeSafetensorsFile(const Napi::CallbackInfo& info);

 private:
  Napi::Value read(const Napi::CallbackInfo& info);

  std::shared_ptr<SafetensorsFile> file_;
};

// (stored names, wanted names) -> the stored name of each, or undefined: as models find them.
Napi::Value match_tensors(const Napi::CallbackInfo& info);

}  // namespace deepcache::addon
