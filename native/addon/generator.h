#pragma once

#include <napi.h>

#include <memory>

#include "runner.h"
#include "runtime/rng.h"

namespace deepcache::addon {

// PyTorch's CPU generator.
class NativeGenerator : public Napi::ObjectWrap<NativeGenerator> {
 public:
  static constexpr napi_type_tag kTypeTag = {0x64656570'63616368, 0x65000000'00000002};
  static Napi::Function define_class(Napi::Env env);
  // (seed: bigint)
  explicit NativeGenerator(const Napi::CallbackInfo& info);

  // Throws while a job draws.
  const Generator& generator() const { return idle(); }

 private:
  Napi::Value randn(const Napi::CallbackInfo& info);
  Napi::Value draw(const Napi::CallbackInfo& info);
  Napi::Value rand(const Napi::CallbackInfo& info);
  Napi::Value next_uint32(const Napi::CallbackInfo& info);
  void seed(const Napi::CallbackInfo& info);

  Generator& idle() const;

  std::shared_ptr<Generator> generator_;
  std::shared_ptr<Line> line_ = std::make_shared<Line>();
};

}  // namespace deepcache::addon
