#include "unet.h"

#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "adapters.h"
#include "models/controlnet.h"
#include "models/more_inputs.h"
#include "unet_requests.h"
#include "values.h"

namespace deepcache::addon {
namespace {

// NativeStep of lib/native/types.ts.
void report_step(JobContext& context, const DenoiseInputs& inputs, const UnetProgress& progress) {
  const int row = progress.row;
  // Rows without a call may be many between two that have one, whose reports they must not crowd
  // out; a conductor hears of all, each of which is a tick.
  const bool calls = row < 0 || inputs.request.table.rows[size_t(row)].calls();
  if (!calls && inputs.name == UnetBatch::kNoName) return;
  const auto read = [&](int every, const ReadLatents& latents) {
    return inputs.is_due(every, row) ? context.hand_over(latents()) : Finish();
  };
  const double milliseconds = progress.milliseconds;
  const int program = progress.program;
  const float change = progress.change;
  context.report([row, milliseconds, program, change, x0 = read(inputs.preview_every, progress.x0),
                  x = read(inputs.latents_every, progress.x)](Napi::Env env) {
    Napi::Object step = Napi::Object::New(env);
    step["row"] = Napi::Number::New(env, row);
    step["milliseconds"] = Napi::Number::New(env, milliseconds);
    if (program != kNoProgram) step["program"] = Napi::Number::New(env, program);
    if (!std::isnan(change)) step["change"] = Napi::Number::New(env, change);
    if (x0) step["x0"] = x0(env);
    if (x) step["x"] = x(env);
    return std::vector<napi_value>{step};
  });
}

}  // namespace

std::shared_ptr<SharedUnet> NativeUnet::make(const ModelSource& source,
                                             std::shared_ptr<WeightSource> weights,
                                             std::shared_ptr<Backend> backend) {
  return std::make_shared<SharedUnet>(UnetConfig::parse(source.config), std::move(weights),
                                      std::move(backend));
}

Napi::Value NativeUnet::load(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument beside(info[2], "beside");
    if (!beside.given()) return ModelObject::load(info);
    const std::shared_ptr<SharedUnet> other =
        unwrap<NativeUnet>(beside, "a U-Net made by this addon").shared();
    return load_job<SharedUnet>(
        info,
        [other](const ModelSource& source, std::shared_ptr<WeightSource> weights,
                std::shared_ptr<Backend>) {
          UnetConfig config = UnetConfig::parse(source.config);
          const UnetConfig& unet = other->config();
          if (config.control && config.in_channels < unet.in_channels) {
            weights = with_more_inputs(std::move(weights), unet.in_channels);
            config.in_channels = unet.in_channels;
          }
          if (config.control) require_control_fits(config, unet);
          return std::make_shared<SharedUnet>(config, std::move(weights), other->shared_engine());
        },
        wrap);
  });
}

void NativeUnet::describe(Napi::Object object, SharedUnet& model) {
  const Napi::Env env = object.Env();
  const UnetConfig& config = model.config();
  const UnetClasses classes = config.embeddings.classes;
  const auto number = [&](const char* name, int value) {
    define(object, name, Napi::Number::New(env, value));
  };
  object.TypeTag(&kTypeTag);
  number("inChannels", config.in_channels);
  number("outChannels", config.out_channels);
  number("contextWidth", config.text_width());
  number("imageWidth", config.image_width());
  number("classWidth", classes == UnetClasses::none ? 0 : config.embeddings.class_width);
  number("classCount", config.embeddings.class_count);
  number("sampleHeight", config.sample_height);
  number("sampleWidth", config.sample_width);
  number("timeCondWidth", config.time_cond_width);
  number("frames", config.frames);
  number("levels", config.levels());
  const Napi::Array layers = Napi::Array::New(env, size_t(config.levels()));
  for (int i = 0; i < config.levels(); ++i) layers.Set(uint32_t(i), config.down[size_t(i)].layers);
  define(object, "layersPerBlock", layers);
  number("branches", config.branches());
  define(object, "controlScale",
         Napi::Number::New(env, config.control ? config.control->scale() : 0));
  const bool has_kinds = config.control && config.control->kinds;
  number("controlKinds", has_kinds ? config.control->kinds->count : 0);
  define(object, "controlChannels",
         Napi::Number::New(env, config.control ? config.control->image_channels : 0));
  define(object, "device", Napi::String::New(env, model.backend().name()));
}

void NativeUnet::count_memory(Napi::Object object, const SharedUnet& model) {
  const UnetMemory memory = model.memory();
  object["weights"] = to_js(object.Env(), memory.weights);
  object["arena"] = to_js(object.Env(), memory.arena);
  object["buffers"] = to_js(object.Env(), memory.buffers);
}

NativeUnet::Methods NativeUnet::methods() {
  return {InstanceMethod<&NativeUnet::forward>("forward"),
          InstanceMethod<&NativeUnet::feature>("feature"),
          InstanceMethod<&NativeUnet::denoise>("denoise"),
          InstanceMethod<&NativeUnet::tick>("tick"),
          InstanceMethod<&NativeUnet::adapt>("adapt"),
          InstanceMethod<&NativeUnet::counters>("counters"),
          InstanceMethod<&NativeUnet::trim>("trim")};
}

