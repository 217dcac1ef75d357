#include "plan_info.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "arguments.h"
#include "cuda/host/packing.h"
#include "errors.h"
#include "frame_windows.h"
#include "job.h"
#include "model_source.h"
#include "models/bounds.h"
#include "models/controlnet.h"
#include "models/model.h"
#include "models/unet_degraded.h"
#include "models/weight_plans.h"
#include "runtime/backend.h"
#include "table.h"
#include "values.h"

namespace deepcache::addon {
namespace {

constexpr int kMaxBatch = 1024, kMaxSide = 8192, kMaxContext = 1 << 16;
constexpr int kMaxVaeSide = 4096;
constexpr int kMaxPixels = 16384;
constexpr size_t kMaxImages = 16;  // adapters of a run

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
  Execution execution;
  std::function<size_t(const WeightSpec&)> packed_bytes;
};

// `device` and `dtype` of a request: by default the CPU in fp32.
struct Place {
  explicit Place(const Argument& in) {
    if (const Argument device = in["device"]; device.given())
      is_gpu = device.string().starts_with("cuda");
    if (const Argument dtype = in["dtype"]; dtype.given()) is_bf16 = dtype.string() == "bf16";
  }
  bool is_gpu = false, is_bf16 = false;
};

DeviceSizes sizes_on(Place place) {
  if (place.is_gpu)
    return {Type::f16, Execution::op_by_op,
            [](const WeightSpec& spec) { return cuda::packed_bytes(spec); }};
  const std::shared_ptr<Backend> cpu =
      make_cpu_backend(1, place.is_bf16 ? Products::bf16 : Products::fp32);
  return {cpu->activation_type(), cpu->execution(),
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

// PlanCosts of lib/native/types.ts.
struct SegmentCost {
  SegmentCost(const Plan& plan, const OpRanges& segments)
      : macs(plan.macs(segments)),
        executed(plan.executed_macs(segments)),
        ops(count_ops(segments)) {}

  Napi::Object object(Napi::Env env) const {
    Napi::Object out = Napi::Object::New(env);
    out["repo"] = Napi::Number::New(env, macs.repo);
    out["complete"] = Napi::Number::New(env, macs.complete);
    out["executed"] = Napi::Number::New(env, executed);
    out["ops"] = Napi::Number::New(env, ops);
    return out;
  }

  void operator+=(const SegmentCost& other) {
    macs += other.macs;
    executed += other.executed;
    ops += other.ops;
  }

  Macs macs;
  double executed;
  int ops;
};

// PlanInfo.
struct PlanCost {
  PlanCost(const Plan& plan, const DeviceSizes& sizes)
      : cost(plan, {plan.all()}),
        arena_bytes(plan.arena_bytes(sizes.activation, sizes.execution)),
        external_bytes(addon::external_bytes(plan, sizes.activation)) {}

  Napi::Object object(Napi::Env env) const {
    Napi::Object out = cost.object(env);
    out["arenaBytes"] = to_js(env, arena_bytes);
    out["externalBytes"] = to_js(env, external_bytes);
    return out;
  }

  // A run whose last output is computed behind the others: passes of these and of that one, and
  // what is done between them. What lies beside them has room for all.
  PlanCost& behind(const PlanCost& before, const PlanCost& between, const PlanCost& all) {
    cost += before.cost;
    cost += between.cost;
    arena_bytes = std::max(arena_bytes, before.arena_bytes);
    external_bytes = all.external_bytes + between.external_bytes;
    return *this;
  }

  SegmentCost cost;
  size_t arena_bytes, external_bytes;
};

// The whole pass of a U-Net, or both passes where the last of `degraded` outputs is computed on its
// own (0: none is).
PlanCost cost_of_pass(const UnetConfig& config, UnetShape shape, int degraded,
                      const DeviceSizes& sizes) {
  const auto cost = [&](int outputs, bool tells_mass) {
    UnetShape some = shape;
    if (degraded) some.batch = shape.batch / degraded * outputs;
    some.outputs = outputs;
    some.extras.attention_mass = tells_mass;
    return PlanCost(deepcache::plan_unet(config, some, {}), sizes);
  };
  if (!degraded) return cost(shape.outputs, false);
  shape.outputs = degraded;
  const PlanCost between(plan_degraded(config, shape), sizes);
  return cost(1, false).behind(cost(degraded - 1, true), between, cost(degraded, true));
}

// What a retrieve step of a branch costs, and what it keeps.
struct BranchCost {
  BranchCost(const UnetConfig& config, const UnetShape& shape, const Plan& plan, int branch,
             const DeviceSizes& sizes)
      : cost(plan, retrieve_segments(plan, branch)),
        branch(branch),
        described(describe_branch(config, branch)),
        kept(unet_feature_shape(config, shape, branch)),
        feature_bytes(kept.count() * bytes_of(sizes.activation)) {}
  // Of a ControlNet: what a retrieve step of the branch takes of it where it runs in those, too.
  BranchCost(const UnetConfig& config, const Plan& plan, int branch)
      : cost(plan, control_segments(plan, config, branch)), branch(branch) {}

  Napi::Object object(Napi::Env env) const {
    Napi::Object out = cost.object(env);
    out["branch"] = Napi::Number::New(env, branch);
    out["feature"] = described.feature;
    out["runs"] = to_js(env, described.runs);
    out["featureShape"] = to_nchw(env, kept);
    out["featureBytes"] = to_js(env, feature_bytes);
    return out;
  }

  SegmentCost cost;
  int branch;
  UnetBranch described = {};
  Shape kept = {};
  size_t feature_bytes = 0;
};

// What weights of a model take.
struct WeightCost {
  WeightCost(const std::vector<Plan>& plans, const DeviceSizes& sizes)
      : parameters(count_parameters(plans)), bytes(packed_bytes(plans, sizes)) {}

  Napi::Object object(Napi::Env env) const {
    Napi::Object out = Napi::Object::New(env);
    out["parameters"] = Napi::Number::New(env, parameters);
    out["weightBytes"] = Napi::Number::New(env, bytes);
    return out;
  }

  double parameters, bytes;
};

}  // namespace

Napi::Value plan_unet(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument size(info[1], "size"), wanted(info[2], "branches");
    UnetShape shape;
    shape.batch = int(size["batch"].integer(1, kMaxBatch));
    shape.height = int(size["height"].integer(1, kMaxSide));
    shape.width = int(size["width"].integer(1, kMaxSide));
    shape.context_length = int(size["contextLength"].integer(1, kMaxContext));
    if (const Argument tokens = size["imageTokens"]; tokens.given())
      shape.extras.image_tokens = tokens.integers(kMaxImages, 1, kMaxContext);
    if (const Argument features = size["blockFeatures"]; features.given())
      shape.extras.block_features = int(features.integer(0, bounds::kLevels + 1));
    if (const Argument free_u = size["freeU"]; free_u.given())
      shape.extras.free_u = free_u.boolean();
    shape.extras.attention = {parse_attention_use(size["cross"]),
                              parse_attention_use(size["self"])};
    int degraded = 0;
    if (const Argument outputs = size["degradedOutputs"]; outputs.given()) {
      degraded = int(outputs.integer(2, kMaxOutputs));
      if (shape.batch % degraded)
        outputs.fail("a divisor of the batch (" + std::to_string(shape.batch) + ")",
                     std::to_string(degraded));
    }
    if (const Argument frames = size["frames"]; frames.given()) {
      shape.frames = int(frames.integer(1, kMaxBatch));
      if (shape.batch % shape.frames)
        frames.fail("a divisor of the batch (" + std::to_string(shape.batch) + ")",
                    std::to_string(shape.frames));
    }
    shape.windows = parse_frame_windows(size["frameWindows"], shape.frames);
    const auto work = [=, text = parse_config({info[0], "config"}), place = Place(size),
                       with_branches =
                           !wanted.given() || wanted.boolean()](JobContext& context) -> Finish {
      const auto config = UnetConfig::parse(text);
      config.check_size(shape.height, shape.width);
      const DeviceSizes sizes = sizes_on(place);
      const Plan plan =
          config.control ? plan_controlnet(config, shape) : deepcache::plan_unet(config, shape, {});
      const PlanCost full =
          config.control ? PlanCost(plan, sizes) : cost_of_pass(config, shape, degraded, sizes);
      check_cancelled(context.cancel_flag());  // plans take milliseconds each
      const WeightCost weights(weight_plans(config), sizes);
      std::vector<BranchCost> branches;
      check_cancelled(context.cancel_flag());
      for (int branch = 0; with_branches && branch < config.branches(); ++branch)
        if (config.control)
          branches.emplace_back(config, plan, branch);
        else
          branches.emplace_back(config, shape, plan, branch, sizes);
      std::optional<SegmentCost> once;
      if (config.control) {
        const Plan hint = plan_control_hint(config, shape.batch, shape.height, shape.width);
        once.emplace(hint, OpRanges{hint.all()});
      }
      return [=, branches = std::move(branches)](Napi::Env env) -> Napi::Value {
        Napi::Object out = weights.object(env);
        out["full"] = full.object(env);
        if (once) out["once"] = once->object(env);
        Napi::Array list = Napi::Array::New(env, branches.size());
        for (const BranchCost& branch : branches)
          list[uint32_t(branch.branch)] = branch.object(env);
        out["branches"] = list;
        return out;
      };
    };
    return start_job(info.Env(), work).object(info.Env());
  });
}

