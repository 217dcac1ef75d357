#include "cpu/conv_blocks.h"

#include <algorithm>

namespace deepcache::cpu {
namespace {

constexpr double kLeastWork = 2e5;  // multiply-adds that are worth an item

template <typename T>
T parts(T whole, T part) {
  return (whole + part - 1) / part;
}

// Enough items to share, each worth it. `tiles`: of all blocks, into which these may be cut.
void share(size_t& blocks, size_t& groups, size_t tiles, double work, const ConvSizes& sizes) {
  const size_t threads = size_t(sizes.threads), panels = size_t(sizes.panels);
  const size_t wanted =
      threads == 1 ? 1 : size_t(std::clamp(work / kLeastWork, 1.0, 4.0 * double(threads)));
  while (blocks * groups < wanted) {
    const size_t group_panels = panels / groups, tiles_left = tiles / blocks;
    if (group_panels > 1 && (group_panels >= 8 || tiles_left < 4)) {
      groups = std::min<size_t>(panels, std::max(groups + 1, wanted / blocks));
    } else if (tiles_left > 1) {
      blocks = std::min(tiles, std::max(blocks + 1, wanted / groups));
    } else {
      break;
    }
  }
  // An even share for each thread where items are few.
  if (blocks * groups < 8 * threads && blocks * groups > 1)
    while (blocks * groups % threads && groups < panels) groups++;
}

size_t least_groups(const ConvSizes& sizes) {
  return parts(size_t(sizes.panels) * sizes.panel, size_t(sizes.columns));
}

double work_of(size_t pixels, size_t k, const ConvSizes& sizes) {
  return double(pixels) * double(k) * sizes.panels * sizes.panel;
}

// Runs of the pixels [first, first + pixels) of a region with so many values for each to be summed.
ConvSplit split_runs(size_t first, size_t pixels, size_t k, const ConvSizes& sizes) {
  const size_t tiles = parts(pixels, size_t(sizes.tile_rows));
  size_t blocks = parts(tiles, size_t(sizes.rows / sizes.tile_rows)), groups = least_groups(sizes);
  share(blocks, groups, tiles, work_of(pixels, k, sizes), sizes);
  ConvSplit out;
  out.first = first;
  out.pixels = pixels;
  out.unit = sizes.unit;
  out.blocks = int(blocks);
  out.groups = int(groups);
  return out;
}

// Rectangles of a whole region. Each costs `around` more rows and columns of input.
ConvSplit split_rectangles(const ConvRegion& region, int samples, size_t k, int around_y,
                           int around_x, const ConvSizes& sizes) {
  constexpr double kAround = 1.0 / 16;  // what a pixel of input costs, in pixels of output
  ConvSplit out;
  double least = 0;
  for (int width = std::min(region.width, sizes.rows); width > 0; width--) {
    const int across = parts(region.width, width);
    const int down = parts(region.height, std::min(region.height, sizes.rows / width));
    const int w = parts(region.width, across), h = parts(region.height, down);
    const double cost = double(down) * across *
                        (parts(h * w, sizes.tile_rows) * sizes.tile_rows +
                         kAround * (h + around_y) * (w + around_x));
    if (out.across && cost >= least) continue;
    least = cost;
    out.down = down;
    out.across = across;
  }
  const size_t pixels = size_t(samples) * region.height * region.width;
  size_t blocks = size_t(samples) * out.down * out.across, groups = least_groups(sizes);
  share(blocks, groups, blocks, work_of(pixels, k, sizes), sizes);
  out.blocks = int(blocks);
  out.groups = int(groups);
  return out;
}

}  // namespace

ConvBlock ConvSplit::block(const ConvRegion& r, int index) const {
  ConvBlock out;
  if (across) {
    const auto cut = [](int whole, int part, int of) { return int(int64_t(whole) * part / of); };
    const int i = index / across % down, j = index % across;
    out.n = index / across / down;
    out.y = cut(r.height, i, down);
    out.x = cut(r.width, j, across);
    out.height = cut(r.height, i + 1, down) - out.y;
    out.width = cut(r.width, j + 1, across) - out.x;
    out.count = out.height * out.width;
    return out;
  }
  const auto begin = [&](int block) {
    if (unit == 1) return pixels * size_t(block) / size_t(blocks);
    const size_t units = parts(pixels, size_t(unit));
    return std::min(pixels, units * size_t(block) / size_t(blocks) * size_t(unit));
  };
  out.first = first + begin(index);
  out.count = int(begin(index + 1) - begin(index));
  return out;
}

int most_height(const ConvSplit& split, const ConvRegion& region) {
  return parts(region.height, split.down);
}

int most_width(const ConvSplit& split, const ConvRegion& region) {
  return parts(region.width, split.across);
}

ConvSchedule schedule(const Conv& op, const std::vector<ConvRegion>& regions,
                      const ConvOrder& order, const ConvSizes& sizes) {
  ConvSchedule out;
  for (size_t i = 0; i < regions.size(); i++) {
    const ConvRegion& region = regions[i];
    const size_t pixels = size_t(op.y.shape.n) * region.height * region.width;
    size_t k = 0;
    for (const ConvChunk& chunk : region.chunks) k += size_t(chunk.k);
    // The larger operand is read once, the smaller again and again from the cache.
    const size_t weight_size = k * sizes.panels * size_t(sizes.panel_outputs);
    const size_t input_size = op.x.shape.count() + (op.x2 ? op.x2.shape.count() : 0);
    const auto add = [&](ConvSplit split) {
      split.groups_outside = weight_size > input_size;
      split.region = int(i);
      split.first_item = out.items;
      out.items += split.items();
      out.splits.push_back(split);
    };
    if (order.is_normed) {
      add(split_rectangles(region, op.y.shape.n, k, op.kernel_h - 1, op.kernel_w - 1, sizes));
      continue;
    }
    if (!order.output_bytes) {
      add(split_runs(0, pixels, k, sizes));
      continue;
    }
    // An item of all columns reads its rows before it writes any.
    ConvSizes whole = sizes;
    whole.columns = whole.panel = sizes.panels * sizes.panel;
    whole.panels = 1;
    if (order.input_bytes == order.output_bytes) {
      // Each writes where nobody else reads.
      add(split_runs(0, pixels, k, whole));
      continue;
    }
    // Behind a first item, a block of whole tiles, what a phase writes lies where those before have
    // read.
    whole.threads = 1;
    const size_t shrinking = order.input_bytes / order.output_bytes;
    size_t done = std::min(pixels, size_t(sizes.rows / sizes.tile_rows * sizes.tile_rows));
    add(split_runs(0, done, k, whole));
    while (done < pixels) {
      out.phases.push_back(out.items);
      const size_t some = std::min(pixels - done, done * (shrinking - 1));
      add(split_runs(done, some, k, sizes));
      done += some;
    }
  }
  out.phases.push_back(out.items);
  return out;
}

}  // namespace deepcache::cpu
