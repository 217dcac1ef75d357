#include "vae.h"

#include <optional>

#include "attention_block.h"
#include "bounds.h"
#include "recorder.h"
#include "vae_formats.h"
#include "vae_mask.h"
#include "vae_tiny.h"

namespace deepcache {
namespace {

constexpr float kEpsilon = 1e-6f;
constexpr float kTemporalEpsilon = 1e-5f;

std::string numbered(const std::string& name, size_t index) {
  return name + "." + std::to_string(index);
}

// One half of the autoencoder; `prefix` is "encoder" or "decoder".
class VaeHalf {
 public:
  // `frames`: of the one video that the batch is; 0 for images.
  VaeHalf(const VaeConfig& config, const std::string& prefix, Plan& plan, int frames = 0)
      : config_(config), prefix_(prefix), frames_(frames), record_(plan) {
    plan.narrow_norms();
  }

  Tensor conv(Tensor x, const std::string& name, const ConvOptions& options) {
    x = record_.conv(x, prefix_ + "." + name, options);
    record_.label(x, prefix_ + "." + name);
    return x;
  }

  Tensor resnet(const std::string& name, Tensor x, int channels) {
    if (!frames_) return image_resnet(name, x, channels);
    // diffusers: SpatioTemporalResBlock, the blend's inputs in the other order than in U-Nets.
    x = image_resnet(name + ".spatial_res_block", x, channels);
    x = temporal_resnet(record_, name + ".temporal_res_block", x,
                        {.frames = frames_,
                         .groups = config_.groups,
                         .epsilon = kTemporalEpsilon,
                         .share = first_share(record_, config_.mix_factors, name)});
    record_.label(x, name);
    return x;
  }

  Tensor image_resnet(const std::string& name, Tensor x, int channels) {
    Tensor h = norm(x, name + ".norm1");
    h = record_.conv(h, name + ".conv1", {.out = channels, .kernel = 3});
    h = norm(h, name + ".norm2");
    const Tensor residual =
        x.shape.c == channels ? x : record_.conv(x, name + ".conv_shortcut", {.out = channels});
    h = record_.conv(h, name + ".conv2", {.out = channels, .kernel = 3, .residual = residual});
    record_.label(h, name);
    return h;
  }

  Tensor mid(Tensor x) {
    const std::string block = prefix_ + ".mid_block";
    x = resnet(block + ".resnets.0", x, x.shape.c);
    // diffusers' decoder of videos has as many here as in its other blocks, and runs two at most.
    const bool second = !frames_ || config_.decoder_layers > 1;
    if (config_.mid_attention && second)
      x = attention_block(
          record_, block + ".attentions.0", x,
          {.groups = config_.groups, .epsilon = kEpsilon, .linear = config_.linear_projection});
    if (second) x = resnet(block + ".resnets.1", x, x.shape.c);
    record_.label(x, block);
    return x;
  }

  Tensor resnets(const std::string& block, Tensor x, int count, int channels) {
    for (int i = 0; i < count; ++i) x = resnet(numbered(block + ".resnets", i), x, channels);
    return x;
  }

  Tensor out(Tensor x, int channels) {
    x = record_.group_norm(x, prefix_ + ".conv_norm_out",
                           {.groups = config_.groups, .epsilon = kEpsilon, .silu = true});
    return conv(x, "conv_out", {.out = channels, .kernel = 3, .least = Bits::all});
  }

  Recorder& record() { return record_; }

 private:
  // A norm of a resnet and the activation behind it.
  Tensor norm(Tensor x, const std::string& name) {
    const bool silu = config_.activation == Activation::silu;
    x = record_.group_norm(x, name, {.groups = config_.groups, .epsilon = kEpsilon, .silu = silu});
    return silu ? x : record_.elementwise(x, 1, {}, 0, config_.activation);
  }

