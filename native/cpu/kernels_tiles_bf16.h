#pragma once

// Products of tiles by AMX: two row tiles by the two vectors of a panel are four sums, which hide
// each other's latency; every tile that is loaded serves two of them.

#include "simd_bf16.h"

#include DEEPCACHE_TILES

namespace deepcache::cpu::DEEPCACHE_ISA {

// Tiles 0 to 3 hold sums, 4 and 5 rows, 6 and 7 columns. They are set up for the calling thread as
// long as the object lives: a thread with live tiles costs 8 KiB at each switch.
class TileScope {
 public:
  TileScope() {
    TileShapes shapes = {};
    shapes.palette = 1;
    for (int i = 0; i < 8; i++) {
      shapes.rows[i] = 16;
      shapes.bytes[i] = i == 4 || i == 5 ? kBf16Depth * sizeof(Bf16) : kLanes * sizeof(float);
    }
    tile_configure(shapes);
  }
  ~TileScope() { tile_release(); }
  TileScope(const TileScope&) = delete;
};

template <int Tiles, int Vectors>
static void product(int depth, const Bf16* a, ptrdiff_t a_tile, const Bf16* b, float* c,
                    bool first) {
  constexpr ptrdiff_t a_row = kBf16Depth * sizeof(Bf16), row = kPanel * sizeof(float);
  float* const c2 = c + kBf16Rows * kPanel;
  if (first) {
    tile_zero<0>();
    if (Vectors == 2) tile_zero<1>();
    if (Tiles == 2) tile_zero<2>();
    if (Tiles == 2 && Vectors == 2) tile_zero<3>();
  } else {
    tile_load<0>(c, row);
    if (Vectors == 2) tile_load<1>(c + kLanes, row);
    if (Tiles == 2) tile_load<2>(c2, row);
    if (Tiles == 2 && Vectors == 2) tile_load<3>(c2 + kLanes, row);
  }
  for (int d = 0; d < depth; d++) {
    tile_load<4>(a, a_row);
    tile_load<6>(b, row);
    tile_dot<0, 4, 6>();
    if (Vectors == 2) {
      tile_load<7>(b + 2 * kLanes, row);
      tile_dot<1, 4, 7>();
    }
    if (Tiles == 2) {
      tile_load<5>(a + a_tile, a_row);
      tile_dot<2, 5, 6>();
      if (Vectors == 2) tile_dot<3, 5, 7>();
    }
    a += kBf16Rows * kBf16Depth;
    b += kBf16Depth * kPanel;
  }
  tile_store<0>(c, row);
  if (Vectors == 2) tile_store<1>(c + kLanes, row);
  if (Tiles == 2) tile_store<2>(c2, row);
  if (Tiles == 2 && Vectors == 2) tile_store<3>(c2 + kLanes, row);
}

static double peak_loop_bf16(long rounds, float* sink) {
  alignas(64) Bf16 values[2][kBf16Rows * kBf16Depth] = {};
  alignas(64) float sums[kBf16Rows * kLanes];
  const TileScope tiles_are_set_up;
  tile_zero<0>(), tile_zero<1>(), tile_zero<2>(), tile_zero<3>();
  tile_load<4>(values[0], 64), tile_load<5>(values[0], 64);
  tile_load<6>(values[1], kLanes * sizeof(float)), tile_load<7>(values[1], kLanes * sizeof(float));
  for (long round = 0; round < rounds; round++) {
    tile_dot<0, 4, 6>();
    tile_dot<1, 4, 7>();
    tile_dot<2, 5, 6>();
    tile_dot<3, 5, 7>();
  }
  tile_store<0>(sums, kLanes * sizeof(float));
  *sink = sums[0];
  return 2.0 * double(rounds) * 4 * kBf16Rows * kLanes * kBf16Depth;
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA
