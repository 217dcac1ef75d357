#include "upscaler.h"

#include "../runtime/error.h"
#include "weight_plans.h"

namespace deepcache {

Upscaler::Upscaler(const SuperResolutionConfig& config, std::shared_ptr<WeightSource> source,
                   std::shared_ptr<Backend> backend)
    : Model(std::move(source), std::move(backend)), config_(config) {
  for (const Plan& plan : weight_plans(config_)) load(plan);
  finish_loading();
}

std::vector<float> Upscaler::run(const float* image, int batch, int height, int width, Shape* shape,
                                 const CancelFlag* cancel) {
  if (height % config_.unshuffle || width % config_.unshuffle)
    throw Error(ErrorCode::kInvalidArgument,
                "this upscaler takes pictures whose sides are "
                "multiples of " +
                    std::to_string(config_.unshuffle));
  const Plan plan = plan_super_resolution(config_, batch, height, width);
  Buffers buffers = allocate(plan);
  upload_nchw(plan, buffers, PortKind::image, image);
  run_once(plan, bindings_of(buffers), cancel, nullptr);
  std::vector<float> out = download_nchw(plan, buffers, PortKind::out, shape);
  if (!all_finite(out))
    fail_not_finite("the upscaler", {plan},
                    [&](const Tap& tap) { run_once(plan, bindings_of(buffers), cancel, &tap); });
  return out;
}

}  // namespace deepcache
