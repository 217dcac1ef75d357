#include "plan_info.h"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "arguments.h"
#include "cuda/host/packing.h"
#include "errors.h"
#include "model_source.h"
#include "models/model.h"
#include "models/weight_plans.h"
#include "runtime/backend.h"
#include "values.h"

namespace deepcache::addon {
namespace {

constexpr int kMaxBatch = 1024, kMaxSide = 8192, kMaxContext = 1 << 16;
constexpr int kMaxVaeSide = 4096;

struct NamedShape {
  std::string name;
  std::vector<int64_t> shape;
};

// Every tensor that the plans name, once, in the order of first use, by the checkpoint's names.
std::vector<NamedShape> tensors_of(const std::vector<Plan>& plans,
                                   const WeightNaming& naming = {}) {
  std::vector<NamedShape> out;
  std::set<std::string> known;
  for (const Plan& plan : plans)
    for (const WeightSpec& spec : plan.weights())
      for (size_t i = 0; i < spec.names.size(); ++i)
        if (known.insert(spec.names[i]).second)
          out.push_back({stored_name(naming, spec.names[i]), spec.published_shape(i)});
  return out;
}

double count_parameters(const std::vector<Plan>& plans) {
  double count = 0;
  for (const NamedShape& tensor : tensors_of(plans)) {
    double values = 1;
    for (const int64_t extent : tensor.shape) values *= double(extent);
    count += values;
  }
  return count;
}

// How large values and weights are on a device.
struct DeviceSizes {
  Type activation;
  std::function<size_t(const WeightSpec&)> packed_bytes;
};

// `device` of the request: the CPU unless it names a GPU.
DeviceSizes parse_device(const Argument& in) {
  const Argument device = in["device"];
  if (device.given() && device.string().starts_with("cuda")) return {Type::f16, cuda::packed_bytes};
  const std::shared_ptr<Backend> cpu = make_cpu_backend(1);
  return {cpu->activation_type(),
          [cpu](const WeightSpec& spec) { return cpu->packed_bytes(spec); }};
}

double packed_bytes(const std::vector<Plan>& plans, const DeviceSizes& sizes) {
  std::set<WeightSpec> specs;
  for (const Plan& plan : plans) specs.insert(plan.weights().begin(), plan.weights().end());
  double bytes = 0;
  for (const WeightSpec& spec : specs) bytes += double(sizes.packed_bytes(spec));
  return bytes;
}

ClipTextConfig parse_text_config(const std::string& config) {
  return ClipTextConfig::parse(config, has_projection(config, false));
}

size_t external_bytes(const Plan& plan, Type activation) {
  size_t bytes = 0;
  for (const External& external : plan.externals())
    bytes += plan.external_bytes(external, activation);
  return bytes;
}

// PlanInfo of lib/native/types.ts.
Napi::Object info_of(Napi::Env env, const Plan& plan, const DeviceSizes& sizes) {
  Napi::Object out = Napi::Object::New(env);
  out["repo"] = Napi::Number::New(env, plan.macs().repo);
  out["complete"] = Napi::Number::New(env, plan.macs().complete);
  out["executed"] = Napi::Number::New(env, plan.executed_macs());
  out["arenaBytes"] = to_js(env, plan.arena_bytes(sizes.activation));
  out["externalBytes"] = to_js(env, external_bytes(plan, sizes.activation));
  out["ops"] = to_js(env, plan.ops().size());
  return out;
}

Napi::Object branch_info(Napi::Env env, const UnetConfig& config, const UnetShape& shape,
                         int branch, const DeviceSizes& sizes) {
  Napi::Object out = info_of(env, plan_unet_retrieve(config, shape, branch), sizes);
  const UnetBranch described = describe_branch(config, branch);
  out["branch"] = Napi::Number::New(env, branch);
  out["feature"] = described.feature;
  out["runs"] = to_js(env, described.runs);
  const Shape kept = unet_feature_shape(config, shape, branch);
  out["featureShape"] = to_nchw(env, kept);
  out["featureBytes"] = to_js(env, kept.count() * bytes_of(sizes.activation));
  return out;
}

}  // namespace

Napi::Value plan_unet(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const auto config = UnetConfig::parse(parse_config({info[0], "config"}));
    const Argument size(info[1], "size");
    UnetShape shape;
    shape.batch = int(size["batch"].integer(1, kMaxBatch));
    shape.height = int(size["height"].integer(1, kMaxSide));
    shape.width = int(size["width"].integer(1, kMaxSide));
    config.check_size(shape.height, shape.width);
    shape.context_length = int(size["contextLength"].integer(1, kMaxContext));
    if (const Argument frames = size["frames"]; frames.given()) {
      shape.frames = int(frames.integer(1, kMaxBatch));
      if (shape.batch % shape.frames)
        frames.fail("a divisor of the batch (" + std::to_string(shape.batch) + ")",
                    std::to_string(shape.frames));
    }
    const DeviceSizes sizes = parse_device(size);
    const std::vector<Plan> plans = weight_plans(config);
    Napi::Array branches = Napi::Array::New(env);
    const Argument wanted(info[2], "branches");
    const int count = !wanted.given() || wanted.boolean() ? config.branches() : 0;
    for (int branch = 0; branch < count; ++branch)
      branches[uint32_t(branch)] = branch_info(env, config, shape, branch, sizes);
    Napi::Object out = Napi::Object::New(env);
    out["parameters"] = Napi::Number::New(env, count_parameters(plans));
    out["weightBytes"] = Napi::Number::New(env, packed_bytes(plans, sizes));
    out["full"] = info_of(env, plan_unet_full(config, shape, {}), sizes);
    out["branches"] = branches;
    return out;
  });
}

