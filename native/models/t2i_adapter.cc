#include "t2i_adapter.h"

#include "weight_plans.h"

namespace deepcache {

T2iAdapter::T2iAdapter(const T2iAdapterConfig& config, std::shared_ptr<WeightSource> source,
                       std::shared_ptr<Backend> backend)
    : Model(std::move(source), std::move(backend)), config_(config) {
  for (const Plan& plan : weight_plans(config_)) load(plan);
  finish_loading();
}

std::vector<std::vector<float>> T2iAdapter::encode(const float* image, int batch, int height,
                                                   int width, const CancelFlag* cancel) {
  const Plan plan = plan_t2i_adapter(config_, batch, height, width);
  Buffers buffers = allocate(plan);
  upload_nchw(plan, buffers, PortKind::image, image);
  run_once(plan, bindings_of(buffers), cancel, nullptr);
  std::vector<std::vector<float>> out;
  for (int i = 0; i < config_.features(); ++i) {
    Shape shape;
    out.push_back(download_nchw(plan, buffers, {PortKind::block_feature, i}, &shape));
    if (!all_finite(out.back()))
      fail_not_finite("the T2I-Adapter", {plan},
                      [&](const Tap& tap) { run_once(plan, bindings_of(buffers), cancel, &tap); });
  }
  return out;
}

}  // namespace deepcache
