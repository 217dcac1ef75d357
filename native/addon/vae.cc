#include "vae.h"

#include <functional>
#include <utility>

#include "values.h"

namespace deepcache::addon {
namespace {

// Image pixels each way; latents have up to this over the scale.
constexpr int kMaxSide = 32768;

// One call of the model.
using Run = std::function<std::vector<float>(Autoencoder& model, const float* data, int batch,
                                             int height, int width, Shape* shape,
                                             const CancelFlag* cancel, const Tap* tap)>;

// encode() and decode() differ in the input's channels and size limits only.
Napi::Value start_run(const Napi::CallbackInfo& info, ModelSlot<Autoencoder>& slot, const Run& run,
                      int channels, int shortest, int longest) {
  const Argument request(info[0], "request");
  const int batch = int(request["batch"].integer(1, 1024));
  const int height = int(request["height"].integer(shortest, longest));
  const int width = int(request["width"].integer(shortest, longest));
  auto data =
      request["data"].floats({size_t(batch), size_t(channels), size_t(height), size_t(width)});
  const Argument taps_wanted = request["taps"];
  const bool with_taps = taps_wanted.given() && taps_wanted.boolean();
  const auto work = [=, data = std::move(data)](Autoencoder& model, JobContext& context) -> Finish {
    TapCollector taps(with_taps);
    Shape shape;
    auto values =
        run(model, data.data(), batch, height, width, &shape, context.cancel_flag(), taps.tap());
    return [=, values = context.hand_over(std::move(values)),
            taps = taps.take()](Napi::Env env) -> Napi::Value {
      Napi::Object out = Napi::Object::New(env);
      out["data"] = values(env);
      out["shape"] = to_nchw(env, shape);
      if (with_taps) out["taps"] = to_js(env, taps);
      return out;
    };
  };
  return slot.start(info.Env(), work).object(info.Env());
}

}  // namespace

std::shared_ptr<Autoencoder> NativeVae::make(const ModelSource& source,
                                             std::shared_ptr<WeightSource> weights,
                                             std::shared_ptr<Backend> backend) {
  return std::make_shared<Autoencoder>(VaeConfig::parse(source.config), std::move(weights),
                                       std::move(backend));
}

void NativeVae::describe(Napi::Object object, Autoencoder& model) {
  const Napi::Env env = object.Env();
  const VaeConfig& config = model.config();
  const auto number = [&](const char* name, double value) {
    define(object, name, Napi::Number::New(env, value));
  };
  number("inChannels", config.in_channels);
  number("outChannels", config.out_channels);
  number("latentChannels", config.code_channels);
  number("scalingFactor", config.scaling_factor);
  number("scale", config.scale());
  define(object, "hasPosterior", Napi::Boolean::New(env, !config.tiny));
  define(object, "device", Napi::String::New(env, model.backend().name()));
}

void NativeVae::count_memory(Napi::Object object, const Autoencoder& model) {
  object["weights"] = to_js(object.Env(), model.weight_bytes());
  object["peakArena"] = to_js(object.Env(), model.peak_arena_bytes());
}

NativeVae::Methods NativeVae::methods() {
  return {InstanceMethod<&NativeVae::encode>("encode"),
          InstanceMethod<&NativeVae::decode>("decode")};
}

Napi::Value NativeVae::encode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::shared_ptr<Autoencoder> model = this->model();
    const VaeConfig& config = model->config();
    return start_run(info, slot(), std::mem_fn(&Autoencoder::encode), config.in_channels,
                     config.scale(), kMaxSide);
  });
}

Napi::Value NativeVae::decode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::shared_ptr<Autoencoder> model = this->model();
    const VaeConfig& config = model->config();
    const Argument image = Argument(info[0], "request")["image"];
    if (image.given()) return decode_masked(info, model);
    const Argument quantize = Argument(info[0], "request")["quantize"];
    const bool quantized = !quantize.given() || quantize.boolean();
    const auto decode = [quantized](Autoencoder& model, const float* data, int batch, int height,
                                    int width, Shape* shape, const CancelFlag* cancel,
                                    const Tap* tap) {
      return model.decode(data, batch, height, width, quantized, shape, cancel, tap);
    };
    return start_run(info, slot(), decode, config.code_channels, 1, kMaxSide / config.scale());
  });
}

// The mask and the picture have the result's size.
Napi::Value NativeVae::decode_masked(const Napi::CallbackInfo& info,
                                     const std::shared_ptr<Autoencoder>& model) {
  const VaeConfig& config = model->config();
  const Argument request(info[0], "request");
  const int longest = kMaxSide / config.scale();
  const size_t batch = size_t(request["batch"].integer(1, 1024));
  const size_t height = size_t(request["height"].integer(1, longest)) * config.scale();
  const size_t width = size_t(request["width"].integer(1, longest)) * config.scale();
  const Floats image = request["image"].floats({batch, size_t(config.out_channels), height, width});
  const Floats mask = request["mask"].floats({batch, 1, height, width});
  const auto decode = [=](Autoencoder& model, const float* data, int batch, int height, int width,
                          Shape* shape, const CancelFlag* cancel, const Tap* tap) {
    return model.decode_masked(data, {image.data(), mask.data()}, batch, height, width, shape,
                               cancel, tap);
  };
  return start_run(info, slot(), decode, config.code_channels, 1, longest);
}

}  // namespace deepcache::addon
