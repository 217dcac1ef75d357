#pragma once

// Models are recorded under diffusers' module paths. Checkpoints of other code bases name and
// number the same modules their own way; a naming says how.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../runtime/weights.h"

namespace deepcache {

// diffusers' name of a tensor -> the checkpoint's. Empty: they are the same.
using WeightNaming = std::function<std::string(const std::string& name)>;

// Ho et al.'s and Song et al.'s DDPM code, and the autoencoders of CompVis: down.0.block.1,
// mid.attn_1, up.<level>, which counts from the finest.
WeightNaming ddpm_naming(int levels, const std::string& prefix);

// CompVis' and OpenAI's UNetModel: input_blocks.<i>, middle_block, output_blocks.<i>, one index for
// every unit of the down path and every layer of the up path. `up_attends`: the coarsest first.
WeightNaming openai_unet_naming(int layers, const std::vector<bool>& up_attends,
                                const std::string& prefix);

std::string stored_name(const WeightNaming& naming, const std::string& name);

// The same tensors under diffusers' names.
std::shared_ptr<WeightSource> renamed(std::shared_ptr<WeightSource> source,
                                      const WeightNaming& naming);

}  // namespace deepcache
