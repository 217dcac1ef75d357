#include "shortcuts.h"

#include "uses.h"

namespace deepcache {
namespace {

bool is_plain(const Conv& c) {
  return c.kernel_h == 1 && c.kernel_w == 1 && c.stride == 1 && !c.upsample && !c.row &&
         !c.residual && c.activation == Activation::none && c.scale == 1;
}

}  // namespace

void find_shortcuts(std::vector<Op>& ops, const std::function<bool(int tensor)>& is_seen) {
  const Uses uses(ops);
  for (int i = 0; i < int(ops.size()); ++i) {
    if (ops[i].kind != OpKind::conv) continue;
    Conv& conv = ops[i].conv;
    conv.shortcut = -1;
    if (!conv.residual) continue;
    const int writer = uses.only_writer(conv.residual.id);
    if (writer < 0 || writer > i || !uses.read_once(conv.residual.id) || is_seen(conv.residual.id))
      continue;
    // Its inputs must not change before they are read here.
    const Op& op = ops[writer];
    if (op.kind == OpKind::conv && is_plain(op.conv) && uses.written_before(op, writer))
      conv.shortcut = writer;
  }
}

}  // namespace deepcache
