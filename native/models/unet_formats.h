#pragma once

// Configuration formats of U-Nets.

#include <map>

#include "config.h"
#include "unet_config.h"

namespace deepcache {

// diffusers' UNet2DConditionModel (Stable Diffusion) and UNetSpatioTemporalConditionModel.
UnetConfig parse_unet_2d_condition(const ConfigReader& in);

// diffusers' UNet2DModel (google/ddpm-*).
UnetConfig parse_unet_2d(const ConfigReader& in);

// The DDPM code's configurations, model and data sections in one object: ch, ch_mult,
// num_res_blocks, attn_resolutions, image_size ...
UnetConfig parse_ddpm_unet(const ConfigReader& in);

// The model section of CompVis' configurations (target LatentDiffusion with a UNetModel).
UnetConfig parse_ldm_unet(const ConfigReader& in);

// "sample_size", one number or [height, width].
void set_sample_size(const ConfigReader& in, UnetConfig& out, int fallback);

// How many levels `config.channels`, read from `field`, has.
size_t checked_levels(const ConfigReader& in, const UnetConfig& config, const char* field);

// What the class names of the blocks in `field` stand for, level by level.
template <typename Kind>
std::vector<Kind> block_kinds(const ConfigReader& in, const char* field, size_t levels,
                              const std::map<std::string, Kind>& known) {
  const std::vector<std::string> types = in.strings(field);
  if (types.size() != levels)
    in.fail("has " + std::to_string(types.size()) + " entries in \"" + field + "\" for " +
            std::to_string(levels) + " levels");
  std::vector<Kind> out;
  for (const std::string& type : types) {
    const auto found = known.find(type);
    if (found == known.end())
      throw Error(ErrorCode::kUnsupported,
                  "unet config: block type \"" + type + "\" in \"" + field + "\" is not supported");
    out.push_back(found->second);
  }
  return out;
}

}  // namespace deepcache
