#include "image_encoder.h"

#include <numeric>

#include "layout.h"

namespace deepcache {

ImageEncoder::ImageEncoder(const ClipVisionConfig& config, std::shared_ptr<WeightSource> source,
                           std::shared_ptr<Backend> backend)
    : Model(std::move(source), std::move(backend)), config_(config) {
  load(plan_clip_vision(config_, 1));
  finish_loading();
}

ImageEncoding ImageEncoder::encode(const float* pixels, int batch, const CancelFlag* cancel) {
  const Plan plan = plan_clip_vision(config_, batch);
  Buffers buffers = allocate(plan);
  const size_t area = size_t(config_.image_size) * config_.image_size;
  std::vector<float> rows(size_t(batch) * config_.channels * area);
  nchw_to_nhwc(pixels, rows.data(), size_t(batch), size_t(config_.channels), area);
  std::vector<int32_t> zeros(size_t(batch), 0), positions(size_t(config_.tokens()));
  std::iota(positions.begin(), positions.end(), 0);
  buffers[PortKind::image]->upload(rows.data(), rows.size() * sizeof(float));
  buffers[PortKind::class_token]->upload(zeros.data(), zeros.size() * sizeof(int32_t));
  buffers[PortKind::position]->upload(positions.data(), positions.size() * sizeof(int32_t));
  run_once(plan, bindings_of(buffers), cancel, nullptr);

  const auto read = [&](Port port) { return values_of(*buffers.at(port)); };
  ImageEncoding out{read(PortKind::hidden), read(PortKind::last), read(PortKind::embeds)};
  if (!all_finite(out.last) || !all_finite(out.embeds))
    fail_not_finite("the image encoder", {plan},
                    [&](const Tap& tap) { run_once(plan, bindings_of(buffers), cancel, &tap); });
  return out;
}

}  // namespace deepcache
