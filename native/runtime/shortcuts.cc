#include "shortcuts.h"

#include <map>

namespace deepcache {
namespace {

bool is_plain(const Conv& c) {
  return c.kernel_h == 1 && c.kernel_w == 1 && c.stride == 1 && !c.upsample && !c.row &&
         !c.residual && c.activation == Activation::none && c.scale == 1;
}

struct Uses {
  int readers = 0, writers = 0, writer = -1;
};

}  // namespace

void find_shortcuts(std::vector<Op>& ops, const std::function<bool(int tensor)>& is_seen) {
  std::map<int, Uses> uses;
  for (int i = 0; i < int(ops.size()); ++i) {
    ops[i].inputs([&](const Tensor& tensor) { uses[tensor.id].readers++; });
    Uses& written = uses[ops[i].output().id];
    written.writers++;
    written.writer = i;
  }
  for (int i = 0; i < int(ops.size()); ++i) {
    if (ops[i].kind != OpKind::conv) continue;
    Conv& conv = ops[i].conv;
    conv.shortcut = -1;
    if (!conv.residual) continue;
    const Uses& residual = uses[conv.residual.id];
    if (residual.readers != 1 || residual.writers != 1 || is_seen(conv.residual.id)) continue;
    const Op& writer = ops[residual.writer];
    if (residual.writer > i || writer.kind != OpKind::conv || !is_plain(writer.conv)) continue;
    // Its inputs must not change before they are read here.
    bool kept = true;
    writer.inputs([&](const Tensor& tensor) {
      if (tensor) kept &= uses[tensor.id].writer < residual.writer;
    });
    if (kept) conv.shortcut = residual.writer;
  }
}

}  // namespace deepcache