Napi::Value plan_text_encoder(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto config = parse_text_config(parse_config({info[0], "config"}));
    const Argument size(info[1], "size");
    const int batch = int(size["batch"].integer(1, kMaxBatch));
    const int length = int(size["length"].integer(1, config.positions));
    const DeviceSizes sizes = sizes_on(Place(size));
    return PlanCost(plan_clip_text(config, batch, length, 0), sizes).object(info.Env());
  });
}

Napi::Value plan_t2i_adapter(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto config = T2iAdapterConfig::parse(parse_config({info[0], "config"}));
    const Argument size(info[1], "size");
    const int batch = int(size["batch"].integer(1, kMaxBatch));
    const int height = int(size["height"].integer(1, kMaxPixels));
    const int width = int(size["width"].integer(1, kMaxPixels));
    const DeviceSizes sizes = sizes_on(Place(size));
    const PlanCost cost(deepcache::plan_t2i_adapter(config, batch, height, width), sizes);
    const WeightCost weights(weight_plans(config), sizes);
    Napi::Object out = weights.object(info.Env());
    out["encode"] = cost.object(info.Env());
    return out;
  });
}

Napi::Value plan_vae(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument size(info[1], "size");
    const int batch = int(size["batch"].integer(1, kMaxBatch));
    const int height = int(size["height"].integer(1, kMaxVaeSide));
    const int width = int(size["width"].integer(1, kMaxVaeSide));
    const auto work = [=, text = parse_config({info[0], "config"}),
                       place = Place(size)](JobContext& context) -> Finish {
      const auto config = VaeConfig::parse(text);
      const DeviceSizes sizes = sizes_on(place);
      const PlanCost decode(plan_vae_decode(config, batch, height, width), sizes);
      check_cancelled(context.cancel_flag());
      std::optional<PlanCost> encode;
      if (config.encoder)
        encode.emplace(
            plan_vae_encode(config, batch, height * config.scale(), width * config.scale()), sizes);
      check_cancelled(context.cancel_flag());
      const WeightCost weights(weight_plans(config), sizes);
      return [=](Napi::Env env) -> Napi::Value {
        Napi::Object out = weights.object(env);
        out["decode"] = decode.object(env);
        if (encode) out["encode"] = encode->object(env);
        return out;
      };
    };
    return start_job(info.Env(), work).object(info.Env());
  });
}

