#include "frechet.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "arguments.h"
#include "errors.h"
#include "job.h"
#include "runtime/frechet.h"

namespace deepcache::addon {
namespace {

constexpr int kMaxWidth = 4096, kMaxThreads = 1024;

// Finite values of a Float64Array, a multiple of `unit` and at most `most` of them.
std::vector<double> doubles(const Argument& argument, size_t unit, size_t most) {
  const Napi::Value value = argument.value();
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array)
    argument.fail("a Float64Array");
  const auto array = value.As<Napi::Float64Array>();
  const size_t count = array.ElementLength();
  if (count < unit || count > most || count % unit)
    argument.fail(
        "of rows of " + std::to_string(unit) + " values, at most " + std::to_string(most / unit),
        std::to_string(count) + " values");
  std::vector<double> out(array.Data(), array.Data() + count);
  if (!std::all_of(out.begin(), out.end(), [](double v) { return std::isfinite(v); }))
    argument.fail("of finite values", "others");
  return out;
}

struct Request {
  size_t width;
  int threads;
  bool is_factor;
  std::vector<double> first, second;

  explicit Request(const Argument& in)
      : width(size_t(in["width"].integer(1, kMaxWidth))),
        threads(int(in["threads"].integer(0, kMaxThreads))),
        is_factor(in["isFactor"].boolean()),
        first(doubles(in["first"], is_factor ? width : width * width, width * width)),
        second(doubles(in["second"], width * width, width * width)) {}
};

}  // namespace

Napi::Value trace_of_root(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto request = std::make_shared<Request>(Argument{info[0], "request"});
    const auto work = [request](JobContext& context) -> Finish {
      auto& [width, threads, is_factor, first, second] = *request;
      const CancelFlag* const cancel = context.cancel_flag();
      if (!is_factor) factorize(first, width, cancel);
      const double trace =
          deepcache::trace_of_root(first, first.size() / width, second, width, threads, cancel);
      return [trace](Napi::Env env) { return Napi::Number::New(env, trace); };
    };
    return start_job(info.Env(), work).object(info.Env());
  });
}

}  // namespace deepcache::addon
