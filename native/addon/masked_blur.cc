#include "masked_blur.h"

#include "op_alone.h"

namespace deepcache::addon {
namespace {

OpAlone read_masked_blur(const Argument& in) {
  OpAlone out;
  const int n = OpAlone::extent(in, "batch");
  const Shape pixels{n, OpAlone::extent(in, "height"), OpAlone::extent(in, "width"), 1};
  const Argument mass = in["mass"];
  const Shape small{n, OpAlone::extent(mass, "height"), OpAlone::extent(mass, "width"), 1};
  if (small.h > pixels.h || small.w > pixels.w)
    mass.fail("no larger than the pixels", "a larger one");
  MaskedBlur op;
  op.x = out.input(in, "x", PortKind::sample, pixels);
  op.x2 = out.input(in, "x2", PortKind::hidden, pixels);
  if (op.x2.shape.c > op.x.shape.c) in["x2"].fail("of no more channels than x", "of more");
  op.mass = out.input(mass, "values", PortKind::attention_mass, small);
  std::vector<float> factors;
  for (const char* name : {"byX", "byX2", "signal"}) factors.push_back(float(in[name].number()));
  op.factors = out.input(PortKind::degrading, n, factors);
  op.y = out.plan.external(PortKind::degraded, op.x.shape);
  out.finish(op);
  return out;
}

}  // namespace

Napi::Value masked_blur(const Napi::CallbackInfo& info) {
  return start_alone(info, read_masked_blur);
}

}  // namespace deepcache::addon
