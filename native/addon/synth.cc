#include "synth.h"

#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "job.h"
#include "runtime/synth.h"
#include "values.h"

namespace deepcache::addon {
namespace {

constexpr int64_t kMaxValues = int64_t(1) << 36;  // of one tensor in a file
constexpr size_t kMaxDimensions = 16;

SyntheticTensor parse_tensor(const Argument& name, const Argument& shape, int64_t most_values) {
  SyntheticTensor tensor{name.string(), {}};
  int64_t count = 1;
  for (const Argument& extent : shape.elements(kMaxDimensions)) {
    tensor.shape.push_back(extent.integer(0, most_values));
    if (tensor.shape.back() > 0 && count > most_values / tensor.shape.back())
      shape.fail("a shape of at most " + std::to_string(most_values) + " values", "more");
    count *= tensor.shape.back();
  }
  return tensor;
}

Type parse_dtype(const Argument& dtype) {
  const std::string name = dtype.string();
  if (name == "float16") return Type::f16;
  if (name == "float32") return Type::f32;
  dtype.fail("'float16' or 'float32'", "'" + name + "'");
}

}  // namespace

Napi::Value synthesize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const SyntheticTensor tensor =
        parse_tensor({info[0], "name"}, {info[1], "shape"}, int64_t(1) << 30);
    auto out = new_array<float>(info.Env(), tensor.count());
    synthetic_values(tensor, 0, tensor.count(), out.Data());
    return out;
  });
}

Napi::Value write_synthetic_file(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument options(info[0], "options"), on_progress(info[1], "onProgress");
    const std::string path = options["path"].path();
    const Type type = parse_dtype(options["dtype"]);
    std::vector<SyntheticTensor> tensors;
    for (const Argument& tensor : options["tensors"].elements(1'000'000)) {
      const Napi::HandleScope scope(info.Env());
      tensors.push_back(parse_tensor(tensor["name"], tensor["shape"], kMaxValues));
    }
    JobOptions job;
    if (on_progress.given()) job.on_progress = on_progress.function();
    const auto work = [=, tensors = std::move(tensors)](JobContext& context) -> Finish {
      SyntheticFileOptions file;
      file.type = type;
      file.cancel = context.cancel_flag();
      file.progress = [&](size_t done, size_t total) {
        context.report([=](Napi::Env env) {
          return std::vector<napi_value>{Napi::Number::New(env, double(done)),
                                         Napi::Number::New(env, double(total))};
        });
      };
      write_synthetic(path, tensors, file);
      return [](Napi::Env env) { return env.Undefined(); };
    };
    return start_job(info.Env(), work, job).object(info.Env());
  });
}

}  // namespace deepcache::addon
