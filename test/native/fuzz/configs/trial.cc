#include "trial.h"

#include <memory>
#include <optional>
#include <vector>

#include "cuda/host/packing.h"
#include "models/autoencoder.h"
#include "models/image_encoder.h"
#include "models/text_encoder.h"
#include "models/unet.h"
#include "models/unet_plan.h"
#include "models/weight_plans.h"
#include "runtime/error.h"

namespace deepcache::test {
namespace {

// What is small enough to be computed in a moment.
constexpr size_t kMostValues = 4'000'000;
constexpr double kMostMacs = 50e6;

using Random = std::function<size_t(size_t)>;

std::shared_ptr<Backend> backend() {
  static const std::shared_ptr<Backend> one = make_cpu_backend(1);
  return one;
}

// Throws Error(kInternal) for sizes that cannot be.
void check_weights(const std::vector<Plan>& plans, const WeightNaming& naming) {
  for (const Plan& plan : plans)
    for (const WeightSpec& spec : plan.weights()) {
      const long double values =
          static_cast<long double>(spec.out) * spec.in * spec.kernel_h * spec.kernel_w;
      if (values < 1 || values != static_cast<long double>(spec.count()))
        throw Error(ErrorCode::kInternal, "a weight's count has wrapped");
      // Packing pads rows, and keeps enlarging convolutions in four more phases.
      for (const size_t bytes : {backend()->packed_bytes(spec), cuda::packed_bytes(spec)})
        if (bytes < 2 * spec.count() || bytes > 4096 * spec.count())
          throw Error(ErrorCode::kInternal, "a weight's bytes have wrapped");
      for (const std::string& name : spec.names)
        if (stored_name(naming, name).empty())
          throw Error(ErrorCode::kInternal, name + " has no name in the file");
    }
}

bool is_small(const std::vector<Plan>& plans) {
  size_t values = 0;
  double macs = 0;
  for (const Plan& plan : plans) {
    values += plan.weight_count() + plan.arena_bytes(Type::f32) / 4;
    for (const External& external : plan.externals())
      values += plan.external_bytes(external, Type::f32) / 4;
    macs += plan.executed_macs();
  }
  return values < kMostValues && macs < kMostMacs;
}

// Synthetic weights have diffusers' names, whatever the format.
template <typename Config>
Config under_own_names(Config config) {
  config.naming = {};
  return config;
}

// A request of any size either fits or is refused.
template <typename MakePlan>
std::optional<Plan> plan_of(const MakePlan& make) {
  try {
    return make();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    return std::nullopt;
  }
}

bool try_unet(const UnetConfig& config, const Random& random) {
  const std::vector<Plan> weights = weight_plans(config);
  check_weights(weights, config.naming);
  const int side = 1 << (config.levels() - 1), branch = int(random(size_t(config.branches())));
  UnetShape shape;
  shape.frames = config.video ? 2 : 1;
  shape.batch = shape.frames * int(1 + random(2));
  shape.height = shape.width = side * int(1 + random(2));
  shape.context_length = int(1 + random(3));
  shape.time_rows = shape.batch;
  shape.old_contexts = config.video && random(2);
  std::vector<Plan> plans;
  if (const auto pass = plan_of([&] { return plan_unet(config, shape, {branch}); })) {
    plans.push_back(*pass);
    if (pass->macs(retrieve_segments(*pass, branch)).complete > pass->macs().complete)
      throw Error(ErrorCode::kInternal, "a retrieve step costs more than a full one");
  }
  if (const auto context = plan_of([&] { return plan_unet_context(config, shape); }))
    plans.push_back(*context);
  describe_branch(config, branch);
  unet_feature_shape(config, shape, branch);
  const UnetShape large{1024, 8192, 8192, 65536, 1024, config.video ? 32 : 1, shape.old_contexts};
  plan_of([&] { return plan_unet(config, large, {}); });
  plan_of([&] { return plan_unet_context(config, large); });
  plans.insert(plans.end(), weights.begin(), weights.end());
  if (plans.size() < 5 || !is_small(plans)) return false;

  Unet unet(under_own_names(config), synthetic_weights(weights), backend());
  const size_t pixels = size_t(shape.height) * shape.width, n = size_t(shape.batch);
  const size_t videos = n / size_t(shape.frames);
  const std::vector<float> sample(n * size_t(config.in_channels) * pixels, 0.1f);
  const std::vector<float> text(
      n * size_t(shape.context_length) * size_t(std::max(1, config.text_width())), 0.1f);
  const int width = std::max({1, config.addition_input_width, config.text_width(),
                              config.image_width(), config.embeddings.class_width});
  const std::vector<float> added(n * size_t(width), 0.1f);
  UnetForward request;
  request.batch = shape.batch;
  request.frames = shape.frames;
  request.height = shape.height;
  request.width = shape.width;
  request.sample = sample.data();
  request.timesteps = {7};
  request.conditions.context = text.data();
  request.conditions.context_length = config.text_width() ? shape.context_length : 1;
  request.conditions.text_embeds = request.conditions.image_embeds =
      request.conditions.class_labels = added.data();
  if (config.has_time_ids()) {
    request.conditions.time_ids = added.data();
    request.conditions.time_ids_count = config.some_time_ids();
  }
  request.old_contexts = shape.old_contexts && request.conditions.context_length == 1 && videos > 1;
  request.features = {branch};
  unet.forward(request, nullptr, nullptr);
  request.features.clear();
  request.retrieve = branch;
  unet.forward(request, nullptr, nullptr);
  return true;
}

bool try_vae(const VaeConfig& config, const Random& random) {
  const std::vector<Plan> weights = weight_plans(config);
  check_weights(weights, config.naming);
  const int batch = int(1 + random(2)), height = int(1 + random(3)), width = int(1 + random(3));
  std::vector<Plan> plans = weights;
  const auto decode = plan_of([&] { return plan_vae_decode(config, batch, height, width); });
  if (decode) plans.push_back(*decode);
  plan_of([&] { return plan_vae_decode(config, 1024, 4096, 4096); });
  plan_of([&] { return plan_vae_encode(config, 1024, 32768, 32768); });
  if (!decode || !is_small(plans)) return false;
  Autoencoder vae(under_own_names(config), synthetic_weights(weights), backend());
  Shape shape;
  const std::vector<float> latent(
      size_t(batch) * size_t(config.code_channels) * size_t(height) * size_t(width), 0.1f);
  vae.decode(latent.data(), batch, height, width, true, &shape, nullptr, nullptr);
  if (!config.encoder) return true;
  const int side = config.scale();
  const std::vector<float> image(size_t(config.in_channels) * size_t(side) * size_t(side), 0.1f);
  vae.encode(image.data(), 1, side, side, &shape, nullptr, nullptr);
  return true;
}

bool try_text_encoder(const ClipTextConfig& config, const Random& random) {
  const std::vector<Plan> weights = weight_plans(config);
  check_weights(weights, {});
  const int length = int(1 + random(size_t(std::min(config.positions, 4))));
  std::vector<Plan> plans = weights;
  plans.push_back(plan_clip_text(config, 2, length, 0));
  plan_of([&] { return plan_clip_text(config, 1024, config.positions, config.layers); });
  if (!is_small(plans)) return false;
  TextEncoder encoder(config, synthetic_weights(weights), backend());
  const std::vector<int32_t> ids(2 * size_t(length), config.vocabulary - 1);
  encoder.encode(ids, 2, length, int(random(size_t(config.layers) + 1)), {0, config.layers},
                 nullptr);
  return true;
}

bool try_image_encoder(const ClipVisionConfig& config) {
  const std::vector<Plan> weights = weight_plans(config);
  check_weights(weights, {});
  plan_of([&] { return plan_clip_vision(config, 1024); });
  if (!is_small(weights)) return false;
  ImageEncoder encoder(config, synthetic_weights(weights), backend());
  const std::vector<float> image(
      size_t(config.channels) * size_t(config.image_size) * size_t(config.image_size), 0.1f);
  encoder.encode(image.data(), 1, nullptr);
  return true;
}

// The configuration, or nothing when it is refused as configurations are.
template <typename Parse>
auto parsed(const Parse& parse) -> std::optional<decltype(parse())> {
  try {
    return parse();
  } catch (const Error& error) {
    const ErrorCode code = error.code();
    if (code != ErrorCode::kInvalidConfig && code != ErrorCode::kUnsupported) throw;
    return std::nullopt;
  }
}

Outcome outcome_of(bool computed) { return computed ? Outcome::computed : Outcome::planned; }

}  // namespace

Outcome try_config(ModelKind kind, const std::string& text, const Random& random) {
  switch (kind) {
    case ModelKind::unet:
      if (const auto config = parsed([&] { return UnetConfig::parse(text); }))
        return outcome_of(try_unet(*config, random));
      break;
    case ModelKind::vae:
      if (const auto config = parsed([&] { return VaeConfig::parse(text); }))
        return outcome_of(try_vae(*config, random));
      break;
    case ModelKind::text_encoder:
      if (const auto config = parsed([&] { return ClipTextConfig::parse(text, random(2)); }))
        return outcome_of(try_text_encoder(*config, random));
      break;
    case ModelKind::image_encoder:
      if (const auto config = parsed([&] { return ClipVisionConfig::parse(text); }))
        return outcome_of(try_image_encoder(*config));
      break;
  }
  return Outcome::refused;
}

}  // namespace deepcache::test
