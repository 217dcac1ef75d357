#pragma once

// Configuration formats of U-Nets.

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

}  // namespace deepcache
