#include "t2i_adapter.h"

#include <utility>

#include "unet.h"
#include "values.h"

namespace deepcache::addon {
namespace {

constexpr int kMaxBatch = 1024;
constexpr int kMaxSide = 16384;  // pixels

}  // namespace

Napi::Value NativeT2iAdapter::load(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<SharedUnet> unet =
        unwrap<NativeUnet>({info[2], "unet"}, "a U-Net made by this addon").shared();
    return load_job<FittedT2iAdapter>(
        info,
        [unet](const ModelSource& source, std::shared_ptr<WeightSource> weights,
               std::shared_ptr<Backend> backend) {
          const T2iAdapterConfig config = T2iAdapterConfig::parse(source.config);
          const int scale = require_fit(config, unet->config());
          return std::make_shared<FittedT2iAdapter>(config, std::move(weights), std::move(backend),
                                                    scale);
        },
        wrap);
  });
}

void NativeT2iAdapter::describe(Napi::Object object, FittedT2iAdapter& model) {
  const auto number = [&](const char* name, int value) {
    define(object, name, Napi::Number::New(object.Env(), value));
  };
  number("inChannels", model.config().in_channels);
  number("multiple", model.config().downscale_factor);
  number("features", model.config().features());
  number("scale", model.scale);
}

void NativeT2iAdapter::count_memory(Napi::Object object, const FittedT2iAdapter& model) {
  object["weights"] = to_js(object.Env(), model.weight_bytes());
}

NativeT2iAdapter::Methods NativeT2iAdapter::methods() {
  return {InstanceMethod<&NativeT2iAdapter::encode>("encode")};
}

Napi::Value NativeT2iAdapter::encode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument request(info[0], "request");
    const T2iAdapterConfig config = model()->config();
    const int batch = int(request["batch"].integer(1, kMaxBatch));
    const auto side = [&](const char* name) {
      const Argument in = request[name];
      const int value = int(in.integer(1, kMaxSide));
      if (value % config.downscale_factor)
        in.fail("a multiple of " + std::to_string(config.downscale_factor), std::to_string(value));
      return value;
    };
    const int height = side("height"), width = side("width");
    auto image = request["image"].floats(
        {size_t(batch), size_t(config.in_channels), size_t(height), size_t(width)});
    const auto work = [=, image = std::move(image)](FittedT2iAdapter& model,
                                                    JobContext& context) -> Finish {
      auto features = model.encode(image.data(), batch, height, width, context.cancel_flag());
      std::vector<Finish> arrays;
      for (auto& values : features) arrays.push_back(context.hand_over(std::move(values)));
      return [arrays = std::move(arrays)](Napi::Env env) -> Napi::Value {
        Napi::Array list = Napi::Array::New(env, arrays.size());
        for (size_t i = 0; i < arrays.size(); ++i) list[uint32_t(i)] = arrays[i](env);
        return list;
      };
    };
    return start(info.Env(), work);
  });
}

}  // namespace deepcache::addon
