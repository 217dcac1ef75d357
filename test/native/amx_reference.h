#pragma once

// What AMX's instructions do, as Intel's manual defines them (SDM, volume 2: LDTILECFG, TILELOADD,
// TILESTORED, TDPBF16PS), and what they refuse. In place of cpu/tiles_amx.h.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "cpu/tile_shapes.h"

namespace deepcache::cpu::DEEPCACHE_ISA {

struct Tiles {
  bool configured = false;
  TileShapes shapes = {};
  uint8_t values[8][16][64] = {};

  int rows(int tile) const { return checked(tile).shapes.rows[tile]; }
  int bytes(int tile) const { return checked(tile).shapes.bytes[tile]; }

 private:
  const Tiles& checked(int tile) const {
    if (!configured)
      throw std::logic_error("a tile is used before ldtilecfg or behind tilerelease");
    if (tile < 0 || tile > 7 || !shapes.rows[tile])
      throw std::logic_error("a tile without a shape");
    return *this;
  }
};

inline Tiles& tiles() {
  static thread_local Tiles all;
  return all;
}

inline void tile_configure(const TileShapes& shapes) {
  if (shapes.palette != 1 || shapes.start_row) throw std::logic_error("ldtilecfg: palette");
  for (int i = 0; i < 16; i++)
    if (shapes.rows[i] > 16 || shapes.bytes[i] > 64 ||
        (i > 7 && (shapes.rows[i] || shapes.bytes[i])))
      throw std::logic_error("ldtilecfg: a shape that is too large");
  tiles() = {true, shapes, {}};
}

inline void tile_release() { tiles() = {}; }

template <int T>
void tile_zero() {
  tiles().rows(T);
  std::memset(tiles().values[T], 0, sizeof tiles().values[T]);
}

template <int T>
void tile_load(const void* from, ptrdiff_t stride) {
  tile_zero<T>();
  for (int r = 0; r < tiles().rows(T); r++)
    std::memcpy(tiles().values[T][r], static_cast<const char*>(from) + r * stride,
                tiles().bytes(T));
}

template <int T>
void tile_store(void* to, ptrdiff_t stride) {
  for (int r = 0; r < tiles().rows(T); r++)
    std::memcpy(static_cast<char*>(to) + r * stride, tiles().values[T][r], tiles().bytes(T));
}

template <int Sum, int A, int B>
void tile_dot() {
  Tiles& t = tiles();
  if (t.bytes(A) != 4 * t.rows(B) || t.rows(Sum) != t.rows(A) || t.bytes(Sum) != t.bytes(B))
    throw std::logic_error("tdpbf16ps: shapes that do not belong together");
  const auto value = [](const uint8_t* pair, int half) {
    uint16_t bits;
    std::memcpy(&bits, pair + 2 * half, 2);
    return std::bit_cast<float>(uint32_t(bits) << 16);
  };
  for (int m = 0; m < t.rows(Sum); m++)
    for (int n = 0; n < t.bytes(Sum) / 4; n++) {
      float sums[2] = {};
      for (int k = 0; k < t.rows(B); k++)
        for (int half = 0; half < 2; half++)
          sums[half] += value(t.values[A][m] + 4 * k, half) * value(t.values[B][k] + 4 * n, half);
      float sum;
      std::memcpy(&sum, t.values[Sum][m] + 4 * n, 4);
      sum += sums[0] + sums[1];
      std::memcpy(t.values[Sum][m] + 4 * n, &sum, 4);
    }
}

}  // namespace deepcache::cpu::DEEPCACHE_ISA
