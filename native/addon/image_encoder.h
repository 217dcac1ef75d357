#pragma once

#include <napi.h>

#include "model_object.h"
#include "models/image_encoder.h"

namespace deepcache::addon {

// A loaded CLIP image encoder.
class NativeImageEncoder : public ModelObject<NativeImageEncoder, ImageEncoder> {
 public:
  static constexpr const char* kName = "ImageEncoder";
  static constexpr const char* kLoad = "loadImageEncoder()";
  static constexpr auto kClass = &Classes::image_encoder;

  using ModelObject::ModelObject;

  static std::shared_ptr<ImageEncoder> make(const ModelSource& source,
                                            std::shared_ptr<WeightSource> weights,
                                            std::shared_ptr<Backend> backend);
  static void describe(Napi::Object object, ImageEncoder& model);
  static void count_memory(Napi::Object object, const ImageEncoder& model);
  static Methods methods();

 private:
  Napi::Value encode(const Napi::CallbackInfo& info);
};

}  // namespace deepcache::addon
