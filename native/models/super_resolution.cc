#include "super_resolution.h"

#include "bounds.h"
#include "config.h"
#include "recorder.h"

namespace deepcache {
namespace {

constexpr float kSlope = 0.2f;     // of RRDBNet's activations
constexpr float kResidual = 0.2f;  // what a dense block, or three of them, add
constexpr int kDenseConvs = 5;

class Network {
 public:
  Network(const SuperResolutionConfig& config, Plan& plan) : config_(config), record_(plan) {}

  Tensor rrdb(Tensor x) {
    if (const int r = config_.unshuffle; r > 1)
      x = record_.resample(x, {1, x.shape.h / r, x.shape.w / r, x.shape.c * r * r});
    const Tensor first = conv(x, "conv_first", config_.features);
    x = first;
    for (int i = 0; i < config_.blocks; ++i) {
      const std::string name = "body." + std::to_string(i);
      Tensor h = x;
      for (const char* block : {".rdb1", ".rdb2", ".rdb3"}) h = dense_block(name + block, h);
      x = record_.elementwise(h, kResidual, x, 1, Activation::none);
      record_.label(x, name);
    }
    x = record_.conv(x, "conv_body", {.out = config_.features, .kernel = 3, .residual = first});
    for (int i = 1; i <= config_.upsamplers; ++i) {
      const Shape twice{1, 2 * x.shape.h, 2 * x.shape.w, config_.features};
      x = leaky(record_.conv(x, "conv_up" + std::to_string(i),
                             {.out = config_.features, .kernel = 3, .upsample_to = twice}));
    }
    x = leaky(conv(x, "conv_hr", config_.features));
    return conv(x, "conv_last", config_.out_channels);
  }

  Tensor compact(const Tensor image) {
    const int r = config_.upscale, squares = r * r;
    Tensor x = image;
    for (int i = 0; i <= config_.blocks; ++i) {
      x = conv(x, layer(2 * i), config_.features);
      Elementwise activation{.x = x, .activation = Activation::leaky_relu, .slope = config_.slope};
      if (config_.prelu)
        activation.slopes = record_.vector({layer(2 * i + 1) + ".weight"}, {config_.features});
      x = record_.elementwise(activation);
    }
    x = conv(x, layer(2 * config_.blocks + 2), config_.out_channels * squares);
    const Shape out{1, r * x.shape.h, r * x.shape.w, config_.out_channels};
    const Tensor enlarged = record_.resample(image, out);
    return record_.elementwise(record_.resample(x, out), 1, enlarged, 1, Activation::none);
  }

 private:
  static std::string layer(int index) { return "body." + std::to_string(index); }

  Tensor conv(Tensor x, const std::string& name, int out) {
    return record_.conv(x, name, {.out = out, .kernel = 3});
  }
  Tensor leaky(Tensor x) {
    return record_.elementwise({.x = x, .activation = Activation::leaky_relu, .slope = kSlope});
  }

  // Each convolution reads the block's input and all results before it, the last of which needs no
  // copy: a convolution has two inputs.
  Tensor dense_block(const std::string& name, const Tensor x) {
    Tensor known = x, last;
    for (int i = 1; i < kDenseConvs; ++i) {
      const Tensor h = record_.conv(known, name + ".conv" + std::to_string(i),
                                    {.out = config_.grow_channels, .kernel = 3, .x2 = last});
      if (last) known = record_.concat(known, last);
      last = leaky(h);
    }
    return record_.conv(
        known, name + ".conv" + std::to_string(kDenseConvs),
        {.out = config_.features, .kernel = 3, .x2 = last, .residual = x, .scale = kResidual});
  }

  const SuperResolutionConfig& config_;
  Recorder record_;
};

}  // namespace

SuperResolutionConfig SuperResolutionConfig::parse(const std::string& json) {
  const ConfigReader in(json, "upscaler config");
  in.only("_class_name", {"RRDBNet", "SRVGGNetCompact"});
  SuperResolutionConfig out;
  out.compact = in.string("_class_name", "RRDBNet") == "SRVGGNetCompact";
  out.in_channels = in.integer("num_in_ch", 3, 1, bounds::kChannels);
  out.out_channels = in.integer("num_out_ch", 3, 1, bounds::kChannels);
  out.features = in.integer("num_feat", 64, 1, bounds::kChannels);
  if (out.compact) {
    in.only("act_type", {"prelu", "relu", "leakyrelu"});
    const std::string activation = in.string("act_type", "prelu");
    out.blocks = in.integer("num_conv", 16, 0, bounds::kBlocks);
    out.upscale = in.integer("upscale", 4, 1, 16);
    out.prelu = activation == "prelu";
    out.slope = activation == "leakyrelu" ? 0.1f : 0;
    if (out.in_channels != out.out_channels)
      in.fail("has other channels in its result than in its picture, which is added to it");
    return out;
  }
  out.blocks = in.integer("num_block", 23, 0, bounds::kBlocks);
  out.grow_channels = in.integer("num_grow_ch", 32, 1, bounds::kChannels);
  out.upsamplers = in.integer("num_upsample", 2, 0, 4);
  out.unshuffle = in.integer("unshuffle", 1, 1, 8);
  if ((1 << out.upsamplers) % out.unshuffle)
    in.fail("makes pictures smaller: \"unshuffle\" must divide 2 to the power of \"num_upsample\"");
  return out;
}

Plan plan_super_resolution(const SuperResolutionConfig& config, int batch, int height, int width) {
  Plan plan;
  Network network(config, plan);
  const Tensor x = plan.external(PortKind::image, {batch, height, width, config.in_channels});
  plan.make_external(config.compact ? network.compact(x) : network.rrdb(x), PortKind::out);
  plan.finish();
  return plan;
}

}  // namespace deepcache
