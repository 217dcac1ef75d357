#include "cpu/conv_regions.h"

#include <algorithm>

#include "runtime/error.h"

namespace deepcache::cpu {
namespace {

// Cuts the taps' channels into pieces and those into chunks that are contiguous in the weight.
void add_chunks(ConvRegion& region, const Conv& op, const std::vector<ConvTap>& taps, int max_k,
                int depth) {
  const int widths[2] = {op.x.shape.c, op.x2 ? op.x2.shape.c : 0};
  const int channels = widths[0] + widths[1], total = (channels + depth - 1) / depth * depth;
  const int step = std::max(depth, 16);
  for (size_t first = 0; first < taps.size();) {
    size_t last = first + 1;  // the run of taps that follow each other in the weight
    while (last < taps.size() && taps[last].weight_row == taps[last - 1].weight_row + 1) last++;
    const int run = int(last - first) * total;
    const int chunks = (run + max_k - 1) / max_k;
    const int size = std::min(max_k, ((run + chunks - 1) / chunks + step - 1) / step * step);
    for (int begin = 0; begin < run; begin += size) {
      const int end = std::min(run, begin + size);
      ConvChunk chunk{taps[first].weight_row * total + begin, end - begin,
                      int(region.pieces.size()), 0};
      for (int at = begin; at < end;) {
        const ConvTap& tap = taps[first + at / total];
        const int channel = at % total, source = channel < widths[0] ? 0 : 1;
        if (channel >= channels) {
          at += total - channel;
          continue;
        }
        const int inner = source ? channel - widths[0] : channel;
        const int length = std::min(end - at, widths[source] - inner);
        region.pieces.push_back({tap, source, inner, length, at - begin});
        at += length;
      }
      chunk.last_piece = int(region.pieces.size());
      region.chunks.push_back(chunk);
    }
    first = last;
  }
}

ConvRegion whole(const Conv& op, int max_k, int depth) {
  const Shape &x = op.x.shape, &y = op.y.shape;
  ConvRegion region;
  region.height = y.h;
  region.width = y.w;
  region.stride = op.stride;
  region.origin_y = -op.pad_top;
  region.origin_x = -op.pad_left;
  region.limit_y = region.input_height = x.h;
  region.limit_x = region.input_width = x.w;
  if (op.upsample) {
    region.limit_y = std::min(2 * x.h, y.h);
    region.limit_x = std::min(2 * x.w, y.w);
    region.shift = 1;
  }
  if (op.kernel_h * op.kernel_w == 1 && op.stride == 1 && !op.upsample) {
    // Rows are rows, whatever the shapes call height and width.
    region.height = region.limit_y = region.input_height = 1;
    region.width = region.limit_x = region.input_width = y.h * y.w;
  }
  std::vector<ConvTap> taps;
  for (int i = 0; i < op.kernel_h; i++)
    for (int j = 0; j < op.kernel_w; j++) taps.push_back({i, j, i * op.kernel_w + j, 1.0f});
  add_chunks(region, op, taps, max_k, depth);
  return region;
}

// One axis of a phase: which of the weight's phases and taps apply, where they read, and the sign.
struct AxisTerm {
  int phase, tap, offset;
  float sign;
};

// Along an axis, outputs 2i, 2i + 1, and the last one when the enlargement was cropped before its
// pair. That one is an output 2i whose merged tap (1 + 2) must read by 1 alone: tap 2, which the
// odd phase holds by itself, is taken off again.
struct AxisPart {
  int first, step, count, origin;
  std::vector<AxisTerm> terms;
};

std::vector<AxisPart> axis_parts(int input, int output) {
  const bool cropped = output == 2 * input - 1;
  if (!cropped && output != 2 * input)
    throw Error(ErrorCode::kInternal, "conv: an x2 enlargement of another size");
  const int pairs = cropped ? input - 1 : input;
  const std::vector<AxisTerm> even = {{0, 0, -1, 1}, {0, 1, 0, 1}};
  std::vector<AxisPart> parts = {{0, 2, pairs, 0, even},
                                 {1, 2, pairs, 0, {{1, 0, 0, 1}, {1, 1, 1, 1}}}};
  if (cropped) {
    parts.push_back({output - 1, 1, 1, input - 1, even});
    parts.back().terms.push_back({1, 1, 0, -1});
  }
  return parts;
}

}  // namespace

std::vector<ConvRegion> conv_regions(const Conv& op, bool phases, int max_k, int depth) {
  if (!phases) return {whole(op, max_k, depth)};
  const Shape &x = op.x.shape, &y = op.y.shape;
  if (!op.upsample || op.stride != 1 || op.pad_top != 1 || op.pad_left != 1)
    throw Error(ErrorCode::kInternal, "conv: a phase-split weight without an enlargement");
  std::vector<ConvRegion> regions;
  for (const AxisPart& v : axis_parts(x.h, y.h)) {
    for (const AxisPart& h : axis_parts(x.w, y.w)) {
      if (v.count == 0 || h.count == 0) continue;
      ConvRegion region;
      region.first_y = v.first;
      region.first_x = h.first;
      region.step_y = v.step;
      region.step_x = h.step;
      region.height = v.count;
      region.width = h.count;
      region.origin_y = v.origin;
      region.origin_x = h.origin;
      region.limit_y = region.input_height = x.h;
      region.limit_x = region.input_width = x.w;
      std::vector<ConvTap> taps;
      for (const AxisTerm& a : v.terms)
        for (const AxisTerm& b : h.terms)
          taps.push_back({a.offset, b.offset, (a.phase * 2 + b.phase) * 4 + a.tap * 2 + b.tap,
                          a.sign * b.sign});
      add_chunks(region, op, taps, max_k, depth);
      regions.push_back(std::move(region));
    }
  }
  return regions;
}

}  // namespace deepcache::cpu
