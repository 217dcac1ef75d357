#pragma once

#include <napi.h>

#include "model_object.h"
#include "models/inception.h"

namespace deepcache::addon {

// A loaded Inception v3.
class NativeInception : public ModelObject<NativeInception, Inception> {
 public:
  static constexpr const char* kName = "Inception";
  static constexpr const char* kLoad = "loadInception()";
  static constexpr auto kClass = &Classes::inception;

  using ModelObject::ModelObject;

  static std::shared_ptr<Inception> make(const ModelSource& source,
                                         std::shared_ptr<WeightSource> weights,
                                         std::shared_ptr<Backend> backend);
  static void describe(Napi::Object object, Inception& model);
  static void count_memory(Napi::Object object, const Inception& model);
  static Methods methods();

 private:
  Napi::Value features(const Napi::CallbackInfo& info);
};

}  // namespace deepcache::addon
