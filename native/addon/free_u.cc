#include "free_u.h"

#include <memory>
#include <utility>

#include "arguments.h"
#include "backend.h"
#include "classes.h"
#include "errors.h"
#include "job.h"
#include "models/transfer.h"
#include "runtime/stored_weights.h"

namespace deepcache::addon {
namespace {

constexpr int kMaxExtent = 4096;

struct Request {
  FreeU op;
  Plan plan;
  Floats x, skip;
  std::vector<float> factors;  // of each sample

  explicit Request(const Argument& in) {
    const auto extent = [&](const char* name) { return int(in[name].integer(1, kMaxExtent)); };
    const int n = extent("batch"), h = extent("height"), w = extent("width");
    const size_t pixels = size_t(n) * size_t(h) * size_t(w);
    x = in["x"].floats_of_multiple({pixels});
    skip = in["skip"].floats_of_multiple({pixels});
    const auto channels = [&](const char* name, const Floats& values) {
      const size_t count = values.size() / pixels;
      if (count < 1 || count > kMaxExtent) in[name].fail("of 1 to 4096 channels", "another number");
      return int(count);
    };
    op.threshold = int(in["threshold"].integer(1, FreeU::kMaxThreshold));
    op.x = plan.external(PortKind::hidden, {n, h, w, channels("x", x)});
    op.skip = plan.external(PortKind::residual, {n, h, w, channels("skip", skip)});
    op.factors = plan.external(PortKind::free_u, {n, 1, 1, 2});
    op.y = plan.external(PortKind::out, {n, h, w, op.x.shape.c + op.skip.shape.c});
    plan.add(op);
    plan.finish();
    const float b = float(in["b"].number()), s = float(in["s"].number());
    for (int i = 0; i < n; ++i) factors.insert(factors.end(), {b, s});
  }
};

std::vector<float> run(const Request& request, Backend& backend, const CancelFlag* cancel) {
  const auto& [op, plan, x, skip, factors] = request;
  Weights none(open_table({}), backend);
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<Binding> bindings;
  for (const External& external : plan.externals()) {
    buffers.push_back(backend.allocate(plan.external_bytes(external, backend.activation_type())));
    bindings.push_back({buffers.back().get()});
  }
  const size_t n = size_t(op.x.shape.n), pixels = size_t(op.x.shape.h) * size_t(op.x.shape.w);
  write_nchw(*buffers[0], x.data(), n, size_t(op.x.shape.c), pixels);
  write_nchw(*buffers[1], skip.data(), n, size_t(op.skip.shape.c), pixels);
  buffers[2]->upload(factors.data(), factors.size() * sizeof(float));
  const auto arena = backend.allocate(plan.arena_bytes(backend.activation_type()));
  backend.compile(plan, none, *arena, bindings)->run(0, cancel, nullptr);
  backend.synchronize();
  return read_nchw(*buffers[3], n, size_t(op.y.shape.c), pixels);
}

}  // namespace

Napi::Value free_u(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto backend =
        unwrap<NativeBackend>({info[0], "backend"}, "a Backend made by this addon").lease();
    const auto request = std::make_shared<const Request>(Argument{info[1], "request"});
    return start_job(info.Env(),
                     [backend, request](JobContext& context) -> Finish {
                       return context.hand_over(run(*request, *backend, context.cancel_flag()));
                     })
        .object(info.Env());
  });
}

}  // namespace deepcache::addon
