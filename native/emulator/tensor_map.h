#pragma once

// What a tensor map says, as the emulator keeps it in the map's 128 bytes.

#include <array>
#include <cstddef>
#include <cstdint>

#include "types.h"

namespace deepcache::emulator {

struct MapFields {
  uint32_t magic;
  uint8_t axes, value_bytes, swizzle /* 0 to 3: none, 32, 64, 128 bytes */, is_im2col;
  char* data;
  uint64_t step_bytes[5];
  uint32_t size[5];
  uint16_t box[5];  // im2col: channels, pixels
  uint8_t stride[5];
  int8_t lower[2], upper[2];  // of im2col's base pixels: w, h

  void set_tensor(const void* tensor, int bytes_of_value, int swizzle_mode);
  void add_axis(long long values, long long step, int box_values, int every);
  void set_im2col(int channels, int pixels, std::array<int, 2> lower_corner,
                  std::array<int, 2> upper_corner);

  // Of one copy.
  int rows() const;
  size_t row_bytes() const { return size_t(box[0]) * value_bytes; }
  size_t bytes() const { return row_bytes() * rows(); }
};

// Throws std::runtime_error when the tensor is not inside of a buffer.
void encode(const MapFields& fields, CUtensorMap& map);
// Fails when it is not a map for an instruction of `axes` coordinates.
MapFields decode(const CUtensorMap* map, size_t axes, bool im2col, const char* file, int line);

}  // namespace deepcache::emulator
