#include "ip_adapter_plan.h"

#include "../runtime/checked.h"
#include "bounds.h"
#include "config.h"
#include "recorder.h"

namespace deepcache {
namespace {

// tencent-ailab's PerceiverAttention with its residual: the latents look at the picture's tokens
// and at themselves.
Tensor perceive(const IpAdapterConfig& config, const std::string& name, Tensor image,
                Tensor latents, Recorder& record) {
  const int inner = config.heads * config.head_width;
  image = record.layer_norm(image, name + ".norm1");
  const Tensor own = record.layer_norm(latents, name + ".norm2");
  const Tensor q = record.conv(own, name + ".to_q", {.out = inner, .bias = false, .linear = true});
  const Tensor kv = record.conv(record.token_concat(image, own), name + ".to_kv",
                                {.out = 2 * inner, .bias = false, .linear = true});
  const Tensor h = record.attention(q, 0, kv, 0, kv, inner, config.heads, config.head_width);
  return record.conv(h, name + ".to_out",
                     {.out = config.width, .bias = false, .residual = latents, .linear = true});
}

// tencent-ailab's Resampler.
Tensor resample(const IpAdapterConfig& config, Tensor image, Recorder& record) {
  Plan& plan = record.plan();
  const int batch = image.shape.n;
  Embedding learned;
  learned.ids = plan.external(PortKind::position, {batch, 1, config.tokens, 1}, Type::i32);
  learned.table = plan.weight({Recipe::table, {"latents"}, config.tokens, config.width});
  learned.y = plan.temporary({batch, 1, config.tokens, config.width});
  plan.add(learned);
  Tensor latents = learned.y;
  image = record.conv(image, "proj_in", {.out = config.width, .linear = true});
  for (int layer = 0; layer < config.layers; ++layer) {
    const std::string name = "layers." + std::to_string(layer);
    latents = perceive(config, name + ".0", image, latents, record);
    Tensor h = record.layer_norm(latents, name + ".1.0");
    h = record.conv(
        h, name + ".1.1",
        {.out = config.mlp_width, .bias = false, .activation = Activation::gelu, .linear = true});
    latents =
        record.conv(h, name + ".1.3",
                    {.out = config.width, .bias = false, .residual = latents, .linear = true});
  }
  latents = record.conv(latents, "proj_out", {.out = config.context_width, .linear = true});
  return record.layer_norm(latents, "norm_out");
}

}  // namespace

IpAdapterConfig IpAdapterConfig::parse(const std::string& json) {
  const ConfigReader in(json, "IP-Adapter");
  in.only("projection", {"linear", "resampler"});
  IpAdapterConfig out;
  if (in.string("projection", "linear") == "resampler") out.projection = ImageProjection::resampler;
  out.image_width = in.integer("image_width");
  out.tokens = in.integer("tokens");
  out.context_width = in.integer("cross_attention_dim");
  out.channels = in.integers("attention_channels");
  if (out.projection == ImageProjection::resampler) {
    out.width = in.integer("width");
    out.layers = in.integer("layers");
    out.heads = in.integer("heads");
    out.head_width = in.integer("head_width");
    out.mlp_width = in.integer("mlp_width");
  }
  validate(out);
  return out;
}

Plan plan_image_projection(const IpAdapterConfig& config, int batch, int length) {
  Plan plan;
  Recorder record(plan);
  const Tensor image = plan.external(PortKind::image, {batch, 1, length, config.image_width});
  Tensor tokens;
  if (config.projection == ImageProjection::linear) {
    const int row = (Extent(config.tokens) * config.context_width).value("an image's tokens");
    tokens = record.conv(image, "proj", {.out = row, .linear = true});
    tokens.shape = {batch, 1, config.tokens, config.context_width};
    tokens = record.layer_norm(tokens, "norm");
  } else {
    tokens = resample(config, image, record);
  }
  plan.make_external(tokens, PortKind::embeds);
  plan.finish();
  return plan;
}

Plan plan_image_keys(const IpAdapterConfig& config, int batch, int tokens) {
  Plan plan;
  Recorder record(plan);
  // A copy in the type of activations, as products read it.
  const auto input = [&](Port port) {
    const Tensor given = plan.external(port, {batch, 1, tokens, config.context_width});
    return record.elementwise(given, 1, {}, 0, Activation::none);
  };
  const Tensor plain = input(PortKind::text);
  for (int i = 0; i < int(config.channels.size()); ++i) {
    const std::string name = "layers." + std::to_string(i);
    const ConvOptions options{.out = config.channels[size_t(i)], .bias = false, .linear = true};
    const Tensor scaled = input({PortKind::scaled_text, i});
    plan.make_external(record.conv(plain, name + ".to_k_ip", options),
                       {PortKind::extra_context, 2 * i}, Type::activation);
    plan.make_external(record.conv(scaled, name + ".to_v_ip", options),
                       {PortKind::extra_context, 2 * i + 1}, Type::activation);
  }
  plan.finish();
  return plan;
}

}  // namespace deepcache
