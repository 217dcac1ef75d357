#include "inception.h"

#include <utility>

#include "folded_norms.h"

namespace deepcache {
namespace {

constexpr double kEpsilon = 0.001;  // of all batch norms

}  // namespace

Inception::Inception(std::shared_ptr<WeightSource> source, std::shared_ptr<Backend> backend)
    : Model(std::make_shared<FoldedNorms>(std::move(source), kEpsilon), std::move(backend)) {
  load(plan_inception(1));
  finish_loading();
}

std::vector<float> Inception::features(const float* pixels, int batch, const CancelFlag* cancel) {
  const Plan plan = plan_inception(batch);
  Buffers buffers = allocate(plan);
  upload_nchw(plan, buffers, PortKind::image, pixels);
  run_once(plan, bindings_of(buffers), cancel, nullptr);
  std::vector<float> out = values_of(*buffers.at(PortKind::out));
  if (!all_finite(out))
    fail_not_finite("the Inception network", {plan},
                    [&](const Tap& tap) { run_once(plan, bindings_of(buffers), cancel, &tap); });
  return out;
}

}  // namespace deepcache
