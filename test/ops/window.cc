#include <vector>

#include "op_cases.h"

namespace deepcache::test {
namespace {

using Weighting = FrameWindows::Weighting;

// The weights of diffusers' FreeNoiseTransformerBlock, written down once more.
std::vector<double> weights_of(const FrameWindows& windows) {
  const int n = windows.length, middle = n % 2 ? (n + 1) / 2 : n / 2;
  std::vector<double> out;
  if (windows.weighting == Weighting::flat) return std::vector<double>(size_t(n), 1.0);
  if (windows.weighting == Weighting::pyramid) {
    for (int i = 1; i <= middle; i++) out.push_back(i);
    for (int i = n % 2 ? middle - 1 : middle; i > 0; i--) out.push_back(i);
    return out;
  }
  out.assign(size_t(middle - 1), 0.01);
  if (n % 2 == 0) out.push_back(middle);
  for (int i = middle; i > 0; i--) out.push_back(i);
  return out;
}

struct Range {
  int begin, end;
};

// The first and last frames of all windows, and how many frames are left for the last one.
std::vector<Range> ranges_of(const FrameWindows& windows, int* rest) {
  std::vector<Range> out;
  for (int i = 0; i < windows.frames - windows.length + 1; i += windows.stride)
    out.push_back({i, i + windows.length});
  *rest = windows.frames - out.back().end;
  if (*rest) out.push_back({windows.frames - windows.length, windows.frames});
  return out;
}

OpCase window_case(const std::string& name, FrameWindows windows, bool merge) {
  return {"window_" + name, [=](OpBuilder& b) {
            const Shape all{2 * windows.frames, 3, 5, 7}, some{2 * windows.length, 3, 5, 7};
            Window op;
            op.windows = windows;
            op.merge = merge;
            op.y = b.output(merge ? all : some);
            if (!merge) op.x = b.input(all);
            op.index = windows.count() - 1;
            // A mean has no value before its last window.
            for (int i = 0; merge && i <= op.index; i++) {
              op.x = b.input(some);
              Window before = op;
              before.index = i;
              if (i < op.index) b.plan.add(before);
            }
            return Op(op);
          }};
}

}  // namespace

void reference(const Window& op, ReferenceState& state) {
  int rest = 0;
  const std::vector<Range> ranges = ranges_of(op.windows, &rest);
  const Range& own = ranges[size_t(op.index)];
  const auto& x = state.get(op.x);
  const size_t each = size_t(op.x.shape.h) * op.x.shape.w * op.x.shape.c;
  const int videos = (op.merge ? op.y : op.x).shape.n / op.windows.frames;
  const bool is_rest = rest > 0 && size_t(op.index) + 1 == ranges.size();
  const std::vector<double> weights = weights_of(op.windows);
  // A mean adds up, from nothing.
  auto& y = op.merge && op.index > 0 ? state.tensors.at(op.y.id) : state.output(op.y);
  for (int video = 0; video < videos; video++)
    for (int frame = own.begin; frame < own.end; frame++) {
      const int place = frame - own.begin;
      const size_t whole = size_t(video * op.windows.frames + frame) * each;
      const size_t part = size_t(video * op.windows.length + place) * each;
      double sum = 0;
      for (size_t i = 0; i < ranges.size() - (rest ? 1 : 0); i++)
        if (ranges[i].begin <= frame && frame < ranges[i].end)
          sum += weights[size_t(frame - ranges[i].begin)];
      if (is_rest) sum = sum > 0 ? 0 : weights[size_t(op.windows.length - rest)];
      for (size_t i = 0; i < each; i++)
        if (!op.merge)
          y[part + i] = x[whole + i];
        else if (sum > 0)
          y[whole + i] += x[part + i] * weights[size_t(place)] / sum;
    }
}

std::vector<OpCase> window_cases() {
  return {
      window_case("take", {9, 4, 2, Weighting::pyramid}, false),
      window_case("all", {5, 5, 3, Weighting::pyramid}, true),
      window_case("pyramid", {10, 4, 2, Weighting::pyramid}, true),
      window_case("pyramid_odd_rest", {11, 5, 2, Weighting::pyramid}, true),
      window_case("rest", {9, 4, 3, Weighting::pyramid}, true),
      window_case("flat", {8, 3, 3, Weighting::flat}, true),
      window_case("sawtooth", {9, 4, 2, Weighting::delayed_reverse_sawtooth}, true),
      window_case("sawtooth_odd", {12, 5, 3, Weighting::delayed_reverse_sawtooth}, true),
  };
}

}  // namespace deepcache::test
