#include "vae_tiny.h"

#include <algorithm>

#include "bounds.h"
#include "recorder.h"

namespace deepcache {
namespace {

// The layers of one half, which are numbered through: "encoder.layers.<i>".
class TinyHalf {
 public:
  TinyHalf(const VaeConfig& config, const std::string& prefix, Plan& plan)
      : config_(config), prefix_(prefix + ".layers."), record_(plan) {}

  Tensor conv(Tensor x, const ConvOptions& options) {
    const std::string name = next();
    x = record_.conv(x, name, options);
    record_.label(x, name);
    return x;
  }

  Tensor blocks(Tensor x, int count) {
    for (int i = 0; i < count; ++i) x = block(next(), x);
    return x;
  }

  // A layer of its own, without weights.
  Tensor activation(Tensor x) {
    skip();
    return activate(x);
  }
  void skip() { ++layer_; }

  Recorder& record() { return record_; }

 private:
  std::string next() { return prefix_ + std::to_string(layer_++); }

  Tensor activate(Tensor x) {
    if (config_.activation == Activation::leaky_relu) return record_.relu(x);
    return record_.elementwise(x, 1, {}, 0, config_.activation);
  }

  Tensor block(const std::string& name, Tensor x) {
    Tensor h = activate(record_.conv(x, name + ".conv.0", {.out = x.shape.c, .kernel = 3}));
    h = activate(record_.conv(h, name + ".conv.2", {.out = x.shape.c, .kernel = 3}));
    h = record_.conv(h, name + ".conv.4", {.out = x.shape.c, .kernel = 3});
    h = record_.relu(h, x);  // whatever the others' activation is
    record_.label(h, name);
    return h;
  }

  const VaeConfig& config_;
  std::string prefix_;
  Recorder record_;
  int layer_ = 0;
};

Tensor affine(Recorder& record, Tensor x, float factor, float offset) {
  return record.elementwise({.x = x, .a = factor, .offset = offset});
}

}  // namespace

VaeConfig parse_tiny_vae(const ConfigReader& in) {
  in.only("act_fn", {"relu", "silu", "swish", "gelu"});
  in.only("upsample_fn", {"nearest"});
  if (in.integer("upsampling_scaling_factor", 2) != 2)
    throw Error(ErrorCode::kUnsupported, "vae config: \"upsampling_scaling_factor\" must be 2");
  const auto list = [&](const char* field, std::vector<int> fallback) {
    return in.has(field) ? in.integers(field) : fallback;
  };
  VaeConfig out;
  out.tiny = true;
  out.fields.channels = "encoder_block_out_channels";
  out.channels = list("encoder_block_out_channels", {64, 64, 64, 64});
  out.decoder_channels = list("decoder_block_out_channels", {64, 64, 64, 64});
  out.encoder_blocks = list("num_encoder_blocks", {1, 3, 3, 3});
  out.decoder_blocks = list("num_decoder_blocks", {3, 3, 3, 1});
  // Half of one, in a file of its own, can only decode.
  out.encoder = !out.channels.empty() || !out.encoder_blocks.empty();
  if (!out.encoder) out.channels = out.decoder_channels;
  const size_t levels = out.channels.size();
  if (out.decoder_channels.size() != levels ||
      (out.encoder && out.encoder_blocks.size() != levels) || out.decoder_blocks.size() != levels)
    in.fail("has lists of channels and of blocks that differ in their lengths");
  // Its layers have no place where a width could change.
  for (const std::vector<int>& channels : {out.channels, out.decoder_channels})
    if (!std::equal(channels.begin() + !channels.empty(), channels.end(), channels.begin()))
      in.fail("has levels of several widths, between which an AutoencoderTiny has no layer");
  out.in_channels = in.integer("in_channels", 3);
  out.out_channels = in.integer("out_channels", 3);
  out.latent_channels = out.code_channels = in.integer("latent_channels", 4);
  out.groups = 1;
  const std::string activation = in.string("act_fn", "relu");
  out.activation = activation == "relu"   ? Activation::leaky_relu
                   : activation == "gelu" ? Activation::gelu
                                          : Activation::silu;
  out.scaling_factor = in.number("scaling_factor", 1);
  return out;
}

Plan plan_tiny_encode(const VaeConfig& config, int batch, int height, int width) {
  Plan plan;
  TinyHalf encoder(config, "encoder", plan);
  Tensor x = plan.external(PortKind::image, {batch, height, width, config.in_channels});
  x = affine(encoder.record(), x, 0.5f, 0.5f);
  for (size_t level = 0; level < config.channels.size(); ++level) {
    const int channels = config.channels[level];
    x = level == 0 ? encoder.conv(x, {.out = channels, .kernel = 3})
                   : encoder.conv(x, {.out = channels, .kernel = 3, .stride = 2, .bias = false});
    x = encoder.blocks(x, config.encoder_blocks[level]);
  }
  x = encoder.conv(x, {.out = config.latent_channels, .kernel = 3});
  plan.make_external(x, PortKind::moments);
  plan.finish();
  return plan;
}

Plan plan_tiny_decode(const VaeConfig& config, int batch, int height, int width) {
  Plan plan;
  TinyHalf decoder(config, "decoder", plan);
  Tensor x = plan.external(PortKind::latent, {batch, height, width, config.latent_channels});
  // Latents are limited softly to 3.
  x = decoder.record().elementwise(x, 1.0f / 3, {}, 0, Activation::tanh);
  x = affine(decoder.record(), x, 3, 0);
  x = decoder.activation(decoder.conv(x, {.out = config.decoder_channels[0], .kernel = 3}));
  const size_t levels = config.decoder_channels.size();
  for (size_t level = 0; level < levels; ++level) {
    const int channels = config.decoder_channels[level];
    x = decoder.blocks(x, config.decoder_blocks[level]);
    if (level + 1 == levels) break;
    decoder.skip();  // the enlargement, which is part of the convolution here
    x = decoder.conv(x, {.out = channels,
                         .kernel = 3,
                         .bias = false,
                         .upsample_to = {1, 2 * x.shape.h, 2 * x.shape.w, channels}});
  }
  x = decoder.conv(x, {.out = config.out_channels, .kernel = 3});
  x = affine(decoder.record(), x, 2, -1);
  plan.make_external(x, PortKind::image);
  plan.finish();
  return plan;
}

}  // namespace deepcache