Napi::Value NativeUnet::forward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<SharedUnet> model = this->model();
    const auto inputs = parse_forward({info[0], "request"}, model->config());
    const auto work = [inputs](SharedUnet& model, JobContext& context) -> Finish {
      if (model.config().control) {
        auto residuals = model.residuals(inputs->request, inputs->own, context.cancel_flag());
        std::vector<Finish> arrays;
        for (auto& values : residuals) arrays.push_back(context.hand_over(std::move(values)));
        return [arrays = std::move(arrays)](Napi::Env env) -> Napi::Value {
          Napi::Array list = Napi::Array::New(env, arrays.size());
          for (size_t i = 0; i < arrays.size(); ++i) list[uint32_t(i)] = arrays[i](env);
          Napi::Object out = Napi::Object::New(env);
          out["residuals"] = list;
          return out;
        };
      }
      TapCollector taps(inputs->taps);
      auto values = model.forward(inputs->request, context.cancel_flag(), taps.tap());
      return [with_taps = inputs->taps, values = context.hand_over(std::move(values)),
              taps = taps.take()](Napi::Env env) -> Napi::Value {
        Napi::Object out = Napi::Object::New(env);
        out["out"] = values(env);
        if (with_taps) out["taps"] = to_js(env, taps);
        return out;
      };
    };
    return start(info.Env(), work);
  });
}

Napi::Value NativeUnet::feature(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<SharedUnet> model = this->model();
    const int last = model->config().branches() - 1;
    const int branch = int(Argument(info[0], "branch").integer(0, last));
    if (!slot().idle())
      throw Error(ErrorCode::kInvalidArgument,
                  "feature() cannot be read while a job uses the U-Net: await the job first");
    Shape shape;
    const std::vector<float> values = model->feature(branch, &shape);
    Napi::Object out = Napi::Object::New(info.Env());
    out["data"] = to_js(info.Env(), values);
    out["shape"] = to_nchw(info.Env(), shape);
    return out;
  });
}

Napi::Value NativeUnet::denoise(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<SharedUnet> model = this->model();
    const auto inputs = parse_denoise({info[0], "request"}, model->config());
    const Argument on_step(info[1], "onStep");
    const auto work = [inputs](SharedUnet& model, JobContext& context) -> Finish {
      const auto report = [&](const UnetProgress& progress) {
        report_step(context, *inputs, progress);
      };
      std::optional<RunGate::Run> entered;
      if (inputs->joins) entered.emplace(model.gate, context.cancel_flag());
      auto run = inputs->joins ? model.batch.denoise(inputs->request, context.cancel_flag(), report,
                                                     inputs->name)
                               : model.denoise(inputs->request, context.cancel_flag(), report);
      std::array<Finish, kHistorySlots> history;
      for (size_t i = 0; i < history.size(); ++i)
        if (!run.history[i].empty()) history[i] = context.hand_over(std::move(run.history[i]));
      return [latents = context.hand_over(std::move(run.latents)), history,
              run = std::move(run)](Napi::Env env) -> Napi::Value {
        Napi::Object out = Napi::Object::New(env);
        out["latents"] = latents(env);
        Napi::Object slots = Napi::Object::New(env);
        for (size_t i = 0; i < history.size(); ++i)
          if (history[i]) slots["s" + std::to_string(i)] = history[i](env);
        out["slots"] = slots;
        out["rowMilliseconds"] = to_js(env, run.row_milliseconds);
        const auto list = [&](const char* name, const auto& of) {
          Napi::Array values = Napi::Array::New(env, run.reports.size());
          for (size_t i = 0; i < run.reports.size(); ++i) values[uint32_t(i)] = of(run.reports[i]);
          out[name] = values;
        };
        list("rowPrograms", [&](const StepReport& report) -> Napi::Value {
          if (report.program == kNoProgram) return env.Undefined();
          return Napi::Number::New(env, report.program);
        });
        list("rowChanges", [&](const StepReport& report) -> Napi::Value {
          if (std::isnan(report.change)) return env.Undefined();
          return Napi::Number::New(env, report.change);
        });
        out["prepareMilliseconds"] = Napi::Number::New(env, run.prepare_milliseconds);
        return out;
      };
    };
    const auto progress = on_step.given() ? on_step.function() : Napi::Function();
    return start(info.Env(), work, progress, inputs->joins);
  });
}

void NativeUnet::tick(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    model()->batch.order(Argument(info[0], "jobs").integers(kMostNamed, 1, kLastName));
  });
}

Napi::Value NativeUnet::adapt(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto request = AdapterRequest::parse({info[0], "weights"});
    return start(info.Env(), [request](SharedUnet& model, JobContext& context) -> Finish {
      const RunGate::Change change(model.gate, context.cancel_flag());
      const size_t count = model.adapt(request->open(), context.cancel_flag());
      return [count](Napi::Env env) { return to_js(env, count); };
    });
  });
}

Napi::Value NativeUnet::counters(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const UnetCounters counters = model()->counters();
    Napi::Object out = Napi::Object::New(info.Env());
    out["sessions"] = to_js(info.Env(), counters.sessions);
    out["programs"] = to_js(info.Env(), counters.programs);
    out["repacked"] = to_js(info.Env(), counters.repacked);
    return out;
  });
}

void NativeUnet::trim(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    if (slot().idle()) return model()->trim();
    // After the jobs that were started before; nobody waits for it.
    const StartedJob job = slot().start(info.Env(), [](SharedUnet& model, JobContext&) -> Finish {
      model.trim();
      return [](Napi::Env env) { return env.Undefined(); };
    });
    job.promise.Catch(Napi::Function::New(info.Env(), [](const Napi::CallbackInfo&) {}));
  });
}

}  // namespace deepcache::addon
