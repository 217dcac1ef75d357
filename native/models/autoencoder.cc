#include "autoencoder.h"

#include <algorithm>
#include <string_view>

#include "../runtime/error.h"
#include "weight_plans.h"

namespace deepcache {

Autoencoder::Autoencoder(const VaeConfig& config, std::shared_ptr<WeightSource> source,
                         std::shared_ptr<Backend> backend)
    : Model(renamed(std::move(source), config.naming), std::move(backend)), config_(config) {
  if (config_.video) config_.mix_factors = read_mix_factors(weights().source());
  for (const Plan& plan : weight_plans(config_)) load(plan);
  finish_loading();
}

std::vector<float> Autoencoder::encode(const float* image, int batch, int height, int width,
                                       Shape* shape, const CancelFlag* cancel, const Tap* tap) {
  if (!config_.encoder)
    throw Error(ErrorCode::kUnsupported, "this autoencoder has no encoder: it can only decode");
  if (std::min(height, width) < config_.scale())
    throw Error(ErrorCode::kInvalidArgument,
                "an image of " + std::to_string(width) + "x" + std::to_string(height) +
                    " is too small for this autoencoder; it takes at least " +
                    std::to_string(config_.scale()) + " pixels each way");
  return run(plan_vae_encode(config_, batch, height, width), PortKind::image, image,
             PortKind::moments, shape, cancel, tap);
}

std::vector<float> Autoencoder::decode(const float* latent, int batch, int height, int width,
                                       bool quantize, Shape* shape, const CancelFlag* cancel,
                                       const Tap* tap) {
  return run(plan_vae_decode(config_, batch, height, width, {.quantize = quantize}),
             PortKind::latent, latent, PortKind::image, shape, cancel, tap);
}

std::vector<float> Autoencoder::decode_masked(const float* latent, const KeptPicture& kept,
                                              int batch, int height, int width, Shape* shape,
                                              const CancelFlag* cancel, const Tap* tap) {
  if (!config_.masked)
    throw Error(ErrorCode::kUnsupported, "this autoencoder's decoder takes no picture and mask");
  const Plan plan = plan_vae_decode(config_, batch, height, width, {.keep = true});
  Buffers buffers = allocate(plan);
  const int h = height * config_.scale(), w = width * config_.scale();
  const size_t area = size_t(h) * w, planes = size_t(config_.out_channels);
  std::vector<float> image(batch * planes * area);
  for (size_t i = 0; i < image.size(); ++i) {
    const size_t sample = i / (planes * area);
    image[i] = kept.image[i] * (1 - kept.mask[sample * area + i % area]);
  }
  upload_nchw(plan, buffers, PortKind::kept_image, image.data());
  for (const External& external : plan.externals()) {
    if (external.port.kind != PortKind::mask) continue;
    const Shape to = plan.shape(external.tensor);
    std::vector<float> mask(to.count());
    // As torch's nearest.
    size_t i = 0;
    for (int n = 0; n < to.n; ++n)
      for (int y = 0; y < to.h; ++y)
        for (int x = 0; x < to.w; ++x)
          mask[i++] = kept.mask[(size_t(n) * h + size_t(y) * h / to.h) * w + size_t(x) * w / to.w];
    buffers[external.port]->upload(mask.data(), mask.size() * sizeof(float));
  }
  return run(plan, buffers, PortKind::latent, latent, PortKind::image, shape, cancel, tap);
}

size_t Autoencoder::decode_bytes(int batch, int height, int width) const {
  return arena_bytes(plan_vae_decode(config_, batch, height, width));
}

std::vector<float> Autoencoder::run(const Plan& plan, Port input, const float* data, Port output,
                                    Shape* shape, const CancelFlag* cancel, const Tap* tap) {
  return run(plan, allocate(plan), input, data, output, shape, cancel, tap);
}

std::vector<float> Autoencoder::run(const Plan& plan, const Buffers& buffers, Port input,
                                    const float* data, Port output, Shape* shape,
                                    const CancelFlag* cancel, const Tap* tap) {
  upload_nchw(plan, buffers, input, data);
  peak_arena_ = std::max(peak_arena_.load(), run_once(plan, bindings_of(buffers), cancel, tap));
  std::vector<float> out = download_nchw(plan, buffers, output, shape);
  if (!all_finite(out))
    fail_not_finite(
        std::string("the autoencoder's ") + (input == PortKind::image ? "encoder" : "decoder"),
        {plan}, [&](const Tap& again) { run_once(plan, bindings_of(buffers), cancel, &again); });
  return out;
}

}  // namespace deepcache
