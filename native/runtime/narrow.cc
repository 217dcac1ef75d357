#include "narrow.h"

namespace deepcache {
namespace {

bool writes_narrow(const Op& op) {
  if (op.kind == OpKind::conv) return !op.conv.residual;
  if (op.kind == OpKind::attention) return !op.attention.identities;
  return op.kind == OpKind::group_norm || op.kind == OpKind::layer_norm;
}

// Calls `visit` for the tensors whose bits the op needs.
template <typename Visit>
void wide_inputs(const Op& op, const WeightSpecs& weights, bool norms, const Visit& visit) {
  if (op.kind == OpKind::attention && !op.attention.identities) return;
  if (op.kind == OpKind::group_norm && norms) return;
  if (op.kind != OpKind::conv || weights[size_t(op.conv.weight)].full) return op.inputs(visit);
  visit(op.conv.residual), visit(op.conv.row);
}

}  // namespace

std::vector<bool> find_narrow(const std::vector<Op>& ops, const WeightSpecs& weights, bool norms,
                              size_t count, const std::function<bool(int tensor)>& is_external) {
  std::vector<bool> is_written(count), is_wide(count);
  for (const Op& op : ops) {
    const size_t y = size_t(op.output().id);
    is_written[y] = true;
    if (!writes_narrow(op)) is_wide[y] = true;
    wide_inputs(op, weights, norms, [&](const Tensor& x) {
      if (x) is_wide[size_t(x.id)] = true;
    });
  }
  std::vector<bool> out(count);
  for (size_t id = 0; id < count; ++id)
    out[id] = is_written[id] && !is_wide[id] && !is_external(int(id));
  return out;
}

}  // namespace deepcache
