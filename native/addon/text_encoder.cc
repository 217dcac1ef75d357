#include "text_encoder.h"

#include <utility>

#include "adapters.h"
#include "values.h"

namespace deepcache::addon {
namespace {

struct EncodeRequest {
  std::vector<int32_t> ids;
  int batch = 1, length = 0, skip = 0;
  std::vector<int> hidden;
  std::vector<float> added;
};

EncodeRequest parse_request(const Argument& in, const ClipTextConfig& config) {
  EncodeRequest out;
  out.batch = int(in["batch"].integer(1, 1024));
  const Argument ids = in["ids"];
  out.ids = ids.int32s();
  const size_t batch = size_t(out.batch), count = out.ids.size();
  if (count % batch != 0 || count / batch > size_t(config.positions))
    ids.fail("an Int32Array of batch (" + std::to_string(batch) + ") times 1 to " +
                 std::to_string(config.positions) + " token ids",
             std::to_string(count));
  out.length = int(count / batch);
  if (const Argument added = in["added"]; added.given()) {
    const Floats values = added.floats_of_multiple({size_t(config.width)});
    if (values.size() / size_t(config.width) > kMostAddedRows)
      added.fail("at most " + std::to_string(kMostAddedRows) + " rows",
                 std::to_string(values.size() / size_t(config.width)));
    out.added.assign(values.begin(), values.end());
  }
  const int64_t rows = config.vocabulary + int64_t(out.added.size()) / config.width;
  for (size_t i = 0; i < count; ++i)
    if (out.ids[i] < 0 || out.ids[i] >= rows)
      throw Error(ErrorCode::kInvalidArgument,
                  ids.name() + "[" + std::to_string(i) + "] is " + std::to_string(out.ids[i]) +
                      ", outside of the vocabulary of " + std::to_string(rows));
  if (const Argument skip = in["skip"]; skip.given())
    out.skip = int(skip.integer(0, config.layers));
  if (const Argument hidden = in["hidden"]; hidden.given())
    out.hidden = hidden.integers(size_t(config.layers) + 1, 0, config.layers);
  return out;
}

}  // namespace

std::shared_ptr<TextEncoder> NativeTextEncoder::make(const ModelSource& source,
                                                     std::shared_ptr<WeightSource> weights,
                                                     std::shared_ptr<Backend> backend) {
  // transformers 4.35 and earlier saved CLIPTextModel with an unused projection: the class decides.
  const bool projected =
      has_projection(source.config, weights->find("text_projection.weight") != nullptr);
  const auto config = ClipTextConfig::parse(source.config, projected);
  return std::make_shared<TextEncoder>(config, std::move(weights), std::move(backend));
}

void NativeTextEncoder::describe(Napi::Object object, TextEncoder& model) {
  const Napi::Env env = object.Env();
  const ClipTextConfig& config = model.config();
  const auto number = [&](const char* name, int value) {
    define(object, name, Napi::Number::New(env, value));
  };
  number("width", config.width);
  number("pooledWidth", config.projection ? config.projection : config.width);
  number("layers", config.layers);
  number("maxLength", config.positions);
  number("vocabularySize", config.vocabulary);
}

void NativeTextEncoder::count_memory(Napi::Object object, const TextEncoder& model) {
  object["weights"] = to_js(object.Env(), model.weight_bytes());
}

NativeTextEncoder::Methods NativeTextEncoder::methods() {
  return {InstanceMethod<&NativeTextEncoder::encode>("encode"),
          InstanceMethod<&NativeTextEncoder::adapt>("adapt")};
}

Napi::Value NativeTextEncoder::adapt(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto request = AdapterRequest::parse({info[0], "weights"});
    return start(info.Env(), [request](TextEncoder& model, JobContext&) -> Finish {
      const size_t count = model.adapt(request->open());
      return [count](Napi::Env env) { return to_js(env, count); };
    });
  });
}

Napi::Value NativeTextEncoder::encode(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<TextEncoder> model = this->model();
    auto request = parse_request({info[0], "request"}, model->config());
    const auto work = [request = std::move(request)](TextEncoder& model,
                                                     JobContext& context) -> Finish {
      auto encoding = model.encode(request.ids, request.batch, request.length, request.skip,
                                   request.hidden, context.cancel_flag(), request.added);
      std::vector<Finish> hidden;
      for (auto& values : encoding.hidden) hidden.push_back(context.hand_over(std::move(values)));
      return
          [hidden, last = context.hand_over(std::move(encoding.last)),
           pooled = context.hand_over(std::move(encoding.pooled))](Napi::Env env) -> Napi::Value {
            Napi::Object out = Napi::Object::New(env);
            out["last"] = last(env);
            out["pooled"] = pooled(env);
            Napi::Array states = Napi::Array::New(env, hidden.size());
            for (uint32_t i = 0; i < hidden.size(); ++i) states[i] = hidden[i](env);
            out["hidden"] = states;
            return out;
          };
    };
    return start(info.Env(), work);
  });
}

}  // namespace deepcache::addon
