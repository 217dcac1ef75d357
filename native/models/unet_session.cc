#include "unet_session.h"

#include <algorithm>
#include <numeric>

#include "../runtime/error.h"
#include "controlnet.h"
#include "unet_blocks.h"
#include "unet_degraded.h"

namespace deepcache {
namespace {

// What the context plan reads, other than what it makes.
bool is_input(Port port) {
  return port.kind == PortKind::frames || port.kind == PortKind::ids ||
         port.kind == PortKind::text || port.kind == PortKind::level_text ||
         port.kind == PortKind::image_embeds;
}

// Ids of rows of a table.
bool is_whole(Port port, const UnetConfig& config) {
  return port.kind == PortKind::ids || port.kind == PortKind::pooled_index ||
         (port.kind == PortKind::class_labels && config.embeddings.classes == UnetClasses::table);
}

}  // namespace

UnetSession::UnetSession(Unet& unet, const UnetShape& shape, int steps, std::vector<int> features,
                         std::vector<ControlMember> networks, std::vector<GatedPass> gated)
    : unet_(unet),
      shape_(shape),
      steps_(steps),
      features_(std::move(features)),
      gated_(std::move(gated)),
      members_(std::move(networks)) {
  record_passes();
  // For all that a table may ask of the session, so that no run fails on its way.
  const Needs own = needs();
  size_t arena = own.arena, total = 0;
  const auto count = [&](const Needs& needs) {
    arena = std::max(arena, needs.arena);
    for (const auto& [port, size] : needs.buffers) total += size;
  };
  count(own);
  for (const ControlMember& member : members_) {
    networks_.emplace_back(new UnetSession(*this, member));
    count(networks_.back()->needs());
  }
  room_ = unet_.engine().make_room(arena, total, "a run of this size");
  allocate(own);
  for (size_t i = 0; i < networks_.size(); ++i) networks_[i]->join(*this, int(i), members_[i]);
  room_.memory->spend();
  loop_ = unet_.backend().make_loop();
  unet_.count_session();
}

void UnetSession::record_passes() {
  // Guidance may stop before the last step: the same passes over some of the outputs.
  const int fewest = shape_.interleaves_contexts() ? shape_.outputs : 1;
  std::vector<GatedPass> wanted = gated_;
  for (const Halves halves :
       {Halves::all, Halves::both, Halves::conditional, Halves::unconditional})
    wanted.push_back({halves, {}});
  for (size_t unkept = 0; unkept == 0 || unkept < features_.size(); ++unkept)
    for (const auto& [halves, attention] : wanted) {
      const OutputRange outputs = outputs_of(halves, shape_.outputs);
      const PassKey key = pass_of(outputs, unkept, attention);
      if (outputs.count >= fewest && !passes_.contains(key)) passes_[key].plan = record(key);
    }
}

UnetSession::PassKey UnetSession::pass_of(OutputRange outputs, size_t unkept,
                                          AttentionUses attention) const {
  return {outputs.count, unkept,
          !shape_.extras.perturbed.empty() && outputs.end() == shape_.outputs, attention,
          shape_.extras.degrades && outputs.first == 0 && !unet_.config().control};
}

UnetSession::Needs UnetSession::needs() const {
  Needs out;
  for (const auto& [key, pass] : passes_) {
    // Where one output is computed behind the others, none computes all.
    if (!shape_.extras.degrades || key.outputs < shape_.outputs)
      out.arena = std::max(out.arena, unet_.arena_bytes(pass.plan));
    for (const External& external : pass.plan.externals()) {
      size_t& size = out.buffers[external.port];
      const size_t slices = external.stepped ? size_t(steps_) : 1;
      size_t bytes = slices * unet_.external_bytes(pass.plan, external);
      // What some outputs leave lies at their place among all.
      if (external.port.kind == PortKind::kept_cross || external.port.kind == PortKind::kept_self)
        bytes *= size_t(shape_.batch / pass.plan.shape(external.tensor).n);
      size = std::max(size, bytes);
    }
  }
  const Plan context = plan_unet_context(unet_.config(), shape_);
  for (const External& external : context.externals())
    if (!is_input(external.port))
      out.buffers[external.port] = unet_.external_bytes(context, external);
  for (const auto& [port, place] : joined_) out.buffers.erase(port);
  if (shape_.extras.degrades && !unet_.config().control) {
    const Plan plan = plan_degraded(unet_.config(), shape_);
    const External& factors = plan.find_external(PortKind::degrading);
    out.buffers[factors.port] = size_t(steps_) * unet_.external_bytes(plan, factors);
  }
  return out;
}

void UnetSession::allocate(const Needs& needs) {
  for (const auto& [port, size] : needs.buffers) buffers_[port] = unet_.backend().allocate(size);
}

Plan UnetSession::record(const PassKey& key) const {
  UnetShape shape = shape_;
  shape.outputs = key.outputs;
  shape.batch = shape_.batch / shape_.outputs * key.outputs;
  if (shape.time_rows > 1) shape.time_rows = shape.batch;
  if (!key.perturbs) shape.extras.perturbed.clear();
  shape.extras.attention = key.attention;
  shape.extras.attention_mass = key.tells_mass;
  if (unet_.config().control) return plan_controlnet(unet_.config(), shape);
  return plan_unet(unet_.config(), shape,
                   {features_.begin() + ptrdiff_t(key.unkept), features_.end()});
}

bool UnetSession::fits(const UnetShape& shape, int steps, const std::vector<int>& features,
                       const std::vector<ControlMember>& networks,
                       const std::vector<GatedPass>& gated) const {
  return shape == shape_ && steps <= steps_ && networks == members_ && gated == gated_ &&
         std::includes(features_.begin(), features_.end(), features.begin(), features.end());
}

Bindings UnetSession::bindings(const Plan& plan, OutputRange outputs) const {
  Bindings out;
  for (const External& external : plan.externals()) {
    const auto found = buffers_.find(external.port);
    const auto joined = joined_.find(external.port);
    Place place;
    if (joined != joined_.end())
      place = joined->second;
    else if (found != buffers_.end())
      place = {found->second.get(), 0, found->second->bytes()};
    else
      continue;
    Binding binding{place.buffer, place.offset, 0};
    const size_t bytes = unet_.external_bytes(plan, external);
    const size_t slice = external.stepped ? place.bytes / steps_ : place.bytes;
    // What all samples share has no part for each output.
    if (slice != bytes) binding.offset += slice / size_t(shape_.outputs) * size_t(outputs.first);
    if (external.stepped) binding.step = slice;
    out[external.port] = binding;
  }
  return out;
}

void UnetSession::condition(const UnetConditions& conditions, const std::vector<float>& timesteps,
                            const std::vector<ControlNetUse>& networks, const CancelFlag* cancel,
                            const Tap* tap) {
  Backend& backend = unet_.backend();
  const auto upload = [&](const std::vector<float>& values, Port port) {
    std::unique_ptr<Buffer> buffer = backend.allocate(values.size() * sizeof(float));
    if (is_whole(port, unet_.config())) {
      const std::vector<int32_t> whole(values.begin(), values.end());
      buffer->upload(whole.data(), whole.size() * sizeof(int32_t));
    } else {
      buffer->upload(values.data(), values.size() * sizeof(float));
    }
    return buffer;
  };
  const Plan context = plan_unet_context(unet_.config(), shape_);
  Bindings inputs = bindings(context, {0, shape_.outputs});
  std::vector<std::unique_ptr<Buffer>> given;
  for (const External& external : context.externals()) {
    if (!is_input(external.port)) continue;
    given.push_back(upload(context_input(context, external, conditions), external.port));
    inputs[external.port] = {given.back().get()};
  }
  if (!context.ops().empty()) unet_.run_once(context, inputs, cancel, tap);
  int place = 0;
  for (const ImagePrompt& prompt : conditions.image_prompts) {
    prompt.adapter->fill_keys(prompt.tokens, shape_.batch / id_samples(), prompt.count,
                              prompt.scales, buffers_, place, cancel);
    place += 2 * int(prompt.scales.size());
  }

  if (shape_.extras.free_u) {
    std::vector<float> factors;
    for (int sample = 0; sample < shape_.batch; ++sample)
      factors.insert(factors.end(), conditions.free_u->begin(), conditions.free_u->end());
    buffers_.at(PortKind::free_u)->upload(factors.data(), factors.size() * sizeof(float));
  }

  const Plan time = plan_unet_time(unet_.config(), int(timesteps.size()), shape_.time_rows,
                                   conditions.time_ids_count, shape_.context_length);
  inputs = bindings(time, {0, shape_.outputs});
  inputs[PortKind::time] = {buffers_.at(PortKind::time).get()};
  for (const External& external : time.externals()) {
    if (external.port.kind == PortKind::time) continue;
    const size_t count = time.shape(external.tensor).count();
    given.push_back(upload(time_input(external.port, count, conditions, timesteps), external.port));
    inputs[external.port] = {given.back().get()};
  }
  unet_.run_once(time, inputs, cancel, tap);
  for (size_t i = 0; i < networks_.size(); ++i)
    condition_network(i, conditions, timesteps, networks[i], cancel);
}

// Of an input of the time plan: of all rows, or of the samples of one step.
std::vector<float> UnetSession::time_input(Port port, size_t count,
                                           const UnetConditions& conditions,
                                           const std::vector<float>& timesteps) const {
  if (port.kind == PortKind::timesteps) return timesteps;
  if (port.kind == PortKind::pooled_index) return std::vector<float>(count, 0.0f);
  if (port.kind == PortKind::control_kinds) {
    std::vector<float> seen(count, 0.0f);
    for (const int kind : conditions.control_kinds) seen[size_t(kind)] = 1;
    return seen;
  }
  const float* from = port.kind == PortKind::timestep_cond  ? conditions.timestep_cond
                      : port.kind == PortKind::text_embeds  ? conditions.text_embeds
                      : port.kind == PortKind::image_embeds ? conditions.image_embeds
                      : port.kind == PortKind::class_labels ? conditions.class_labels
                      : port.kind == PortKind::text         ? conditions.context
                                                            : conditions.time_ids;
  if (!from) return std::vector<float>(count, 0.0f);
  // A video's frames share what it is conditioned by.
  const int shared = port.kind == PortKind::time_ids ? id_samples() : 1;
  const size_t each = count / size_t(shape_.time_rows);
  std::vector<float> values;
  for (int row = 0; row < shape_.time_rows; ++row)
    values.insert(values.end(), from + size_t(row / shared) * each,
                  from + size_t(row / shared + 1) * each);
  return values;
}

std::vector<float> UnetSession::context_input(const Plan& context, const External& external,
                                              const UnetConditions& conditions) const {
  const float* text = conditions.context;
  const Shape& shape = context.shape(external.tensor);
  std::vector<float> values(shape.count());
  if (external.port == PortKind::image_embeds) {
    std::copy_n(conditions.image_embeds, values.size(), values.begin());
  } else if (external.port == PortKind::frames || external.port == PortKind::ids) {
    std::iota(values.begin(), values.end(), 0.0f);
  } else if (external.port == PortKind::text) {
    std::copy(text, text + values.size(), values.begin());
  } else {  // the videos' contexts in turn, over all pixels of all videos
    const size_t each = size_t(shape_.context_length) * shape.c;
    for (size_t i = 0; i * each < values.size(); ++i)
      std::copy_n(text + i % shape_.videos() * each, each, values.begin() + i * each);
  }
  return values;
}

Segments UnetSession::segments(const ProgramKey& key) {
  const OutputRange outputs = outputs_of(key.halves, shape_.outputs);
  Segments out;
  if (!key.degrades) {
    append_pass(out, key, outputs);
    return out;
  }
  const int last = outputs.end() - 1;
  append_pass(out, key, {outputs.first, last - outputs.first});
  append_degrading(out);
  append_pass(out, key, {last, 1});
  return out;
}

void UnetSession::append_pass(Segments& out, const ProgramKey& key, OutputRange outputs) {
  const bool full = key.kind == ProgramKey::Kind::full;
  const auto first = std::lower_bound(features_.begin(), features_.end(), key.branch);
  const size_t unkept = full ? 0 : size_t(first - features_.begin());
  const auto found = passes_.find(pass_of(outputs, unkept, key.attention));
  if (found == passes_.end() || (!full && !feature(key.branch)))
    throw Error(
        ErrorCode::kInvalidArgument,
        "the run has no program for " +
            (full ? "a full step" : "a retrieve step of branch " + std::to_string(key.branch)) +
            (outputs.count == shape_.outputs
                 ? ""
                 : " of " + std::to_string(outputs.count) + " outputs"));
  for (size_t i = 0; i < networks_.size(); ++i)
    if (key.networks >> i & 1) append_network(out, i, key, outputs);
  const std::unique_ptr<Program>& own = program(found->first, outputs);
  const Plan& plan = found->second.plan;
  for (const OpRange& ops : full ? full_segments(plan) : retrieve_segments(plan, key.branch))
    out.push_back({own.get(), ops});
}

std::unique_ptr<Program>& UnetSession::program(const PassKey& key, OutputRange outputs) {
  Pass& pass = passes_.at(key);
  std::unique_ptr<Program>& program = pass.programs[outputs.first];
  if (!program) {
    program = unet_.compile(pass.plan, arena(), bindings(pass.plan, outputs));
    unet_.count_program();
  }
  return program;
}

void UnetSession::set_forecasts(const std::vector<float>& gammas) {
  if (!shape_.extras.forecasts) return;
  buffers_.at(PortKind::feature_gamma)->upload(gammas.data(), gammas.size() * sizeof(float));
  for (const int branch : features_) {
    Buffer& kept = *buffers_.at({PortKind::kept_feature, branch});
    const std::vector<char> zeros(kept.bytes());
    kept.upload(zeros.data(), zeros.size());
  }
}

Buffer* UnetSession::feature(int branch) {
  const auto found = buffers_.find({PortKind::feature, branch});
  return found == buffers_.end() ? nullptr : found->second.get();
}

size_t UnetSession::slice_bytes(Port stepped) const {
  return buffers_.at(stepped)->bytes() / size_t(steps_);
}

size_t UnetSession::buffer_bytes() const {
  size_t bytes = 0;
  for (const auto& [port, buffer] : buffers_) bytes += buffer->bytes();
  for (const auto& network : networks_) bytes += network->buffer_bytes();
  return bytes;
}

}  // namespace deepcache
