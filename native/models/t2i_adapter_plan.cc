#include "t2i_adapter_plan.h"

#include <algorithm>

#include "bounds.h"
#include "config.h"
#include "recorder.h"

namespace deepcache {
namespace {

class Network {
 public:
  Network(const T2iAdapterConfig& config, Plan& plan) : config_(config), record_(plan) {}

  void record(Tensor x) {
    const int r = config_.downscale_factor;
    x = record_.resample(x, {1, x.shape.h / r, x.shape.w / r, x.shape.c * r * r});
    const bool light = config_.kind == T2iAdapterKind::light;
    if (!light) x = record_.conv(x, "adapter.conv_in", {.out = config_.channels[0], .kernel = 3});
    for (int i = 0; i < config_.features(); ++i) {
      const std::string name = "adapter.body." + std::to_string(i);
      if (config_.halves(i))
        x = record_.resample(x, {1, (x.shape.h + 1) / 2, (x.shape.w + 1) / 2, x.shape.c});
      x = light ? narrow_block(name, x, config_.width(i)) : block(name, x, config_.width(i));
      record_.label(x, name);
      // A copy: what follows reads the values as they are between layers.
      const Tensor out = record_.elementwise(x, 1, {}, 0, Activation::none);
      record_.plan().make_external(out, {PortKind::block_feature, i});
    }
  }

 private:
  // diffusers: AdapterBlock.
  Tensor block(const std::string& name, Tensor x, int channels) {
    if (x.shape.c != channels) x = record_.conv(x, name + ".in_conv", {.out = channels});
    return resnets(name, x, 1);
  }

  // diffusers: LightAdapterBlock.
  Tensor narrow_block(const std::string& name, Tensor x, int channels) {
    x = resnets(name, record_.conv(x, name + ".in_conv", {.out = channels / 4}), 3);
    return record_.conv(x, name + ".out_conv", {.out = channels});
  }

  // diffusers: AdapterResnetBlock, LightAdapterResnetBlock; they differ in their second kernel.
  Tensor resnets(const std::string& block, Tensor x, int kernel) {
    for (int i = 0; i < config_.res_blocks; ++i) {
      const std::string name = block + ".resnets." + std::to_string(i);
      const int channels = x.shape.c;
      const Tensor h =
          record_.relu(record_.conv(x, name + ".block1", {.out = channels, .kernel = 3}));
      x = record_.conv(h, name + ".block2", {.out = channels, .kernel = kernel, .residual = x});
    }
    return x;
  }

  const T2iAdapterConfig& config_;
  Recorder record_;
};

}  // namespace

T2iAdapterConfig T2iAdapterConfig::parse(const std::string& json) {
  const ConfigReader in(json, "T2I-Adapter config");
  in.only("_class_name", {"T2IAdapter"});
  in.only("adapter_type", {"full_adapter", "full_adapter_xl", "light_adapter"});
  T2iAdapterConfig out;
  const std::string kind = in.string("adapter_type", "full_adapter");
  out.kind = kind == "full_adapter_xl" ? T2iAdapterKind::xl
             : kind == "light_adapter" ? T2iAdapterKind::light
                                       : T2iAdapterKind::full;
  out.in_channels = in.integer("in_channels", 3);
  if (in.present("channels")) out.channels = in.integers("channels");
  out.res_blocks = in.integer("num_res_blocks", 2);
  out.downscale_factor = in.integer("downscale_factor", 8);
  validate(out);
  return out;
}

int T2iAdapterConfig::width(int feature) const {
  return channels[std::min<size_t>(size_t(feature), channels.size() - 1)];
}

bool T2iAdapterConfig::halves(int feature) const {
  return kind == T2iAdapterKind::xl ? feature == 2 : feature > 0;
}

Plan plan_t2i_adapter(const T2iAdapterConfig& config, int batch, int height, int width) {
  for (const int extent : {height, width})
    if (extent % config.downscale_factor)
      throw Error(ErrorCode::kInvalidArgument,
                  "this T2I-Adapter takes pictures whose sides are multiples of " +
                      std::to_string(config.downscale_factor) + ", not " + std::to_string(width) +
                      "x" + std::to_string(height));
  Plan plan;
  Network(config, plan)
      .record(plan.external(PortKind::image, {batch, height, width, config.in_channels}));
  plan.finish();
  return plan;
}

int require_fit(const T2iAdapterConfig& adapter, const UnetConfig& unet) {
  const auto require = [](bool fits, const std::string& why) {
    if (!fits)
      throw Error(ErrorCode::kInvalidArgument, "the T2I-Adapter is for another U-Net: " + why);
  };
  const int levels = unet.levels(), count = adapter.features();
  require(!unet.video && !unet.motion && !unet.control, "this one takes none");
  require(count == levels || (count == levels + 1 && unet.mid.layers > 0),
          "it has " + std::to_string(count) + " features, this one " + std::to_string(levels) +
              " levels");
  // Of latents that every level halves evenly.
  const int side = 1 << (levels + 1);
  const UnetShape shape{.batch = 1, .height = side, .width = side};
  int extent = side;  // of a feature in the U-Net's pixels
  int scale = 0;
  for (int i = 0; i < count; ++i) {
    const Shape wanted = block_feature_shape(unet, shape, i);
    if (i == 0) {
      extent = wanted.h;
      scale = adapter.downscale_factor / (side / extent);
      require(scale > 0 && scale * (side / extent) == adapter.downscale_factor,
              "it makes one of " + std::to_string(adapter.downscale_factor) + " pixels");
    } else if (adapter.halves(i)) {
      extent /= 2;
    }
    require(wanted.h == extent, "the sizes of its features differ");
    require(wanted.c == adapter.width(i), "its feature " + std::to_string(i) + " has " +
                                              std::to_string(adapter.width(i)) +
                                              " channels, the level " + std::to_string(wanted.c));
  }
  return scale;
}

}  // namespace deepcache
