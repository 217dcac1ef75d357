#include "ip_adapter.h"

#include <numeric>

namespace deepcache {

IpAdapter::IpAdapter(const IpAdapterConfig& config, std::shared_ptr<WeightSource> source,
                     std::shared_ptr<Backend> backend)
    : Model(std::move(source), std::move(backend)), config_(config) {
  load(plan_image_projection(config_, 1, 1));
  load(plan_image_keys(config_, 1, 1));
  finish_loading();
}

std::vector<float> IpAdapter::project(const float* image, int batch, int length,
                                      const CancelFlag* cancel) {
  const Plan plan = plan_image_projection(config_, batch, length);
  Buffers buffers = allocate(plan);
  buffers[PortKind::image]->upload(image,
                                   size_t(batch) * length * config_.image_width * sizeof(float));
  if (const auto learned = buffers.find(PortKind::position); learned != buffers.end()) {
    std::vector<int32_t> ids;
    for (int i = 0; i < batch * config_.tokens; ++i) ids.push_back(i % config_.tokens);
    learned->second->upload(ids.data(), ids.size() * sizeof(int32_t));
  }
  run_once(plan, bindings_of(buffers), cancel, nullptr);
  std::vector<float> out = values_of(*buffers.at(PortKind::embeds));
  if (!all_finite(out))
    fail_not_finite("the IP-Adapter's projection", {plan},
                    [&](const Tap& tap) { run_once(plan, bindings_of(buffers), cancel, &tap); });
  return out;
}

void IpAdapter::fill_keys(const float* tokens, int batch, int count,
                          const std::vector<float>& scales, const Buffers& buffers, int first,
                          const CancelFlag* cancel) {
  const Plan plan = plan_image_keys(config_, batch, count);
  const size_t values = size_t(batch) * count * config_.context_width;
  Bindings bindings;
  Buffers given;
  for (const External& external : plan.externals()) {
    const Port port = external.port;
    if (port.kind == PortKind::extra_context) {
      bindings[port] = {buffers.at({port.kind, first + port.index}).get()};
      continue;
    }
    const float scale = port.kind == PortKind::text ? 1 : scales[size_t(port.index)];
    std::vector<float> scaled(tokens, tokens + values);
    for (float& value : scaled) value *= scale;
    given[port] = backend().allocate(values * sizeof(float));
    given[port]->upload(scaled.data(), values * sizeof(float));
    bindings[port] = {given[port].get()};
  }
  run_once(plan, bindings, cancel, nullptr);
}

}  // namespace deepcache
