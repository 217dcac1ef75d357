#pragma once

// Configuration formats of autoencoders besides diffusers' own.

#include "config.h"
#include "vae.h"

namespace deepcache {

// The first stage of CompVis' LatentDiffusion, a VQModelInterface. Decodes only.
VaeConfig parse_ldm_vae(const ConfigReader& in);

}  // namespace deepcache
