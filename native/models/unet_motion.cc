#include "unet_motion.h"

#include "bounds.h"
#include "unet_config.h"
#include "unet_layout.h"
#include "video_layers.h"

namespace deepcache {

UnetMotion parse_unet_motion(const ConfigReader& in, size_t levels) {
  for (const char* field :
       {"reverse_motion_num_attention_heads", "reverse_temporal_transformer_layers_per_block",
        "addition_embed_type", "time_cond_proj_dim", "conv_in_channels"})
    in.never(field);
  UnetMotion out;
  out.heads = in.per_level("motion_num_attention_heads", levels, 8);
  out.depth = in.per_level("temporal_transformer_layers_per_block", levels, 1);
  out.mid_depth = in.integer("temporal_transformer_layers_per_mid_block", 1);
  out.mid = in.boolean("use_motion_mid_block", true);
  out.max_frames = in.integer("motion_max_seq_length", 32);
  return out;
}

void validate(const UnetMotion& motion, const UnetConfig& config) {
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidConfig, config.fields.config + " has " + what);
  };
  if (motion.max_frames < 1 || motion.max_frames > bounds::kFrames)
    fail("\"motion_max_seq_length\": " + std::to_string(motion.max_frames) +
         "; it must be between 1 and " + std::to_string(bounds::kFrames));
  const auto check_depth = [&](int depth) {
    if (depth < 1 || depth > bounds::kDepth)
      fail("motion modules of " + std::to_string(depth) + " blocks; there must be 1 to " +
           std::to_string(bounds::kDepth));
  };
  check_depth(motion.mid_depth);
  for (size_t level = 0; level < config.channels.size(); ++level) {
    check_depth(motion.depth[level]);
    const int heads = motion.heads[level], channels = config.channels[level];
    if (heads < 1 || channels % heads)
      fail(std::to_string(channels) + " channels for " + std::to_string(heads) +
           " attention heads (\"motion_num_attention_heads\")");
  }
}

Tensor motion_positions(Recorder& record, const std::string& name, Tensor numbers, int channels,
                        int max_frames) {
  Embedding op;
  op.ids = numbers;
  op.table = record.plan().weight({Recipe::table, {name + ".pos_embed.pe"}, max_frames, channels});
  op.y = record.plan().temporary({1, 1, numbers.shape.w, channels});
  record.plan().add(op);
  return op.y;
}

namespace {

// The attentions of a block, both of which see the frames of a video.
Tensor attend(Recorder& record, const std::string& block, Tensor h, int frames, int heads,
              Tensor positions) {
  const int channels = h.shape.c, width = channels / heads, pixels = h.shape.h * h.shape.w;
  const Sequence along{frames, pixels, frames * pixels, 1};
  const Sequences sequences{h.shape.n / frames, pixels, along, along};
  for (const char* layer : {"1", "2"}) {
    const std::string self = block + ".attn" + layer;
    Elementwise add;
    add.x = record.layer_norm(h, block + ".norm" + layer);
    add.x2 = positions;
    add.y = record.plan().temporary(h.shape);
    add.repeat = pixels;
    record.plan().add(add);
    Tensor y = record.linears(add.y, {self + ".to_q", self + ".to_k", self + ".to_v"},
                              {channels, channels, channels}, false);
    y = record.attention(y, 0, y, channels, y, 2 * channels, heads, width, sequences);
    h = record.conv(y, self + ".to_out.0", {.out = channels, .residual = h, .linear = true});
  }
  return h;
}

// The same in windows of the frames, one after the other.
Tensor attend_in_windows(Recorder& record, const std::string& block, Tensor h,
                         const FrameWindows& windows, int heads, Tensor positions) {
  Window take, merge;
  take.windows = merge.windows = windows;
  take.x = h;
  merge.merge = true;
  merge.y = record.plan().temporary(h.shape);
  Shape part = h.shape;
  part.n = h.shape.n / windows.frames * windows.length;
  for (int i = 0; i < windows.count(); ++i) {
    take.index = merge.index = i;
    take.y = record.plan().temporary(part);
    record.plan().add(take);
    merge.x = attend(record, block, take.y, windows.length, heads, positions);
    record.plan().add(merge);
  }
  return merge.y;
}

}  // namespace

Tensor motion_module(Recorder& record, const UnetMotionModule& module, Tensor x, int frames,
                     const FrameWindows& windows, int groups,
                     const std::vector<Tensor>& positions) {
  const std::string& name = module.name;
  const int channels = x.shape.c;
  Tensor h = record.group_norm(frames_as_rows(x, frames), name + ".norm",
                               {.groups = groups, .epsilon = 1e-6f});
  h.shape = x.shape;
  h = record.conv(h, name + ".proj_in", {.out = channels, .linear = true});
  for (int i = 0; i < module.depth; ++i) {
    const std::string block = numbered(name + ".transformer_blocks", i);
    const Tensor at = positions[size_t(i)];
    h = windows ? attend_in_windows(record, block, h, windows, module.heads, at)
                : attend(record, block, h, frames, module.heads, at);
    Tensor y = record.layer_norm(h, block + ".norm3");
    y = record.conv(y, block + ".ff.net.0.proj",
                    {.out = 4 * channels, .activation = Activation::geglu, .linear = true});
    h = record.conv(y, block + ".ff.net.2", {.out = channels, .residual = h, .linear = true});
  }
  h = record.conv(h, name + ".proj_out", {.out = channels, .residual = x, .linear = true});
  record.label(h, name);
  return h;
}

}  // namespace deepcache
