#pragma once

// Configuration formats of autoencoders besides diffusers' own.

#include "config.h"
#include "vae.h"

namespace deepcache {

// The first stage of CompVis' LatentDiffusion, a VQModelInterface. Decodes only.
VaeConfig parse_ldm_vae(const ConfigReader& in);

// Throws Error(kInvalidConfig) when the groups of the norms do not divide a level's channels.
void check_groups(const ConfigReader& in, const VaeConfig& config);

}  // namespace deepcache
