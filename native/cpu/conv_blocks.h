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
  int columns, panel;   // most columns of a group; of a panel
  int panels;           // of the weight
  int unit;             // see ConvSplit
  int threads;
};

// Runs of the pixels [first, first + pixels) of a region with so many values for each to be summed.
ConvSplit split_runs(size_t first, size_t pixels, size_t k, const ConvSizes& sizes);
// Rectangles of a whole region. Each costs `around` more rows and columns of input.
ConvSplit split_rectangles(const ConvRegion& region, int samples, size_t k, int around_y,
                           int around_x, const ConvSizes& sizes);
// The largest extents of a rectangle.
int most_height(const ConvSplit& split, const ConvRegion& region);
int most_width(const ConvSplit& split, const ConvRegion& region);

}  // namespace deepcache::cpu
