#pragma once

#include <cstdint>

namespace deepcache::cpu {

// The operand of ldtilecfg (Intel SDM, volume 1, 18.1).
struct TileShapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t bytes[16];  // of a row
  uint8_t rows[16];
};
static_assert(sizeof(TileShapes) == 64);

}  // namespace deepcache::cpu
