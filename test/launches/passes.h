#pragma once

// Every pass of the published models in the sizes and batches that people use, and in odd ones.

#include <string>
#include <vector>

#include "dry_gpu.h"

namespace deepcache::launches {

// The folders of bench/models that are passed.
std::vector<std::string> published_models();

// All parts of a model (its U-Net with the sampler's loop, text and image encoders, autoencoder),
// for so many images. `all_sizes`: odd ones too, not only the one that it was trained on. With a
// backend of fp8 its U-Net, which alone has products of that type.
void check_model(DryGpu& gpu, std::shared_ptr<DryBackend> backend, const std::string& model,
                 const std::vector<int>& batches, bool all_sizes);

}  // namespace deepcache::launches
