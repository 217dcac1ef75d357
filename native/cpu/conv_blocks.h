#pragma once

// How a region of a convolution's output is cut into items: blocks of its pixels by groups of the
// weight's panels.

#include "cpu/conv_regions.h"

namespace deepcache::cpu {

// A pixel of a region: its sample, row and column.
struct ConvPixel {
  int n, y, x;
};

// Pixels that an item computes: a run of them, through rows and samples, or a rectangle.
struct ConvBlock {
  size_t first = 0;                                // of a run, counted through all samples
  int n = 0, y = 0, x = 0, height = 0, width = 0;  // of a rectangle; a run has no width
  int count = 0;

  ConvPixel pixel(const ConvRegion& region, int r) const {
    if (width) return {n, y + r / width, x + r % width};
    const size_t at = first + size_t(r), area = size_t(region.height) * region.width;
    return {int(at / area), int(at % area) / region.width, int(at % area) % region.width};
  }
};

struct ConvSplit {
  int region = 0;
  int first_item = 0, blocks = 0, groups = 0;
  bool groups_outside = false;
  // What the blocks share: runs of whole `unit`s (but for the last) of these pixels, counted
  // through all samples; or `down` by `across` rectangles of each sample.
  size_t first = 0, pixels = 0;
  int unit = 1;
  int down = 0, across = 0;

  ConvBlock block(const ConvRegion& region, int index) const;
  int items() const { return blocks * groups; }
};

// What decides about the sizes.
struct ConvSizes {
  int rows, tile_rows;  // most pixels of a block; of a register tile
  int columns, panel;   // most columns of a group; of a panel,
  int panel_outputs;    // and how many of the output it makes
  int panels;           // of the weight
  int unit;             // see ConvSplit
  int threads;
};

// The largest extents of a rectangle.
int most_height(const ConvSplit& split, const ConvRegion& region);
int most_width(const ConvSplit& split, const ConvRegion& region);

// What an order of items must heed.
struct ConvOrder {
  bool is_normed = false;  // blocks are rectangles
  // Of a pixel, where the output is written over the input; none elsewhere.
  size_t input_bytes = 0, output_bytes = 0;
};

struct ConvSchedule {
  std::vector<ConvSplit> splits;  // by their first items
  int items = 0;
  std::vector<int> phases;  // behind which item each ends: one begins when those before are done

  const ConvSplit& split_of(int item) const {
    size_t which = splits.size() - 1;
    while (splits[which].first_item > item) which--;
    return splits[which];
  }
};

// `order`'s bytes are equal, or the input's are twice the output's or more.
ConvSchedule schedule(const Conv& op, const std::vector<ConvRegion>& regions,
                      const ConvOrder& order, const ConvSizes& sizes);

}  // namespace deepcache::cpu