namespace {

std::vector<NamedShape> weights_of(const std::string& kind, const std::string& text) {
  if (kind == "text_encoder") return tensors_of(weight_plans(parse_text_config(text)));
  if (kind == "upscaler") return tensors_of(weight_plans(SuperResolutionConfig::parse(text)));
  if (kind == "t2i_adapter") return tensors_of(weight_plans(T2iAdapterConfig::parse(text)));
  if (kind == "image_encoder") return tensors_of(weight_plans(ClipVisionConfig::parse(text)));
  if (kind == "vae") {
    const auto config = VaeConfig::parse(text);
    return tensors_of(weight_plans(config), config.naming);
  }
  const auto config = UnetConfig::parse(text);
  return tensors_of(weight_plans(config), config.naming);
}

}  // namespace

Napi::Value weight_shapes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument model(info[0], "model");
    const std::string kind = model.string();
    if (kind != "unet" && kind != "text_encoder" && kind != "image_encoder" && kind != "vae" &&
        kind != "upscaler" && kind != "t2i_adapter")
      model.fail("'unet', 'text_encoder', 'image_encoder', 'vae', 'upscaler' or 't2i_adapter'",
                 "'" + kind + "'");
    const Napi::Env env = info.Env();
    const auto tensors = weights_of(kind, parse_config({info[1], "config"}));
    Napi::Array out = Napi::Array::New(env, tensors.size());
    for (uint32_t i = 0; i < tensors.size(); ++i) {
      const Napi::HandleScope scope(env);
      Napi::Object tensor = Napi::Object::New(env);
      tensor["name"] = tensors[i].name;
      tensor["shape"] = to_js(env, tensors[i].shape);
      out[i] = tensor;
    }
    return out;
  });
}

}  // namespace deepcache::addon
