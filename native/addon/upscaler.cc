#include "upscaler.h"

#include <utility>

#include "values.h"

namespace deepcache::addon {
namespace {

// Image pixels each way.
constexpr int kMaxSide = 16384;

}  // namespace

std::shared_ptr<Upscaler> NativeUpscaler::make(const ModelSource& source,
                                               std::shared_ptr<WeightSource> weights,
                                               std::shared_ptr<Backend> backend) {
  return std::make_shared<Upscaler>(SuperResolutionConfig::parse(source.config), std::move(weights),
                                    std::move(backend));
}

void NativeUpscaler::describe(Napi::Object object, Upscaler& model) {
  const Napi::Env env = object.Env();
  const SuperResolutionConfig& config = model.config();
  const auto number = [&](const char* name, double value) {
    define(object, name, Napi::Number::New(env, value));
  };
  number("inChannels", config.in_channels);
  number("outChannels", config.out_channels);
  number("scale", config.scale());
  number("multiple", config.unshuffle);
  define(object, "device", Napi::String::New(env, model.backend().name()));
}

void NativeUpscaler::count_memory(Napi::Object object, const Upscaler& model) {
  object["weights"] = to_js(object.Env(), model.weight_bytes());
}

NativeUpscaler::Methods NativeUpscaler::methods() {
  return {InstanceMethod<&NativeUpscaler::upscale>("upscale")};
}

Napi::Value NativeUpscaler::upscale(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument request(info[0], "request");
    const std::shared_ptr<Upscaler> model = this->model();
    const int batch = int(request["batch"].integer(1, 1024));
    const int height = int(request["height"].integer(1, kMaxSide));
    const int width = int(request["width"].integer(1, kMaxSide));
    auto data = request["data"].floats(
        {size_t(batch), size_t(model->config().in_channels), size_t(height), size_t(width)});
    const auto work = [=, data = std::move(data)](Upscaler& model, JobContext& context) -> Finish {
      Shape shape;
      auto values = model.run(data.data(), batch, height, width, &shape, context.cancel_flag());
      return [=, values = context.hand_over(std::move(values))](Napi::Env env) -> Napi::Value {
        Napi::Object out = Napi::Object::New(env);
        out["data"] = values(env);
        out["shape"] = to_nchw(env, shape);
        return out;
      };
    };
    return start(info.Env(), work);
  });
}

}  // namespace deepcache::addon
