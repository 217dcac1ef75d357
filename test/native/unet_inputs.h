#pragma once

// Everything that a U-Net of any configuration is conditioned by, for samples of a batch.

#include <string>
#include <vector>

#include "config_corpus.h"
#include "models/unet.h"
#include "runtime/synth.h"

namespace deepcache::test {

// U-Nets whose conditions or layers are not those of Stable Diffusion.
inline std::vector<ConfigCase> unet_variants() {
  std::vector<ConfigCase> out;
  for (const ConfigCase& config : config_corpus())
    for (const char* name : {"unet_simple", "unet_image", "unet_lists"})
      if (config.name == std::string(name)) out.push_back(config);
  return out;
}

struct UnetInputs {
  static constexpr int kSide = 8, kTokens = 3;

  UnetInputs(const UnetConfig& config, int batch)
      : config(config),
        sample(values("sample", batch, config.in_channels * kSide * kSide)),
        context(values("context", batch, kTokens * config.text_width())),
        text_embeds(values("text_embeds", batch, config.text_width())),
        image_embeds(values("image_embeds", batch, config.image_width())),
        timestep_cond(values("timestep_cond", batch, config.time_cond_width)),
        class_labels(values("class_labels", batch, config.embeddings.class_width)) {
    const UnetClasses classes = config.embeddings.classes;
    if (classes == UnetClasses::table || classes == UnetClasses::timestep)
      for (int i = 0; i < batch; ++i) class_labels[size_t(i)] = float(2 * i + 1);
  }

  // Of `count` samples from the `first` on.
  UnetForward request(int first, int count) const {
    UnetForward out;
    out.batch = count;
    out.height = out.width = kSide;
    out.timesteps = {601};
    const auto from = [&](const std::vector<float>& array, int width) {
      return width ? array.data() + first * width : nullptr;
    };
    out.sample = from(sample, config.in_channels * kSide * kSide);
    UnetConditions& conditions = out.conditions;
    conditions.context = from(context, kTokens * config.text_width());
    conditions.context_length = kTokens;
    conditions.text_embeds = from(text_embeds, config.text_width());
    conditions.image_embeds = from(image_embeds, config.image_width());
    conditions.timestep_cond = from(timestep_cond, config.time_cond_width);
    conditions.class_labels = from(class_labels, config.embeddings.class_width);
    return out;
  }

  UnetConfig config;
  std::vector<float> sample, context, text_embeds, image_embeds, timestep_cond, class_labels;

 private:
  static std::vector<float> values(const std::string& name, int batch, int width) {
    if (width == 0) return {};
    const SyntheticTensor tensor{"input." + name, {batch, width}};
    std::vector<float> out(tensor.count());
    synthetic_values(tensor, 0, out.size(), out.data());
    return out;
  }
};

}  // namespace deepcache::test
