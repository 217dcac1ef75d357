#include "folds.h"

#include <utility>

#include "uses.h"

namespace deepcache {
namespace {

bool is_linear(const Conv& c) {
  return c.kernel_h == 1 && c.kernel_w == 1 && c.stride == 1 && c.pad_top == 0 && c.pad_left == 0 &&
         !c.upsample && !c.x2 && !c.row && c.scale == 1;
}

bool may_fold(const Conv& c) {
  return is_linear(c) && !c.residual &&
         (c.activation == Activation::none || c.activation == Activation::geglu);
}

// Eights of values, as kernels write them whose rows are gathered.
bool may_sum(const Conv& c) {
  return is_linear(c) && c.activation == Activation::none && c.y.shape.c % 8 == 0 &&
         (!c.residual || c.residual_scale == 1);
}

}  // namespace

void find_folds(std::vector<Op>& ops, const std::vector<WeightSpec>& weights,
                const std::function<bool(int tensor)>& is_external,
                const std::function<bool(int first, int last)>& marked) {
  const Uses uses(ops);
  for (Op& op : ops) {
    if (op.kind != OpKind::conv) continue;
    op.conv.layer_norm = op.conv.row_writer = -1;
    op.conv.sums_rows = false;
  }
  std::vector<int> weight_readers(weights.size());
  for (const Op& op : ops) op.weights([&](const WeightId& id) { weight_readers[id]++; });
  int free_from = 0;  // behind the last reader of sums, whoever gathered them
  for (int i = 0; i < int(ops.size()); ++i) {
    if (ops[i].kind != OpKind::conv || !may_fold(ops[i].conv)) continue;
    Conv& conv = ops[i].conv;
    const int norm = uses.only_writer(conv.x.id);
    if (norm < 0 || norm > i || !uses.read_once(conv.x.id) || is_external(conv.x.id)) continue;
    if (ops[norm].kind != OpKind::layer_norm) continue;
    const LayerNorm& of = ops[norm].layer_norm;
    const size_t biases = conv.bias < 0 ? 0 : weights[conv.bias].names.size();
    if (biases > 1 && biases != weights[conv.weight].rows.size()) continue;
    if (of.gamma < 0 || of.beta < 0 || is_external(of.x.id) || of.x.shape.c % 8 != 0 ||
        of.x.shape.c != weights[conv.weight].in || conv.x.shape.c != of.x.shape.c ||
        !uses.written_before(ops[norm], norm) || weight_readers[conv.weight] != 1)
      continue;
    conv.layer_norm = norm;
    const int free = std::exchange(free_from, i + 1), writer = uses.only_writer(of.x.id);
    if (writer < free || ops[writer].kind != OpKind::conv || !may_sum(ops[writer].conv) ||
        ops[writer].conv.layer_norm >= 0 || ops[writer].conv.y.shape.c != of.x.shape.c ||
        marked(writer + 1, i))
      continue;
    conv.row_writer = writer;
    ops[writer].conv.sums_rows = true;
  }
}

bool is_folded(const Conv& conv, const std::vector<WeightSpec>& weights, bool fp8) {
  return conv.layer_norm >= 0 && !(fp8 && weights[conv.weight].fp8);
}

WeightSpec folded_spec(const std::vector<Op>& ops, const std::vector<WeightSpec>& weights,
                       const Conv& conv) {
  WeightSpec spec = weights[conv.weight];
  const LayerNorm& norm = ops[conv.layer_norm].layer_norm;
  for (const WeightId id : {norm.gamma, norm.beta, conv.bias}) {
    if (id < 0) continue;
    spec.names.insert(spec.names.end(), weights[id].names.begin(), weights[id].names.end());
    if (id != conv.bias)
      spec.norms++;
    else
      spec.biases = int(weights[id].names.size());
  }
  return spec;
}

}  // namespace deepcache
