#include "floats.h"

#include <new>
#include <utility>

#include "arguments.h"
#include "classes.h"
#include "errors.h"
#include "values.h"

namespace deepcache::addon {
namespace {

constexpr int64_t kMaxCount = int64_t(1) << 36;

}  // namespace

Floats::Floats(Napi::Env env, size_t count) : size_(count) {
  const auto reservation = reserve_array(count * sizeof(float), Classes::of(env).reservation);
  try {
    data_ = std::shared_ptr<float[]>(new float[count]);  // not cleared
  } catch (const std::bad_alloc&) {
    refuse_array(count * sizeof(float));
  }
}

Napi::Function NativeFloats::define_class(Napi::Env env) {
  return DefineClass(env, "Floats", {InstanceMethod<&NativeFloats::append>("append")});
}

NativeFloats::NativeFloats(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] {
    floats_ = Floats(info.Env(), size_t(Argument(info[0], "count").integer(0, kMaxCount)));
    info.This().As<Napi::Object>().TypeTag(&kTypeTag);
  });
}

void NativeFloats::append(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const Argument values(info[0], "values");
    filled_ += values.copy_floats(floats_.data() + filled_, floats_.size() - filled_);
  });
}

Floats NativeFloats::take() {
  filled_ = 0;
  return std::exchange(floats_, Floats());
}

}  // namespace deepcache::addon
