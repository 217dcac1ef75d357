#include "image_encoder.h"

#include <utility>

#include "classes.h"
#include "errors.h"
#include "model_source.h"
#include "values.h"

namespace deepcache::addon {
namespace {

std::shared_ptr<ImageEncoder> load_model(const ModelSource& source,
                                         std::shared_ptr<WeightSource> weights,
                                         std::shared_ptr<Backend> backend) {
  return std::make_shared<ImageEncoder>(ClipVisionConfig::parse(source.config), std::move(weights),
                                        std::move(backend));
}

}  // namespace

Napi::Function NativeImageEncoder::define_class(Napi::Env env) {
  return DefineClass(env, "ImageEncoder",
                     {InstanceMethod<&NativeImageEncoder::encode>("encode"),
                      InstanceMethod<&NativeImageEncoder::memory>("memory"),
                      InstanceMethod<&NativeImageEncoder::dispose>("dispose")});
}

NativeImageEncoder::NativeImageEncoder(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] { Classes::of(info.Env()).require_creating("loadImageEncoder()"); });
}

Napi::Value NativeImageEncoder::load(const Napi::CallbackInfo& info) {
  return load_job<ImageEncoder>(info, load_model, wrap);
}

Napi::Value NativeImageEncoder::wrap(Napi::Env env, std::shared_ptr<ImageEncoder> model) {
  Classes& classes = Classes::of(env);
  Napi::Object object;
  auto& self = classes.create<NativeImageEncoder>(classes.image_encoder, &object);
  const ClipVisionConfig& config = model->config();
  define(object, "imageSize", Napi::Number::New(env, config.image_size));
  define(object, "projection", Napi::Number::New(env, config.projection));
  self.slot_.emplace(std::move(model));
  return object;
}

Napi::Value NativeImageEncoder::encode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument request(info[0], "request");
    const std::shared_ptr<ImageEncoder> model = slot_->model();
    const ClipVisionConfig& config = model->config();
    const int batch = int(request["batch"].integer(1, 1024));
    const size_t size = size_t(config.image_size);
    auto pixels = request["pixels"].floats({size_t(batch), size_t(config.channels), size, size});
    const auto work = [=, pixels = std::move(pixels)](ImageEncoder& model,
                                                      JobContext& context) -> Finish {
      auto encoding = model.encode(pixels.data(), batch, context.cancel_flag());
      return
          [last = context.hand_over(std::move(encoding.last)),
           embeds = context.hand_over(std::move(encoding.embeds))](Napi::Env env) -> Napi::Value {
            Napi::Object out = Napi::Object::New(env);
            out["last"] = last(env);
            out["embeds"] = embeds(env);
            return out;
          };
    };
    return slot_->start(info.Env(), work).object(info.Env());
  });
}

Napi::Value NativeImageEncoder::memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Napi::Object out = Napi::Object::New(info.Env());
    out["weights"] = to_js(info.Env(), slot_->model()->weight_bytes());
    return out;
  });
}

void NativeImageEncoder::dispose(const Napi::CallbackInfo&) { slot_->dispose(); }

}  // namespace deepcache::addon
