#pragma once

// diffusers' AutoencoderTiny (TAESD): plain convolutions between [0, 1] and latents, without a
// posterior. A hundredth of an AutoencoderKL's work.

#include "config.h"
#include "vae.h"

namespace deepcache {

VaeConfig parse_tiny_vae(const ConfigReader& in);

// As plan_vae_encode and plan_vae_decode; what is encoded are the latents themselves.
Plan plan_tiny_encode(const VaeConfig& config, int batch, int height, int width);
Plan plan_tiny_decode(const VaeConfig& config, int batch, int height, int width);

}  // namespace deepcache
