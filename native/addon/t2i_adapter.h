#pragma once

#include <napi.h>

#include "model_object.h"
#include "models/t2i_adapter.h"

namespace deepcache::addon {

// A T2I-Adapter with the U-Net that it was found to fit.
struct FittedT2iAdapter : T2iAdapter {
  FittedT2iAdapter(const T2iAdapterConfig& config, std::shared_ptr<WeightSource> weights,
                   std::shared_ptr<Backend> backend, int scale)
      : T2iAdapter(config, std::move(weights), std::move(backend)), scale(scale) {}
  int scale;  // require_fit()'s
};

class NativeT2iAdapter : public ModelObject<NativeT2iAdapter, FittedT2iAdapter> {
 public:
  static constexpr const char* kName = "T2iAdapter";
  static constexpr const char* kLoad = "loadT2iAdapter()";
  static constexpr auto kClass = &Classes::t2i_adapter;

  using ModelObject::ModelObject;

  // (backend, source, unet) -> Job<NativeT2iAdapter>
  static Napi::Value load(const Napi::CallbackInfo& info);
  static void describe(Napi::Object object, FittedT2iAdapter& model);
  static void count_memory(Napi::Object object, const FittedT2iAdapter& model);
  static Methods methods();

 private:
  Napi::Value encode(const Napi::CallbackInfo& info);
};

}  // namespace deepcache::addon
