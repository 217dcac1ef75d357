#include "unet.h"

#include <algorithm>

#include "../runtime/error.h"
#include "controlnet.h"
#include "transfer.h"
#include "unet_session.h"
#include "unet_slot.h"
#include "weight_plans.h"

namespace deepcache {

bool samples_differ(const UnetConfig& config, const UnetConditions& conditions, int videos) {
  const UnetEmbeddings& embeddings = config.embeddings;
  if (embeddings.addition != UnetAddition::none) return true;
  if (embeddings.classes != UnetClasses::none) {
    const int width = embeddings.class_width;
    const float* labels = conditions.class_labels;
    for (int i = width; i < videos * width; ++i)
      if (labels[i] != labels[i - width]) return true;
  }
  if (const int width = config.time_cond_width; width && conditions.timestep_cond) {
    const float* cond = conditions.timestep_cond;
    for (int i = width; i < videos * width; ++i)
      if (cond[i] != cond[i - width]) return true;
  }
  if (!config.video) return false;
  const int count = conditions.time_ids_count;
  const float* ids = conditions.time_ids;
  for (int i = count; i < videos * count; ++i)
    if (ids[i] != ids[i - count]) return true;
  return false;
}

Unet::Unet(const UnetConfig& config, std::shared_ptr<WeightSource> source,
           std::shared_ptr<Engine> engine)
    : Model(renamed(std::move(source), config.naming), engine->backend()),
      config_(config),
      engine_(std::move(engine)) {
  if (config_.video) config_.mix_factors = read_mix_factors(weights().source());
  for (const Plan& plan : weight_plans(config_)) load(plan);
  finish_loading();
  engine_->add(*this);
}

Unet::Unet(const UnetConfig& config, std::shared_ptr<WeightSource> source,
           std::shared_ptr<Backend> backend)
    : Unet(config, std::move(source), std::make_shared<Engine>(std::move(backend))) {}

Unet::~Unet() { engine_->remove(*this); }

std::vector<int> Unet::checked_branches(std::vector<int> branches) const {
  for (const int branch : branches)
    if (branch < 0 || branch >= config_.branches())
      throw Error(ErrorCode::kInvalidArgument,
                  "branch " + std::to_string(branch) +
                      " does not exist; this U-Net has branches 0 to " +
                      std::to_string(config_.branches() - 1));
  std::sort(branches.begin(), branches.end());
  branches.erase(std::unique(branches.begin(), branches.end()), branches.end());
  return branches;
}

std::shared_ptr<UnetSession> Unet::session(const UnetShape& shape, int steps,
                                           const std::vector<int>& features,
                                           const std::vector<ControlMember>& networks,
                                           const std::vector<GatedPass>& gated) {
  require_intact();
  for (const ControlMember& member : networks) member.network->require_intact();
  auto session = engine_->find<UnetSession>(*this, [&](const UnetSession& session) {
    return session.fits(shape, steps, features, networks, gated);
  });
  if (session) return session;
  return engine_->keep(
      *this, std::make_shared<UnetSession>(*this, shape, steps, features, networks, gated));
}

UnetShape Unet::shape_of(const UnetForward& request, std::vector<float>& timesteps) const {
  const int batch = request.batch;
  const bool per_sample = request.timesteps.size() > 1 ||
                          samples_differ(config_, request.conditions, batch / request.frames);
  const int rows = per_sample ? batch : 1;
  timesteps = request.timesteps;
  timesteps.resize(size_t(rows), request.timesteps[0]);
  const UnetControl& control = request.control;
  return {batch,
          request.height,
          request.width,
          request.conditions.context_length,
          rows,
          request.frames,
          request.old_contexts,
          1,
          {int(control.networks.size()), int(control.block_features.size()),
           image_tokens(request.conditions.image_prompts), request.conditions.free_u.has_value(),
           request.conditions.perturbed},
          request.windows};
}

std::vector<float> Unet::forward(const UnetForward& request, const CancelFlag* cancel,
                                 const Tap* tap) {
  const int batch = request.batch;
  std::vector<float> timesteps;
  const UnetShape shape = shape_of(request, timesteps);
  const std::vector<ControlMember> networks = members_of(request.control, 1);
  const std::vector<int> features =
      checked_branches(request.retrieve ? std::vector<int>{*request.retrieve} : request.features);
  const Engine::Turn turn(*engine_, cancel);
  ProgramKey key;
  std::shared_ptr<UnetSession> run;
  if (request.retrieve) {
    key = {ProgramKey::Kind::retrieve, *request.retrieve};
    run = engine_->find<UnetSession>(*this, [&](const UnetSession& session) {
      return session.has_features && session.fits(shape, 1, features, networks);
    });
    if (!run)
      throw Error(ErrorCode::kInvalidArgument,
                  "a retrieve step needs a full pass of the same shape before it that keeps the "
                  "feature of branch " +
                      std::to_string(*request.retrieve));
  } else {
    run = session(shape, 1, features, networks);
    key.networks = (1u << networks.size()) - 1;
  }
  engine_->relieve([&] {
    run->condition(request.conditions, timesteps, request.control.networks, cancel, tap);
    run->set_control(request.control, cancel);
  });
  const size_t pixels = size_t(request.height) * size_t(request.width);
  write_nchw(run->sample(), request.sample, size_t(batch), size_t(config_.in_channels), pixels);
  if (!request.retrieve) run->has_features = false;
  run_segments(run->segments(key), 0, cancel, tap);
  backend().synchronize();
  if (!request.retrieve) run->has_features = true;
  return read_nchw(run->out(), size_t(batch), size_t(config_.out_channels), pixels);
}

std::vector<std::vector<float>> Unet::residuals(const UnetForward& request,
                                                const ControlNetUse& use,
                                                const CancelFlag* cancel) {
  std::vector<float> timesteps;
  const UnetShape shape = shape_of(request, timesteps);
  const Engine::Turn turn(*engine_, cancel);
  const std::shared_ptr<UnetSession> run = session(shape, 1, {});
  engine_->relieve([&] {
    UnetConditions conditions = request.conditions;
    conditions.control_kinds = use.kinds;
    run->condition(conditions, timesteps, {}, cancel, nullptr);
    run->see(use, cancel);
  });
  write_nchw(run->sample(), request.sample, size_t(shape.batch), size_t(config_.in_channels),
             size_t(shape.height) * size_t(shape.width));
  run_segments(run->segments({}), 0, cancel, nullptr);
  backend().synchronize();
  const Plan plan = plan_controlnet(config_, shape);
  std::vector<std::vector<float>> out;
  for (int skip = 0; skip <= config_.branches(); ++skip) {
    const Port port{PortKind::residual, skip};
    const Shape& size = plan.shape(plan.find_external(port).tensor);
    out.push_back(read_nchw(*run->buffers().at(port), size_t(size.n), size_t(size.c),
                            size_t(size.h) * size_t(size.w), backend().activation_type()));
  }
  return out;
}

std::vector<float> Unet::feature(int branch, Shape* shape) {
  const Engine::Turn turn(*engine_);
  const auto run = engine_->find<UnetSession>(
      *this, [](const UnetSession& session) { return session.has_features; });
  Buffer* buffer = run ? run->feature(branch) : nullptr;
  if (!buffer)
    throw Error(ErrorCode::kInvalidArgument,
                "no full pass kept the feature of branch " + std::to_string(branch));
  *shape = unet_feature_shape(config_, run->shape(), branch);
  return read_nchw(*buffer, size_t(shape->n), size_t(shape->c), size_t(shape->h) * shape->w,
                   backend().activation_type());
}

UnetRun Unet::denoise(const UnetDenoise& request, const CancelFlag* cancel,
                      const std::function<void(const UnetProgress&)>& on_step) {
  const Engine::Turn turn(*engine_, cancel);
  UnetSlot slot(*this, request, cancel, on_step);
  slot.rows().run(cancel);
  return slot.finish();
}

size_t Unet::adapt(AdapterTerms terms, const CancelFlag* cancel) {
  const Engine::Turn turn(*engine_, cancel);
  const size_t count = Model::adapt(std::move(terms));
  repacked_ += count;
  return count;
}

UnetMemory Unet::memory() const {
  const auto [arena, buffers] = engine_->memory(this);
  return {weight_bytes(), arena, buffers};
}

void Unet::trim() {
  const Engine::Turn turn(*engine_);
  engine_->trim(this);
}

}  // namespace deepcache
