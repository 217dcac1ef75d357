#include "fusions.h"

#include "uses.h"

namespace deepcache {
namespace {

// Pixels of a sample from which on memory is worth saving.
constexpr size_t kLarge = 4096;

bool is_large(const Shape& shape) { return size_t(shape.h) * shape.w >= kLarge; }

// Whether each pixel of the output has one of the input in its middle, and neighbours at most.
bool is_local(const Conv& c) {
  return c.kernel_h <= 3 && c.kernel_w <= 3 && c.kernel_h % 2 == 1 && c.kernel_w % 2 == 1 &&
         c.pad_top == c.kernel_h / 2 && c.pad_left == c.kernel_w / 2 && c.stride == 1 &&
         !c.upsample && !c.x2 && c.y.shape.h == c.x.shape.h && c.y.shape.w == c.x.shape.w;
}

bool reads(const std::vector<Op>& ops, const Conv& conv, int tensor) {
  if (conv.x.id == tensor || conv.x2.id == tensor || conv.row.id == tensor) return true;
  bool found = false;
  if (conv.norm >= 0) ops[conv.norm].inputs([&](const Tensor& t) { found |= t.id == tensor; });
  return found;
}

// Whether each pixel's values are made of that pixel's alone.
bool is_pixelwise(const Conv& c) {
  return c.kernel_h == 1 && c.kernel_w == 1 && c.stride == 1 && !c.upsample && !c.x2 &&
         !c.residual && c.norm < 0 && c.activation != Activation::geglu && is_large(c.y.shape);
}

// The input whose place the output may take; none: no tensor.
Tensor succeeded(const std::vector<Op>& ops, const Op& op) {
  if (op.kind == OpKind::conv) {
    const Conv& conv = op.conv;
    if (conv.residual) return reads(ops, conv, conv.residual.id) ? Tensor() : conv.residual;
    return is_pixelwise(conv) ? conv.x : Tensor();
  }
  if (op.kind != OpKind::elementwise) return {};
  const Elementwise& e = op.elementwise;
  for (const Tensor* other : {&e.x2, &e.mask, &e.scale, &e.modulation})
    if (other->id == e.x.id) return {};
  return e.x;
}

}  // namespace

void find_fusions(std::vector<Op>& ops, const std::function<bool(int tensor)>& is_seen) {
  Uses uses(ops);
  for (Op& op : ops) {
    if (op.kind == OpKind::group_norm) op.group_norm.conv = -1;
    if (op.kind == OpKind::conv) op.conv.norm = -1;
  }
  for (int i = 0; i < int(ops.size()); ++i) {
    if (ops[i].kind != OpKind::conv) continue;
    Conv& conv = ops[i].conv;
    const int writer = uses.only_writer(conv.x.id);
    if (writer < 0 || writer > i || !uses.read_once(conv.x.id) || is_seen(conv.x.id)) continue;
    if (ops[writer].kind != OpKind::group_norm || !is_local(conv) || !is_large(conv.x.shape))
      continue;
    GroupNorm& norm = ops[writer].group_norm;
    if (norm.y.shape.n != conv.x.shape.n || norm.y.shape.c != conv.x.shape.c ||
        !uses.written_before(ops[writer], writer))
      continue;
    conv.norm = writer;
    norm.conv = i;
  }
}

size_t kept_of_norm(const GroupNorm& norm) {
  return 2 * size_t(norm.y.shape.n) * norm.y.shape.c * sizeof(float) / bytes_of(Type::f16);
}

void find_successions(const std::vector<Op>& ops,
                      const std::function<bool(int output, int input, int op)>& may_succeed,
                      const std::function<size_t(int tensor)>& bytes_of,
                      const std::function<void(int output, int input)>& succeed) {
  const Uses uses(ops);
  for (int i = 0; i < int(ops.size()); ++i) {
    const Tensor input = succeeded(ops, ops[i]), output = ops[i].output();
    if (!input || uses.only_writer(output.id) != i || !may_succeed(output.id, input.id, i))
      continue;
    if (ops[i].kind == OpKind::conv && !ops[i].conv.residual) {
      const size_t before = input.shape.c * bytes_of(input.id);
      const size_t after = output.shape.c * bytes_of(output.id);
      const bool widens = before == after && bytes_of(input.id) < bytes_of(output.id);
      if (before < 2 * after && !widens) continue;
    }
    succeed(output.id, input.id);
  }
}

}  // namespace deepcache
