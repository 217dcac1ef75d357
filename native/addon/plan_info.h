#pragma once

#include <napi.h>

namespace deepcache::addon {

// What architectures cost, from their configurations alone: planUnet, planTextEncoder,
// planT2iAdapter, planVae and weightShapes of lib/native/types.ts.
Napi::Value plan_unet(const Napi::CallbackInfo& info);
Napi::Value plan_text_encoder(const Napi::CallbackInfo& info);
Napi::Value plan_t2i_adapter(const Napi::CallbackInfo& info);
Napi::Value plan_vae(const Napi::CallbackInfo& info);
Napi::Value weight_shapes(const Napi::CallbackInfo& info);

}  // namespace deepcache::addon
