// What a plan and its segments cost.

#include <algorithm>

#include "error.h"
#include "plan.h"

namespace deepcache {

int count_ops(const OpRanges& segments) {
  int count = 0;
  for (const OpRange& segment : segments) count += segment.count();
  return count;
}

size_t Plan::weight_count() const {
  size_t count = 0;
  for (const WeightSpec& spec : weights_) count += spec.count();
  return count;
}

const Macs& Plan::macs_before(int op) const {
  static const Macs none;
  if (op == 0) return none;
  if (op == int(ops_.size())) return macs_;
  for (const Mark& mark : marks_)
    if (mark.op == op) return mark.macs;
  throw Error(ErrorCode::kInternal, "plan: there is no mark before op " + std::to_string(op));
}

Macs Plan::macs(const OpRanges& segments) const {
  Macs macs;
  for (const OpRange& segment : segments) {
    macs += macs_before(segment.last);
    macs -= macs_before(segment.first);
  }
  return macs;
}

double Plan::executed_macs(const OpRanges& segments) const {
  double macs = 0;
  const auto count = [&](const Op& op) {
    if (op.kind == OpKind::conv) {
      const WeightSpec& weight = weights_[op.conv.weight];
      const double rows = double(op.conv.y.shape.rows());
      // The four phases of an upsampling 3x3 convolution have 2x2 taps.
      const double taps =
          weight.recipe == Recipe::upsample ? 4 : double(weight.kernel_h) * weight.kernel_w;
      macs += rows * weight.out * weight.in * taps;
    } else if (op.kind == OpKind::attention) {
      const Attention& a = op.attention;
      macs += 2.0 * a.outer * a.inner * a.query.length * a.key.length * a.heads * a.head_width;
    }
  };
  for (const OpRange& segment : segments)
    std::for_each(ops_.begin() + segment.first, ops_.begin() + segment.last, count);
  return macs;
}

}  // namespace deepcache
