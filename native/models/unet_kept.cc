// Outputs of attention that calls leave to later ones (T-GATE, Zhang et al. 2024: behind some step
// what cross attention adds hardly changes any more).

#include <algorithm>

#include "../runtime/error.h"
#include "unet_blocks.h"

namespace deepcache {

void check_attention_uses(const UnetConfig& config, const UnetShape& shape) {
  if (!shape.extras.attention) return;
  const std::vector<UnetLayout::Context> contexts = UnetLayout(config).contexts;
  const auto is_usual = [](const UnetLayout::Context& context) {
    return context.kind == UnetLayout::Context::Kind::cross;
  };
  if (contexts.empty() || !std::ranges::all_of(contexts, is_usual) || config.takes_videos() ||
      config.control || shape.frames > 1)
    throw Error(ErrorCode::kUnsupported,
                "outputs of attention are kept (T-GATE) in U-Nets of pictures whose transformer "
                "blocks are all that reads the text");
}

Tensor UnetBlocks::add_attention(Tensor x, AttentionUse use, Port kept, const std::string& to_out,
                                 const std::function<Tensor()>& attend) {
  const auto plus = [&](Tensor made) {
    return record_.elementwise(x, 1, made, 1, Activation::none);
  };
  if (use == AttentionUse::kept) return plus(plan().external(kept, x.shape, Type::activation));
  if (use == AttentionUse::compute)
    return record_.conv(attend(), to_out, {.out = x.shape.c, .residual = x, .linear = true});
  const Tensor made = record_.conv(attend(), to_out, {.out = x.shape.c, .linear = true});
  const bool is_mean = use == AttentionUse::mean && shape_.outputs > 1;
  const Tensor left = is_mean ? record_.mean_of_parts(made, shape_.outputs) : made;
  plan().make_external(left, kept, Type::activation);
  return plus(made);
}

}  // namespace deepcache
