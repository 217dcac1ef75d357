#include "generator.h"

#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "job.h"
#include "values.h"

namespace deepcache::addon {
namespace {

constexpr int64_t kMaxCount = int64_t(1) << 30;

// Numbers that are drawn between two looks at whether the job was cancelled.
constexpr size_t kPart = size_t(1) << 16;

size_t parse_count(const Napi::CallbackInfo& info) {
  return size_t(Argument(info[0], "count").integer(0, kMaxCount));
}

}  // namespace

Napi::Function NativeGenerator::define_class(Napi::Env env) {
  return DefineClass(env, "Generator",
                     {InstanceMethod<&NativeGenerator::randn>("randn"),
                      InstanceMethod<&NativeGenerator::draw>("draw"),
                      InstanceMethod<&NativeGenerator::rand>("rand"),
                      InstanceMethod<&NativeGenerator::next_uint32>("nextUint32"),
                      InstanceMethod<&NativeGenerator::seed>("seed")});
}

NativeGenerator::NativeGenerator(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] {
    generator_ = std::make_shared<Generator>(Argument(info[0], "seed").bits64());
    info.This().As<Napi::Object>().TypeTag(&kTypeTag);
  });
}

Generator& NativeGenerator::idle() const {
  if (!runner().is_idle(*line_))
    throw Error(ErrorCode::kInvalidArgument, "the generator is drawing: await its job first");
  return *generator_;
}

Napi::Value NativeGenerator::draw(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto work = [generator = generator_,
                       count = parse_count(info)](JobContext& context) -> Finish {
      std::vector<float> values(count);
      // Blocks of 16 numbers depend on nothing else, but the last 16 belong together.
      for (size_t done = 0, part; done < count; done += part) {
        check_cancelled(context.cancel_flag());
        part = count - done < kPart + 16 ? count - done : kPart;
        generator->randn(values.data() + done, part);
      }
      return context.hand_over(std::move(values));
    };
    return start_job(info.Env(), work, {line_, {}}).object(info.Env());
  });
}

Napi::Value NativeGenerator::randn(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t count = parse_count(info);
    const Argument dtype(info[1], "dtype");
    const std::string name = dtype.given() ? dtype.string() : "float32";
    if (name == "float64") {
      auto out = new_array<double>(info.Env(), count);
      idle().randn(out.Data(), count);
      return out;
    }
    if (name != "float32" && name != "float16")
      dtype.fail("'float32', 'float16' or 'float64'", "'" + name + "'");
    auto out = new_array<float>(info.Env(), count);
    if (name == "float16") {
      idle().randn_half(out.Data(), count);
    } else {
      idle().randn(out.Data(), count);
    }
    return out;
  });
}

Napi::Value NativeGenerator::rand(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t count = parse_count(info);
    auto out = new_array<float>(info.Env(), count);
    idle().rand(out.Data(), count);
    return out;
  });
}

Napi::Value NativeGenerator::next_uint32(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), idle().next_u32()); });
}

void NativeGenerator::seed(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { idle().seed(Argument(info[0], "seed").bits64()); });
}

}  // namespace deepcache::addon