  const VaeConfig& config_;
  std::string prefix_;
  int frames_;
  Recorder record_;
};

// diffusers' own format.
VaeConfig parse_autoencoder_kl(const ConfigReader& in) {
  in.only("_class_name",
          {"AutoencoderKL", "AutoencoderKLTemporalDecoder", "AsymmetricAutoencoderKL"});
  in.only("act_fn", {"silu", "swish", "gelu"});
  VaeConfig out;
  out.masked = in.string("_class_name", "") == "AsymmetricAutoencoderKL";
  const auto own = [&](const char* asymmetric, const char* usual) {
    return out.masked ? asymmetric : usual;
  };
  out.fields.channels = own("down_block_out_channels", "block_out_channels");
  out.fields.layers = own("layers_per_down_block", "layers_per_block");
  out.channels = in.integers(out.fields.channels);
  out.decoder_channels = in.integers(own("up_block_out_channels", "block_out_channels"));
  out.layers = in.integer(out.fields.layers, 1);
  out.decoder_layers = in.integer(own("layers_per_up_block", "layers_per_block"), 1);
  const size_t levels = out.channels.size();
  if (out.decoder_channels.size() != levels)
    in.fail("has another number of levels in \"up_block_out_channels\"");
  const auto blocks = [&](const char* field, const std::string& expected) {
    if (!in.has(field)) return;
    const std::vector<std::string> types = in.strings(field);
    if (types.size() != levels)
      in.fail("has another number of levels in \"" + std::string(field) + "\"");
    for (const std::string& type : types)
      if (type != expected)
        throw Error(ErrorCode::kUnsupported,
                    "vae config: block type \"" + type + "\" is not supported");
  };
  blocks("down_block_types", "DownEncoderBlock2D");
  blocks("up_block_types", "UpDecoderBlock2D");
  out.video = in.string("_class_name", "") == "AutoencoderKLTemporalDecoder";
  out.in_channels = in.integer("in_channels", 3);
  out.out_channels = in.integer("out_channels", 3);
  out.latent_channels = in.integer("latent_channels", 4);
  out.groups = in.integer("norm_num_groups", 32);
  out.quant_conv = in.boolean("use_quant_conv", true);
  out.post_quant_conv = !out.video && in.boolean("use_post_quant_conv", true);
  if (in.string("act_fn", "silu") == "gelu") out.activation = Activation::gelu;
  out.mid_attention = in.boolean("mid_block_add_attention", true);
  out.scaling_factor = in.number("scaling_factor", 0.18215);
  out.code_channels = out.latent_channels;
  return out;
}

}  // namespace

VaeConfig VaeConfig::parse(const std::string& json) {
  const ConfigReader in(json, "vae config");
  const bool tiny = in.string("_class_name", "") == "AutoencoderTiny";
  VaeConfig out = in.has("target") ? parse_ldm_vae(in)
                  : tiny           ? parse_tiny_vae(in)
                                   : parse_autoencoder_kl(in);
  validate(out);
  return out;
}

Plan plan_vae_encode(const VaeConfig& config, int batch, int height, int width) {
  if (config.tiny) return plan_tiny_encode(config, batch, height, width);
  Plan plan;
  VaeHalf encoder(config, "encoder", plan);
  Tensor x = plan.external(PortKind::image, {batch, height, width, config.in_channels});
  x = encoder.conv(x, "conv_in", {.out = config.channels[0], .kernel = 3, .least = Bits::all});
  for (size_t level = 0; level < config.channels.size(); ++level) {
    const std::string block = numbered("encoder.down_blocks", level);
    const int channels = config.channels[level];
    x = encoder.resnets(block, x, config.layers, channels);
    if (level + 1 < config.channels.size())
      x = encoder.record().conv(
          x, block + ".downsamplers.0.conv",
          {.out = channels, .kernel = 3, .stride = 2, .pad = 1, .pad_end_only = true});
    plan.label(x, block);
  }
  x = encoder.out(encoder.mid(x), 2 * config.latent_channels);
  if (config.quant_conv)
    x = encoder.record().conv(x, "quant_conv",
                              {.out = 2 * config.latent_channels, .least = Bits::all});
  plan.make_external(x, PortKind::moments);
  plan.finish();
  return plan;
}

Plan plan_vae_decode(const VaeConfig& config, int batch, int height, int width,
                     const VaeDecodeOptions& options) {
  if (config.tiny) return plan_tiny_decode(config, batch, height, width);
  Plan plan;
  VaeHalf decoder(config, "decoder", plan, config.video ? batch : 0);
  Tensor x = plan.external(PortKind::latent, {batch, height, width, config.code_channels});
  if (config.codes > 0 && options.quantize)
    x = decoder.record().nearest_code(x, "quantize.embedding", config.codes);
  if (config.post_quant_conv) {
    x = decoder.record().conv(x, "post_quant_conv",
                              {.out = config.latent_channels, .least = Bits::all});
    plan.label(x, "post_quant_conv");
  }
  x = decoder.conv(x, "conv_in",
                   {.out = config.decoder_channels.back(), .kernel = 3, .least = Bits::all});
  x = decoder.mid(x);
  const size_t levels = config.decoder_channels.size();
  std::optional<MaskCondition> kept;
  if (options.keep)
    kept.emplace(decoder.record(), config, batch, height * config.scale(), width * config.scale());
  for (size_t i = 0; i < levels; ++i) {
    const std::string block = numbered("decoder.up_blocks", i);
    const int channels = config.decoder_channels[levels - 1 - i];
    if (kept) x = kept->blend(x);
    x = decoder.resnets(block, x, config.decoder_layers + 1, channels);
    if (i + 1 < levels)
      x = decoder.record().conv(x, block + ".upsamplers.0.conv",
                                {.out = channels,
                                 .kernel = 3,
                                 .upsample_to = {1, 2 * x.shape.h, 2 * x.shape.w, channels}});
    plan.label(x, block);
  }
  if (kept) x = kept->blend(x);
  x = decoder.out(x, config.out_channels);
  if (config.video) {
    const Shape shape = x.shape;
    x = decoder.conv(frames_as_rows(x, batch), "time_conv_out",
                     {.out = config.out_channels, .kernel = 3, .column = true});
    x.shape = shape;
  }
  plan.make_external(x, PortKind::image);
  plan.finish();
  return plan;
}

}  // namespace deepcache
