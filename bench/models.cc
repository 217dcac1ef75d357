#include "models.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "../native/models/weight_plans.h"
#include "../native/runtime/error.h"
#include "../native/runtime/synth.h"

namespace deepcache::bench {
namespace {

constexpr int kTimeIds = 6;  // SDXL's: original size, crop, target size

}  // namespace

std::string model_part(const std::string& model, const std::string& part) {
  // Of the checkout that it runs in, should that not be the one that it was built in.
  std::filesystem::path folder = "bench/models";
  if (!std::filesystem::exists(folder)) folder = DEEPCACHE_SOURCE "/bench/models";
  if (!std::filesystem::exists(folder / model))
    throw Error(ErrorCode::kInvalidArgument,
                "there is no model " + model + " in " + folder.string());
  std::ifstream in(folder / model / (part + ".json"));
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::unique_ptr<Unet> synthetic_unet(const std::string& json, std::shared_ptr<Backend> backend) {
  const UnetConfig config = UnetConfig::parse(json);
  return std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)),
                                std::move(backend));
}

std::unique_ptr<Autoencoder> synthetic_vae(const std::string& json,
                                           std::shared_ptr<Backend> backend) {
  const VaeConfig config = VaeConfig::parse(json);
  return std::make_unique<Autoencoder>(config, synthetic_weights(weight_plans(config)),
                                       std::move(backend));
}

ClipTextConfig text_encoder_config(const std::string& json) {
  return ClipTextConfig::parse(json, json.find("projection_dim") != std::string::npos);
}

std::unique_ptr<TextEncoder> synthetic_text_encoder(const std::string& json,
                                                    std::shared_ptr<Backend> backend) {
  const ClipTextConfig config = text_encoder_config(json);
  return std::make_unique<TextEncoder>(config, synthetic_weights(weight_plans(config)),
                                       std::move(backend));
}

std::vector<float> synthetic_input(const std::string& name, std::vector<int64_t> shape) {
  const SyntheticTensor tensor{name, std::move(shape)};
  std::vector<float> out(tensor.count());
  synthetic_values(tensor, 0, out.size(), out.data());
  return out;
}

std::vector<int32_t> synthetic_ids(int count, int vocabulary) {
  std::vector<int32_t> out(count);
  for (int i = 0; i < count; i++) out[i] = i * 37 % vocabulary;
  return out;
}

UnetInputs::UnetInputs(const UnetConfig& config, int batch, int height, int width, int tokens)
    : batch_(batch),
      height_(height),
      width_(width),
      tokens_(tokens),
      sample_(synthetic_input("input.sample", {batch, config.in_channels, height, width})),
      context_(
          synthetic_input("input.encoder_hidden_states", {batch, tokens, config.text_width()})) {
  if (!config.text_time()) return;
  for (int i = 0; i < batch; ++i)
    for (const float id : {1024.f, 1024.f, 0.f, 0.f, 1024.f, 1024.f}) time_ids_.push_back(id);
  text_embeds_ = synthetic_input("input.text_embeds", {batch, pooled_text_width(config, kTimeIds)});
}

UnetConditions UnetInputs::conditions() const {
  UnetConditions out;
  out.context = context_.data();
  out.context_length = tokens_;
  if (time_ids_.empty()) return out;
  out.text_embeds = text_embeds_.data();
  out.time_ids = time_ids_.data();
  out.time_ids_count = kTimeIds;
  return out;
}

UnetForward UnetInputs::at(float timestep) const {
  UnetForward request;
  request.batch = batch_;
  request.height = height_;
  request.width = width_;
  request.sample = sample_.data();
  request.conditions = conditions();
  request.timesteps = {timestep};
  return request;
}

}  // namespace deepcache::bench
