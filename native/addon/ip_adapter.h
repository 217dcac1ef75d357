#pragma once

#include <napi.h>

#include "model_object.h"
#include "models/image_prompt.h"
#include "models/ip_adapter.h"

namespace deepcache::addon {

// A loaded IP-Adapter.
class NativeIpAdapter : public ModelObject<NativeIpAdapter, IpAdapter> {
 public:
  static constexpr const char* kName = "IpAdapter";
  static constexpr const char* kLoad = "loadIpAdapter()";
  static constexpr auto kClass = &Classes::ip_adapter;
  static constexpr napi_type_tag kTypeTag = {0x64656570'63616368, 0x65000000'00000005};

  using ModelObject::ModelObject;

  static std::shared_ptr<IpAdapter> make(const ModelSource& source,
                                         std::shared_ptr<WeightSource> weights,
                                         std::shared_ptr<Backend> backend);
  static void describe(Napi::Object object, IpAdapter& model);
  static void count_memory(Napi::Object object, const IpAdapter& model);
  static Methods methods();

  // Throws Error(kDisposed).
  std::shared_ptr<IpAdapter> shared() const { return model(); }

 private:
  Napi::Value project(const Napi::CallbackInfo& info);
};

// `imagePrompts` of UnetConditions of lib/native/types.ts, for `n` samples; their tokens live as
// long as `arrays`.
std::vector<ImagePrompt> parse_image_prompts(const Argument& in, const UnetConfig& config, size_t n,
                                             std::vector<Floats>& arrays);

}  // namespace deepcache::addon
