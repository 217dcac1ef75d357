#include "free_u.h"

#include "op_alone.h"

namespace deepcache::addon {
namespace {

OpAlone read_free_u(const Argument& in) {
  OpAlone out;
  const int n = OpAlone::extent(in, "batch");
  const Shape pixels{n, OpAlone::extent(in, "height"), OpAlone::extent(in, "width"), 1};
  FreeU op;
  op.x = out.input(in, "x", PortKind::hidden, pixels);
  op.skip = out.input(in, "skip", PortKind::residual, pixels);
  op.threshold = int(in["threshold"].integer(1, FreeU::kMaxThreshold));
  op.factors = out.input(PortKind::free_u, n, {float(in["b"].number()), float(in["s"].number())});
  op.y = out.plan.external(PortKind::out, {n, pixels.h, pixels.w, op.x.shape.c + op.skip.shape.c});
  out.finish(op);
  return out;
}

}  // namespace

Napi::Value free_u(const Napi::CallbackInfo& info) { return start_alone(info, read_free_u); }

}  // namespace deepcache::addon
