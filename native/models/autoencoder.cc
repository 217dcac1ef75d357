#include "autoencoder.h"

#include <algorithm>
#include <string_view>

#include "../runtime/error.h"
#include "layout.h"
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
  return run(plan_vae_decode(config_, batch, height, width, quantize), PortKind::latent, latent,
             PortKind::image, shape, cancel, tap);
}

size_t Autoencoder::decode_bytes(int batch, int height, int width) const {
  return arena_bytes(plan_vae_decode(config_, batch, height, width));
}

std::vector<float> Autoencoder::run(const Plan& plan, Port input, const float* data, Port output,
                                    Shape* shape, const CancelFlag* cancel, const Tap* tap) {
  Buffers buffers = allocate(plan);
  const Shape in = plan.shape(plan.find_external(input).tensor);
  std::vector<float> rows(in.count());
  nchw_to_nhwc(data, rows.data(), in.n, in.c, size_t(in.h) * in.w);
  buffers[input]->upload(rows.data(), rows.size() * sizeof(float));
  peak_arena_ = std::max(peak_arena_.load(), run_once(plan, bindings_of(buffers), cancel, tap));

  *shape = plan.shape(plan.find_external(output).tensor);
  rows.resize(shape->count());
  buffers[output]->download(rows.data(), rows.size() * sizeof(float));
  std::vector<float> out(rows.size());
  nhwc_to_nchw(rows.data(), out.data(), shape->n, shape->c, size_t(shape->h) * shape->w);
  if (!all_finite(out))
    fail_not_finite(
        std::string("the autoencoder's ") + (input == PortKind::image ? "encoder" : "decoder"),
        {plan}, [&](const Tap& again) { run_once(plan, bindings_of(buffers), cancel, &again); });
  return out;
}

}  // namespace deepcache
