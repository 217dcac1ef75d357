#pragma once

#include <napi.h>

#include "model_object.h"
#include "models/upscaler.h"

namespace deepcache::addon {

// A loaded network that enlarges pictures.
class NativeUpscaler : public ModelObject<NativeUpscaler, Upscaler> {
 public:
  static constexpr const char* kName = "Upscaler";
  static constexpr const char* kLoad = "loadUpscaler()";
  static constexpr auto kClass = &Classes::upscaler;

  using ModelObject::ModelObject;

  static std::shared_ptr<Upscaler> make(const ModelSource& source,
                                        std::shared_ptr<WeightSource> weights,
                                        std::shared_ptr<Backend> backend);
  static void describe(Napi::Object object, Upscaler& model);
  static void count_memory(Napi::Object object, const Upscaler& model);
  static Methods methods();

 private:
  Napi::Value upscale(const Napi::CallbackInfo& info);
};

}  // namespace deepcache::addon
