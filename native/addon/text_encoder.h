#pragma once

#include <napi.h>

#include "model_object.h"
#include "models/text_encoder.h"

namespace deepcache::addon {

// A loaded CLIP text encoder.
class NativeTextEncoder : public ModelObject<NativeTextEncoder, TextEncoder> {
 public:
  static constexpr const char* kName = "TextEncoder";
  static constexpr const char* kLoad = "loadTextEncoder()";
  static constexpr auto kClass = &Classes::text_encoder;

  using ModelObject::ModelObject;

  static std::shared_ptr<TextEncoder> make(const ModelSource& source,
                                           std::shared_ptr<WeightSource> weights,
                                           std::shared_ptr<Backend> backend);
  static void describe(Napi::Object object, TextEncoder& model);
  static void count_memory(Napi::Object object, const TextEncoder& model);
  static Methods methods();

 private:
  Napi::Value adapt(const Napi::CallbackInfo& info);
  Napi::Value encode(const Napi::CallbackInfo& info);
};

}  // namespace deepcache::addon
