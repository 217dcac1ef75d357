#pragma once

// Models without any checkpoint: the architectures of bench/models on synthetic weights.

#include <memory>
#include <string>

#include "../native/models/autoencoder.h"
#include "../native/models/text_encoder.h"
#include "../native/models/unet.h"

namespace deepcache::bench {

// The text of bench/models/<model>/<part>.json; empty when there is no such part. Throws
// Error(kInvalidArgument) when there is no such model.
std::string model_part(const std::string& model, const std::string& part);

// `json`: a config.json as diffusers and transformers write it.
std::unique_ptr<Unet> synthetic_unet(const std::string& json, std::shared_ptr<Backend> backend);
std::unique_ptr<Autoencoder> synthetic_vae(const std::string& json,
                                           std::shared_ptr<Backend> backend);
std::unique_ptr<TextEncoder> synthetic_text_encoder(const std::string& json,
                                                    std::shared_ptr<Backend> backend);
ClipTextConfig text_encoder_config(const std::string& json);

// Values of a synthetic tensor, e.g. "input.sample".
std::vector<float> synthetic_input(const std::string& name, std::vector<int64_t> shape);
// Token ids.
std::vector<int32_t> synthetic_ids(int count, int vocabulary);

// Everything that a U-Net call of one size takes.
class UnetInputs {
 public:
  UnetInputs(const UnetConfig& config, int batch, int height, int width, int tokens);
  const float* sample() const { return sample_.data(); }
  UnetConditions conditions() const;
  UnetForward at(float timestep) const;

 private:
  int batch_, height_, width_, tokens_;
  std::vector<float> sample_, context_, text_embeds_, time_ids_;
};

}  // namespace deepcache::bench
