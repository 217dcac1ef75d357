// What a plan and its segments cost.

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
  for (const OpRange& segment : segments)
    for (int i = segment.first; i < segment.last; ++i) macs += ops_[i].macs(weights_);
  return macs;
}

}  // namespace deepcache
