#pragma once

// Models without any checkpoint: real architectures on synthetic weights.

#include <memory>
#include <string>

#include "../native/models/autoencoder.h"
#include "../native/models/unet.h"

namespace deepcache::bench {

// Published configurations of Stable Diffusion 1.5.
extern const char* const kSd15Unet;
extern const char* const kSd15Vae;

// `json`: a diffusers config.json.
std::unique_ptr<Unet> synthetic_unet(const std::string& json, std::shared_ptr<Backend> backend);
std::unique_ptr<Autoencoder> synthetic_vae(const std::string& json,
                                           std::shared_ptr<Backend> backend);

// Values of a synthetic tensor, e.g. "input.sample".
std::vector<float> synthetic_input(const std::string& name, std::vector<int64_t> shape);

}  // namespace deepcache::bench
