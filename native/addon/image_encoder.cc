#include "image_encoder.h"

#include <utility>

#include "values.h"

namespace deepcache::addon {

std::shared_ptr<ImageEncoder> NativeImageEncoder::make(const ModelSource& source,
                                                       std::shared_ptr<WeightSource> weights,
                                                       std::shared_ptr<Backend> backend) {
  return std::make_shared<ImageEncoder>(ClipVisionConfig::parse(source.config), std::move(weights),
                                        std::move(backend));
}

void NativeImageEncoder::describe(Napi::Object object, ImageEncoder& model) {
  const Napi::Env env = object.Env();
  const ClipVisionConfig& config = model.config();
  define(object, "imageSize", Napi::Number::New(env, config.image_size));
  define(object, "width", Napi::Number::New(env, config.width));
  define(object, "tokens", Napi::Number::New(env, config.tokens()));
  define(object, "projection", Napi::Number::New(env, config.projection));
}

void NativeImageEncoder::count_memory(Napi::Object object, const ImageEncoder& model) {
  object["weights"] = to_js(object.Env(), model.weight_bytes());
}

NativeImageEncoder::Methods NativeImageEncoder::methods() {
  return {InstanceMethod<&NativeImageEncoder::encode>("encode")};
}

Napi::Value NativeImageEncoder::encode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument request(info[0], "request");
    const std::shared_ptr<ImageEncoder> model = this->model();
    const ClipVisionConfig& config = model->config();
    const int batch = int(request["batch"].integer(1, 1024));
    const size_t size = size_t(config.image_size);
    auto pixels = request["pixels"].floats({size_t(batch), size_t(config.channels), size, size});
    const auto work = [=, pixels = std::move(pixels)](ImageEncoder& model,
                                                      JobContext& context) -> Finish {
      auto encoding = model.encode(pixels.data(), batch, context.cancel_flag());
      return
          [penultimate = context.hand_over(std::move(encoding.penultimate)),
           last = context.hand_over(std::move(encoding.last)),
           embeds = context.hand_over(std::move(encoding.embeds))](Napi::Env env) -> Napi::Value {
            Napi::Object out = Napi::Object::New(env);
            out["penultimate"] = penultimate(env);
            out["last"] = last(env);
            out["embeds"] = embeds(env);
            return out;
          };
    };
    return start(info.Env(), work);
  });
}

}  // namespace deepcache::addon
