// What `require('deepcache.node')` gives: NativeAddon of lib/native/types.ts.

#include <napi.h>

#include "adapted_tensor.h"
#include "backend.h"
#include "classes.h"
#include "errors.h"
#include "floats.h"
#include "frechet.h"
#include "free_u.h"
#include "generator.h"
#include "image_encoder.h"
#include "inception.h"
#include "ip_adapter.h"
#include "masked_blur.h"
#include "memory.h"
#include "plan_info.h"
#include "safetensors_file.h"
#include "synth.h"
#include "t2i_adapter.h"
#include "table.h"
#include "text_encoder.h"
#include "unet.h"
#include "upscaler.h"
#include "vae.h"

namespace deepcache::addon {
namespace {

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void add(Napi::Object exports, const char* name) {
  exports[name] = Napi::Function::New<function>(exports.Env(), name);
}

// Once for every environment: the main thread and each worker.
Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* classes = new Classes;
  env.SetInstanceData(classes);
  classes->unet = Napi::Persistent(NativeUnet::define_class(env));
  classes->text_encoder = Napi::Persistent(NativeTextEncoder::define_class(env));
  classes->image_encoder = Napi::Persistent(NativeImageEncoder::define_class(env));
  classes->ip_adapter = Napi::Persistent(NativeIpAdapter::define_class(env));
  classes->t2i_adapter = Napi::Persistent(NativeT2iAdapter::define_class(env));
  classes->vae = Napi::Persistent(NativeVae::define_class(env));
  classes->upscaler = Napi::Persistent(NativeUpscaler::define_class(env));
  classes->inception = Napi::Persistent(NativeInception::define_class(env));

  classes->array_buffer = Napi::Persistent(env.Global().Get("ArrayBuffer").As<Napi::Function>());

  exports["version"] = DEEPCACHE_VERSION;
  exports["contract"] = DEEPCACHE_CONTRACT;
  add<set_error_class>(exports, "setErrorClass");
  exports["tableLimits"] = table_limits(env);
  add<devices>(exports, "devices");
  add<set_cuda_library>(exports, "setCudaLibrary");
  add<available_memory_bytes>(exports, "availableMemory");
  add<resident_memory_bytes>(exports, "residentMemory");
  exports["Backend"] = NativeBackend::define_class(env);
  add<NativeUnet::load>(exports, "loadUnet");
  add<NativeTextEncoder::load>(exports, "loadTextEncoder");
  add<NativeImageEncoder::load>(exports, "loadImageEncoder");
  add<NativeIpAdapter::load>(exports, "loadIpAdapter");
  add<NativeT2iAdapter::load>(exports, "loadT2iAdapter");
  add<NativeVae::load>(exports, "loadVae");
  add<NativeUpscaler::load>(exports, "loadUpscaler");
  add<NativeInception::load>(exports, "loadInception");
  add<plan_unet>(exports, "planUnet");
  add<plan_text_encoder>(exports, "planTextEncoder");
  add<plan_t2i_adapter>(exports, "planT2iAdapter");
  add<plan_vae>(exports, "planVae");
  add<weight_shapes>(exports, "weightShapes");
  exports["Generator"] = NativeGenerator::define_class(env);
  exports["Floats"] = NativeFloats::define_class(env);
  exports["SafetensorsFile"] = NativeSafetensorsFile::define_class(env);
  add<match_tensors>(exports, "matchTensors");
  add<adapted_tensor>(exports, "adaptedTensor");
  add<free_u>(exports, "freeU");
  add<masked_blur>(exports, "maskedBlur");
  add<trace_of_root>(exports, "traceOfRoot");
  add<synthesize>(exports, "synthesize");
  add<write_synthetic_file>(exports, "writeSynthetic");
  return exports;
}

NODE_API_MODULE(deepcache, init)

}  // namespace
}  // namespace deepcache::addon
