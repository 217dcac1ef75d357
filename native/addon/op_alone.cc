#include "op_alone.h"

#include <memory>
#include <tuple>
#include <utility>

#include "backend.h"
#include "classes.h"
#include "errors.h"
#include "models/transfer.h"
#include "runtime/stored_weights.h"

namespace deepcache::addon {
namespace {

constexpr int kMaxExtent = 4096;

std::vector<float> run(const OpAlone& alone, Backend& backend, const CancelFlag* cancel) {
  const Plan& plan = alone.plan;
  Weights none(open_table({}), backend);
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<Binding> bindings;
  for (const External& external : plan.externals()) {
    buffers.push_back(backend.allocate(plan.external_bytes(external, backend.activation_type())));
    bindings.push_back({buffers.back().get()});
  }
  const auto extents = [&](size_t place) {
    const Shape& shape = plan.shape(plan.externals()[place].tensor);
    return std::tuple(size_t(shape.n), size_t(shape.c), size_t(shape.h) * size_t(shape.w));
  };
  for (size_t i = 0; i < alone.inputs.size(); ++i) {
    const auto [n, c, pixels] = extents(i);
    write_nchw(*buffers[i], alone.inputs[i].data(), n, c, pixels);
  }
  const auto arena = backend.allocate(backend.arena_bytes(plan));
  backend.compile(plan, none, *arena, bindings)->run(0, cancel, nullptr);
  backend.synchronize();
  const auto [n, c, pixels] = extents(alone.inputs.size());
  return read_nchw(*buffers.back(), n, c, pixels);
}

}  // namespace

int OpAlone::extent(const Argument& in, const char* name) {
  return int(in[name].integer(1, kMaxExtent));
}

Tensor OpAlone::input(const Argument& in, const char* name, Port port, Shape pixels) {
  const size_t rows = pixels.rows();
  const Floats values = in[name].floats_of_multiple({rows});
  const size_t channels = values.size() / rows;
  if (channels < 1 || channels > kMaxExtent)
    in[name].fail("of 1 to 4096 channels", "another number");
  inputs.emplace_back(values.data(), values.data() + values.size());
  pixels.c = int(channels);
  return plan.external(port, pixels);
}

Tensor OpAlone::input(Port port, int samples, const std::vector<float>& values) {
  std::vector<float>& all = inputs.emplace_back();
  for (int i = 0; i < samples; ++i) all.insert(all.end(), values.begin(), values.end());
  return plan.external(port, {samples, 1, 1, int(values.size())});
}

void OpAlone::finish(const Op& op) {
  plan.add(op);
  plan.finish();
}

Napi::Value start_alone(const Napi::CallbackInfo& info, OpAlone (*read)(const Argument& request)) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto backend =
        unwrap<NativeBackend>({info[0], "backend"}, "a Backend made by this addon").lease();
    const auto alone = std::make_shared<const OpAlone>(read(Argument{info[1], "request"}));
    return start_job(info.Env(),
                     [backend, alone](JobContext& context) -> Finish {
                       return context.hand_over(run(*alone, *backend, context.cancel_flag()));
                     })
        .object(info.Env());
  });
}

}  // namespace deepcache::addon
