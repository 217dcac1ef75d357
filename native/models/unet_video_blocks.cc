// The layers of UNetBlocks along the frames of a video (diffusers: SpatioTemporalResBlock,
// TransformerSpatioTemporalModel, TemporalBasicTransformerBlock, AnimateDiffTransformer3D).

#include "../runtime/checked.h"
#include "unet_blocks.h"

namespace deepcache {

// diffusers: SpatioTemporalResBlock.
Tensor UnetBlocks::temporal_resnet_behind(const UnetUnit& unit, Tensor x) {
  const UnetResnet& resnet = *unit.temporal_resnet;
  const std::string& name = resnet.name;
  const int channels = resnet.channels;
  record_.count_linear(shape_.batch, config_.time_width(), channels, true);
  x = temporal_resnet(record_, name, x,
                      {.frames = shape_.frames,
                       .groups = config_.groups,
                       .epsilon = resnet.epsilon,
                       .share = 1 - first_share(record_, config_.mix_factors, unit.name),
                       .row = time_,
                       .row_offset = resnet.time});
  record_.label(x, unit.name);
  return x;
}

Tensor UnetBlocks::motion_behind(const UnetMotionModule& module, Tensor x) {
  std::vector<Tensor> positions;
  for (int i = 0; i < module.depth; ++i)
    positions.push_back(plan().external({PortKind::position, module.position + i},
                                        {1, 1, shape_.seen_frames(), x.shape.c}, Type::activation));
  return motion_module(record_, module, x, shape_.frames, shape_.windows, config_.groups,
                       positions);
}

// A vector for each frame, from a plan of its own; every forward pass counts it.
Tensor UnetBlocks::frame_positions(int position) {
  const int channels = layout_.positions[position].channels;
  record_.count_linear(shape_.batch, channels, 4 * channels, true);
  record_.count_linear(shape_.batch, 4 * channels, channels, true);
  return plan().external({PortKind::position, position}, {1, 1, shape_.frames, channels},
                         Type::activation);
}

// Each pixel's frames as a sequence. Returns the blend with x.
Tensor UnetBlocks::temporal_block(const UnetTransformerBlock& block, Tensor x, Tensor positions,
                                  int heads, float share) {
  const std::string& name = block.name;
  const int channels = x.shape.c, width = channels / heads;
  const int frames = shape_.frames, videos = shape_.batch / frames;
  const int pixels = x.shape.h * x.shape.w;
  const Sequence along{frames, pixels, frames * pixels, 1};
  const auto feed_forward = [&](Tensor h, const std::string& ff, Tensor residual, float scale) {
    h = record_.conv(h, ff + ".net.0.proj",
                     {.out = 4 * channels, .activation = Activation::geglu, .linear = true});
    return record_.conv(h, ff + ".net.2",
                        {.out = channels, .residual = residual, .linear = true, .scale = scale});
  };

  Elementwise add;  // of each frame's position
  add.x = x;
  add.x2 = positions;
  add.y = plan().temporary(x.shape);
  add.repeat = pixels;
  plan().add(add);
  Tensor h = feed_forward(record_.layer_norm(add.y, name + ".norm_in"), name + ".ff_in", add.y, 1);

  const std::string self = name + ".attn1", cross = name + ".attn2";
  Tensor y = record_.linears(record_.layer_norm(h, name + ".norm1"),
                             {self + ".to_q", self + ".to_k", self + ".to_v"},
                             {channels, channels, channels}, false);
  y = record_.attention(y, 0, y, channels, y, 2 * channels, heads, width,
                        {videos, pixels, along, along});
  h = record_.conv(y, self + ".to_out.0", {.out = channels, .residual = h, .linear = true});

  const int length = shape_.context_length;
  const bool interleaved = shape_.interleaves_contexts();
  const int contexts =
      interleaved ? (Extent(pixels) * length).value("the contexts of a video's pixels") : length;
  const Sequence keys{length, 1, contexts, interleaved ? length : 0};
  const Tensor q = record_.conv(record_.layer_norm(h, name + ".norm2"), cross + ".to_q",
                                {.out = channels, .bias = false, .linear = true});
  const Tensor kv = plan().external({PortKind::context, block.context},
                                    {videos, 1, contexts, 2 * channels}, Type::activation);
  const double tokens = double(videos) * pixels * length;
  record_.count_linear(tokens, config_.context_width, channels, false);  // to_k
  record_.count_linear(tokens, config_.context_width, channels, false);  // to_v
  y = record_.attention(q, 0, kv, 0, kv, channels, heads, width, {videos, pixels, along, keys});
  h = record_.conv(y, cross + ".to_out.0", {.out = channels, .residual = h, .linear = true});

  // share * x + (1 - share) * (h + feed forward of h)
  const Tensor rest = record_.elementwise(x, share, h, 1 - share, Activation::none);
  return feed_forward(record_.layer_norm(h, name + ".norm3"), name + ".ff", rest, 1 - share);
}

}  // namespace deepcache
