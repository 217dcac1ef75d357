#include "unet_config.h"

#include <algorithm>

#include "bounds.h"
#include "unet_formats.h"

namespace deepcache {
namespace {

// Tokens that an image becomes (diffusers: num_image_text_embeds).
constexpr int kImageTokensBeforeText = 10, kImageTokens = 32;

}  // namespace

int UnetConfig::text_width() const {
  if (context_width == 0) return 0;
  if (embeddings.contexts == UnetContexts::text) return context_width;
  return embeddings.reads_text() ? embeddings.encoder_width : 0;
}

int UnetConfig::image_width() const {
  const bool own =
      embeddings.contexts == UnetContexts::image_proj || embeddings.addition == UnetAddition::image;
  return !embeddings.reads_image() ? 0 : own ? embeddings.encoder_width : context_width;
}

int UnetConfig::context_tokens(int text_tokens) const {
  if (embeddings.contexts == UnetContexts::image_proj) return kImageTokens;
  const bool both = embeddings.contexts == UnetContexts::text_image_proj;
  return text_tokens + (both ? kImageTokensBeforeText : 0);
}

int UnetConfig::branches() const {
  int count = levels();
  for (const UnetBlock& block : down) count += block.layers;
  return count;
}

bool UnetConfig::drops_odd_edge() const {
  const auto by_resnet = [](const UnetBlock& block) { return block.resnet_resampler; };
  return pad_end_only || !resample_with_conv || std::ranges::any_of(down, by_resnet) ||
         std::ranges::any_of(up, by_resnet);
}

UnetConfig UnetConfig::parse(const std::string& json) {
  const ConfigReader in(json, "unet config");
  const bool unconditional = in.string("_class_name", "") == "UNet2DModel";
  const UnetConfig out = in.has("target")    ? parse_ldm_unet(in)
                         : in.has("ch_mult") ? parse_ddpm_unet(in)
                         : unconditional     ? parse_unet_2d(in)
                                             : parse_unet_2d_condition(in);
  validate(out);
  return out;
}

void UnetConfig::check_size(int height, int width) const {
  const int multiple = 1 << (levels() - 1);
  if (drops_odd_edge() && (height % multiple || width % multiple))
    throw Error(ErrorCode::kInvalidArgument,
                "a size of " + std::to_string(width) + "x" + std::to_string(height) +
                    " does not fit this U-Net; both must be multiples of " +
                    std::to_string(multiple));
}

}  // namespace deepcache
