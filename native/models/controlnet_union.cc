// ControlNets that take pictures of several kinds at once (diffusers' ControlNetUnionModel).
//
// A small transformer looks at a vector of each picture: the mean of its hint, and what was learned
// for its kind. What comes out is added to every pixel of the hint. In the reference its sequences
// lie along the batch: pictures of one kind of all samples see each other, those of other kinds and
// the latents, whose vector it appends, are never looked at. So all of it is a function of the
// pictures, and computed once for a run; that guidance repeats the samples changes nothing.

#include "controlnet.h"
#include "recorder.h"
#include "unet_layout.h"

namespace deepcache {
namespace {

// All pixels of each sample count alike: attention with a scale of 0, whatever the query is.
Tensor mean_of_pixels(Recorder& record, Tensor x, Tensor query, int heads) {
  Attention op;
  op.y = record.plan().temporary(query.shape);
  op.q = query;
  op.k = op.v = x;
  op.heads = heads;
  op.head_width = x.shape.c / heads;
  op.scale = 0;
  const int pixels = x.shape.h * x.shape.w;
  op.outer = x.shape.n;
  op.query = {1, 1, 1, 0};
  op.key = {pixels, 1, pixels, 0};
  record.plan().add(op);
  return op.y;
}

// torch.nn.MultiheadAttention's projections, which are one.
Tensor project(Recorder& record, Tensor x, const std::string& name) {
  const int channels = x.shape.c;
  WeightSpec spec;
  spec.recipe = Recipe::matrix;
  spec.names = {name + ".in_proj_weight"};
  spec.in = channels;
  spec.out = 3 * channels;
  spec.linear = true;
  Conv op;
  op.x = x;
  op.y = record.plan().temporary({x.shape.n, 1, 1, spec.out});
  op.weight = record.plan().weight(spec);
  op.bias = record.vector({name + ".in_proj_bias"}, {spec.out});
  record.plan().add(op);
  record.count_linear(x.shape.n, channels, spec.out, true);
  return op.y;
}

// diffusers: ResidualAttentionBlock, over the batch.
Tensor block(Recorder& record, Tensor x, const std::string& name, int heads) {
  const int channels = x.shape.c;
  Tensor h = record.layer_norm(x, name + ".ln_1");
  const Tensor qkv = project(record, h, name + ".attn");
  const Sequence batch{x.shape.n, 1, x.shape.n, 0};
  h = record.attention(qkv, 0, qkv, channels, qkv, 2 * channels, heads, channels / heads,
                       {1, 1, batch, batch});
  x = record.conv(h, name + ".attn.out_proj", {.out = channels, .residual = x, .linear = true});
  h = record.layer_norm(x, name + ".ln_2");
  h = record.conv(h, name + ".mlp.c_fc",
                  {.out = 4 * channels, .activation = Activation::quick_gelu, .linear = true});
  return record.conv(h, name + ".mlp.c_proj", {.out = channels, .residual = x, .linear = true});
}

}  // namespace

Tensor hint_of_kind(const UnetConfig& config, Recorder& record, Tensor hint, Tensor kind) {
  const ControlKinds& kinds = *config.control->kinds;
  Plan& plan = record.plan();
  const int channels = config.channels[0];
  Embedding learned;
  learned.ids = kind;
  learned.table = plan.weight({Recipe::table, {"task_embedding"}, kinds.count, channels});
  learned.y = plan.temporary({hint.shape.n, 1, 1, channels});
  plan.add(learned);
  const Tensor mean = mean_of_pixels(record, hint, learned.y, kinds.heads);
  Tensor x = record.elementwise(mean, 1, learned.y, 1, Activation::none);
  for (int i = 0; i < kinds.layers; ++i)
    x = block(record, x, numbered("transformer_layes", i), kinds.heads);  // their spelling
  x = record.conv(x, "spatial_ch_projs", {.out = channels, .linear = true});
  return record.elementwise({.x = hint, .x2 = x, .repeat = hint.shape.h * hint.shape.w});
}

}  // namespace deepcache
