#include "inception.h"

#include <utility>

#include "values.h"

namespace deepcache::addon {
namespace {

constexpr int kMaxPictures = 64;

}  // namespace

std::shared_ptr<Inception> NativeInception::make(const ModelSource&,
                                                 std::shared_ptr<WeightSource> weights,
                                                 std::shared_ptr<Backend> backend) {
  return std::make_shared<Inception>(std::move(weights), std::move(backend));
}

void NativeInception::describe(Napi::Object object, Inception&) {
  const Napi::Env env = object.Env();
  define(object, "side", Napi::Number::New(env, kInceptionSide));
  define(object, "width", Napi::Number::New(env, kInceptionFeatures));
}

void NativeInception::count_memory(Napi::Object object, const Inception& model) {
  object["weights"] = to_js(object.Env(), model.weight_bytes());
}

NativeInception::Methods NativeInception::methods() {
  return {InstanceMethod<&NativeInception::features>("features")};
}

Napi::Value NativeInception::features(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument request(info[0], "request");
    const int batch = int(request["batch"].integer(1, kMaxPictures));
    constexpr size_t kSide = kInceptionSide;
    auto pixels = request["pixels"].floats({size_t(batch), 3, kSide, kSide});
    const auto work = [=, pixels = std::move(pixels)](Inception& model,
                                                      JobContext& context) -> Finish {
      return context.hand_over(model.features(pixels.data(), batch, context.cancel_flag()));
    };
    return start(info.Env(), work);
  });
}

}  // namespace deepcache::addon
