#include "unet_control.h"

#include <algorithm>
#include <cmath>

#include "controlnet.h"
#include "transfer.h"
#include "unet_session.h"

namespace deepcache {
namespace {

// diffusers: torch.logspace(-1, 0, count).
float guess_factor(int skip, int count) { return std::pow(10.0f, -1 + float(skip) / (count - 1)); }

// The first `count` of a buffer's samples over and over, up to `samples`.
void repeat_samples(Buffer& buffer, int count, int samples) {
  const size_t part = buffer.bytes() / size_t(samples) * size_t(count);
  for (size_t at = part; at < buffer.bytes(); at += part) buffer.copy(buffer, part, at, 0);
}

void skip_samples(UnetConditions& conditions, const UnetConfig& config, size_t samples) {
  const auto skip = [&](const float*& values, int width) {
    if (values) values += samples * size_t(width);
  };
  skip(conditions.context, conditions.context_length * config.text_width());
  skip(conditions.text_embeds, config.text_time()
                                   ? pooled_text_width(config, conditions.time_ids_count)
                                   : config.text_width());
  skip(conditions.time_ids, conditions.time_ids_count);
  skip(conditions.timestep_cond, config.time_cond_width);
  skip(conditions.image_embeds, config.image_width());
  skip(conditions.class_labels, config.embeddings.class_width);
}

}  // namespace

std::vector<ControlMember> members_of(const UnetControl& control, int outputs) {
  std::vector<ControlMember> out;
  for (const ControlNetUse& use : control.networks)
    out.push_back({use.network, use.guess && outputs > 1});
  return out;
}

UnetSession::UnetSession(UnetSession& host, const ControlMember& member)
    : unet_(*member.network), shape_(host.shape_), steps_(host.steps_) {
  shape_.extras = {.degrades = host.shape_.extras.degrades};
  if (member.conditional_only) {
    shape_.outputs--;
    shape_.batch = host.shape_.batch / host.shape_.outputs * shape_.outputs;
    if (shape_.time_rows > 1) shape_.time_rows = shape_.batch;
  }
  record_passes();
  for (const External& external : passes_.at({shape_.outputs, 0}).plan.externals())
    if (external.port.kind == PortKind::sample || external.port.kind == PortKind::residual)
      joined_[external.port] = {};
}

void UnetSession::join(UnetSession& host, int place, const ControlMember& member) {
  room_ = host.room_;
  allocate(needs());
  for (auto& [port, joined] : joined_) {
    Port there = port;
    if (port.kind == PortKind::residual)
      there.index = residual_port(unet_.config(), place, port.index);
    Buffer& buffer = *host.buffers_.at(there);
    // The unconditional output comes first.
    const size_t each = buffer.bytes() / size_t(host.shape_.outputs);
    const size_t offset = member.conditional_only ? each : 0;
    joined = {&buffer, offset, buffer.bytes() - offset};
  }
}

bool UnetSession::uses(const Model& network) const {
  return std::ranges::any_of(
      members_, [&](const ControlMember& member) { return member.network == &network; });
}

void UnetSession::condition_network(size_t place, UnetConditions conditions,
                                    const std::vector<float>& timesteps, const ControlNetUse& use,
                                    const CancelFlag* cancel) {
  UnetSession& network = *networks_[place];
  std::vector<float> times = timesteps;
  conditions.image_prompts.clear();  // of the U-Net alone, as in diffusers
  conditions.control_kinds = use.kinds;
  if (members_[place].conditional_only) {
    const size_t skipped = size_t(shape_.batch / shape_.outputs);  // of all samples
    skip_samples(conditions, unet_.config(), skipped);
    if (shape_.time_rows > 1) {
      times.clear();
      const size_t all = size_t(shape_.batch);
      for (size_t step = 0; step < timesteps.size(); step += all)
        times.insert(times.end(), timesteps.begin() + ptrdiff_t(step + skipped),
                     timesteps.begin() + ptrdiff_t(step + all));
    }
  }
  network.condition(conditions, times, {}, cancel, nullptr);
}

void UnetSession::append_network(Segments& out, size_t place, const ProgramKey& key,
                                 OutputRange outputs) {
  UnetSession& network = *networks_[place];
  if (members_[place].conditional_only) {
    const int first = std::max(outputs.first, 1);
    outputs = {first - 1, outputs.end() - first};
    if (outputs.count < 1) return;
  }
  const PassKey pass{outputs.count, 0};
  Program* const program = network.program(pass, outputs).get();
  const Plan& plan = network.passes_.at(pass).plan;
  const OpRanges ranges = key.kind == ProgramKey::Kind::full
                              ? OpRanges{plan.all()}
                              : control_segments(plan, unet_.config(), key.branch);
  for (const OpRange& ops : ranges) out.push_back({program, ops});
}

void UnetSession::see(const ControlNetUse& use, const CancelFlag* cancel) {
  const int images = use.images;
  const Plan plan = plan_control_hint(unet_.config(), images, shape_.height, shape_.width,
                                      int(use.pictures.size()));
  Buffer& hint = *buffers_.at(PortKind::hint);
  Bindings bindings{{PortKind::hint, {&hint}}};
  Buffers given;
  for (const External& input : plan.externals()) {
    if (input.port.kind == PortKind::hint) continue;
    auto& buffer = given[input.port] = unet_.backend().allocate(unet_.external_bytes(plan, input));
    const size_t place = size_t(input.port.index);
    if (input.port.kind == PortKind::image) {
      upload_nchw(plan, given, input.port, use.pictures[place]);
    } else {
      const std::vector<int32_t> ids(size_t(images), use.kinds[place]);
      buffer->upload(ids.data(), ids.size() * sizeof(int32_t));
    }
    bindings[input.port] = {buffer.get()};
  }
  unet_.run_once(plan, bindings, cancel, nullptr);
  repeat_samples(hint, images, shape_.batch);
}

void UnetSession::set_control(const UnetControl& control, const CancelFlag* cancel) {
  if (!control.given()) return;
  const UnetConfig& config = unet_.config();
  const int skips = config.branches() + 1, count = scales_of(config, shape_.extras);
  for (size_t i = 0; i < control.networks.size(); ++i)
    networks_[i]->see(control.networks[i], cancel);
  for (size_t level = 0; level < control.block_features.size(); ++level) {
    Buffer& buffer = *buffers_.at({PortKind::block_feature, int(level)});
    const Shape shape = block_feature_shape(config, shape_, int(level));
    write_nchw(buffer, control.block_features[level], size_t(control.feature_images),
               size_t(shape.c), size_t(shape.h) * size_t(shape.w));
    repeat_samples(buffer, control.feature_images, shape_.batch);
  }

  const size_t rows =
      control.networks.empty() ? control.feature_scales.size() : control.networks[0].scales.size();
  std::vector<float> values;
  values.reserve(rows * size_t(shape_.batch) * size_t(count));
  for (size_t row = 0; row < rows; ++row)
    for (int sample = 0; sample < shape_.batch; ++sample) {
      for (size_t i = 0; i < control.networks.size(); ++i) {
        const ControlNetUse& use = control.networks[i];
        // What the network does not see keeps whatever its residuals hold.
        const bool blind = members_[i].conditional_only && sample < shape_.batch / shape_.outputs;
        // Outputs without places have no depth that could count, as in diffusers.
        const bool grows = use.guess && !use.network->config().control->global_pool;
        for (int skip = 0; skip < skips; ++skip)
          values.push_back(blind ? 0 : use.scales[row] * (grows ? guess_factor(skip, skips) : 1));
      }
      if (!control.block_features.empty()) values.push_back(control.feature_scales[row]);
    }
  buffers_.at(PortKind::residual_scale)->upload(values.data(), values.size() * sizeof(float));
}

}  // namespace deepcache
