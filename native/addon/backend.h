#pragma once

#include <napi.h>

#include <memory>

#include "runtime/backend.h"

namespace deepcache::addon {

// Where models compute. Models keep theirs alive.
class NativeBackend : public Napi::ObjectWrap<NativeBackend> {
 public:
  static constexpr napi_type_tag kTypeTag = {0x64656570'63616368, 0x65000000'00000001};
  static Napi::Function define_class(Napi::Env env);

  // ({device: 'cpu' | 'cuda' | 'cuda:<i>', threads: 0 for all, dtype: 'fp16' | 'bf16' | 'fp8' on a
  // GPU, 'bf16' | 'fp8' on the CPU, where all else is fp32; autotune: whether a GPU measures its
  // tiles})
  explicit NativeBackend(const Napi::CallbackInfo& info);

  // The backend for a model. On the CPU, threads end with the last model that has it: a backend
  // itself goes when JavaScript's garbage is collected, if ever.
  std::shared_ptr<Backend> lease();

 private:
  Napi::Value available_memory(const Napi::CallbackInfo& info);
  Napi::Value reserve(const Napi::CallbackInfo& info);

  std::shared_ptr<Backend> backend_;
  std::weak_ptr<Backend> leased_;
};

// The DeviceInfo list of lib/native/types.ts.
Napi::Value devices(const Napi::CallbackInfo& info);

// (path): the CUDA library to use when none lies beside the addon.
Napi::Value set_cuda_library(const Napi::CallbackInfo& info);

}  // namespace deepcache::addon
