#include "image_prompt.h"

#include "../runtime/error.h"
#include "unet_blocks.h"

namespace deepcache {

std::vector<int> image_tokens(const std::vector<ImagePrompt>& prompts) {
  std::vector<int> tokens;
  for (const ImagePrompt& prompt : prompts) tokens.push_back(prompt.count);
  return tokens;
}

void require_fit(const IpAdapterConfig& adapter, const UnetConfig& unet) {
  std::vector<int> channels;
  bool is_usual = true;
  for (const UnetLayout::Context& context : UnetLayout(unet).contexts) {
    channels.push_back(context.channels);
    is_usual &= context.kind == UnetLayout::Context::Kind::cross;
  }
  if (unet.video || !is_usual)
    throw Error(ErrorCode::kInvalidArgument,
                "this U-Net takes no IP-Adapters: more of it than its cross attention reads the "
                "text");
  if (adapter.channels != channels || adapter.context_width != unet.context_width)
    throw Error(ErrorCode::kInvalidArgument, "the IP-Adapter is for another U-Net");
}

// diffusers: IPAdapterAttnProcessor. What the queries find in each picture, on top of what they
// found in the text.
Tensor UnetBlocks::image_prompts(int context, Tensor text, Tensor q, int heads) {
  const int channels = q.shape.c, pixels = q.shape.h * q.shape.w;
  const int shared = shape_.samples_of_condition(config_), batch = shape_.batch / shared;
  const int contexts = int(layout_.contexts.size());
  for (size_t i = 0; i < shape_.extras.image_tokens.size(); ++i) {
    const int length = shape_.extras.image_tokens[i];
    const int place = 2 * (int(i) * contexts + context);
    const auto values = [&](int index) {
      return plan().external({PortKind::extra_context, index}, {batch, 1, length, channels},
                             Type::activation);
    };
    for (int product = 0; product < 2; ++product)  // to_k_ip, to_v_ip
      record_.count_linear(double(shape_.batch) * length, config_.context_width, channels, false);
    const Sequences sequences{
        batch, shared, {pixels, 1, shared * pixels, pixels}, {length, 1, length, 0}};
    const Tensor found = record_.attention(q, 0, values(place), 0, values(place + 1), 0, heads,
                                           channels / heads, sequences);
    text = record_.elementwise(text, 1, found, 1, Activation::none);
  }
  return text;
}

}  // namespace deepcache