Napi::Value plan_text_encoder(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto config = parse_text_config(parse_config({info[0], "config"}));
    const Argument size(info[1], "size");
    const int batch = int(size["batch"].integer(1, kMaxBatch));
    const int length = int(size["length"].integer(1, config.positions));
    return info_of(info.Env(), plan_clip_text(config, batch, length, 0), parse_device(size));
  });
}

Napi::Value plan_vae(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const auto config = VaeConfig::parse(parse_config({info[0], "config"}));
    const Argument size(info[1], "size");
    const int batch = int(size["batch"].integer(1, kMaxBatch));
    const int height = int(size["height"].integer(1, kMaxVaeSide));
    const int width = int(size["width"].integer(1, kMaxVaeSide));
    const DeviceSizes sizes = parse_device(size);
    const std::vector<Plan> plans = weight_plans(config);
    Napi::Object out = Napi::Object::New(env);
    out["parameters"] = Napi::Number::New(env, count_parameters(plans));
    out["weightBytes"] = Napi::Number::New(env, packed_bytes(plans, sizes));
    out["decode"] = info_of(env, plan_vae_decode(config, batch, height, width), sizes);
    if (config.encoder)
      out["encode"] = info_of(
          env, plan_vae_encode(config, batch, height * config.scale(), width * config.scale()),
          sizes);
    return out;
  });
}

Napi::Value weight_shapes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const Argument model(info[0], "model");
    const std::string kind = model.string(), text = parse_config({info[1], "config"});
    std::vector<Plan> plans;
    WeightNaming naming;
    if (kind == "unet") {
      const auto config = UnetConfig::parse(text);
      plans = weight_plans(config);
      naming = config.naming;
    } else if (kind == "text_encoder") {
      plans = weight_plans(parse_text_config(text));
    } else if (kind == "image_encoder") {
      plans = weight_plans(ClipVisionConfig::parse(text));
    } else if (kind == "vae") {
      const auto config = VaeConfig::parse(text);
      plans = weight_plans(config);
      naming = config.naming;
    } else {
      model.fail("'unet', 'text_encoder', 'image_encoder' or 'vae'", "'" + kind + "'");
    }
    const std::vector<NamedShape> tensors = tensors_of(plans, naming);
    Napi::Array out = Napi::Array::New(env, tensors.size());
    for (uint32_t i = 0; i < tensors.size(); ++i) {
      Napi::Object tensor = Napi::Object::New(env);
      tensor["name"] = tensors[i].name;
      tensor["shape"] = to_js(env, tensors[i].shape);
      out[i] = tensor;
    }
    return out;
  });
}

}  // namespace deepcache::addon
