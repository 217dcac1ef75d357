#pragma once

// What a tensor map says, as the emulator keeps it in the map's 128 bytes.

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

  // Of one copy.
  int rows() const;
  size_t row_bytes() const { return size_t(box[0]) * value_bytes; }
  size_t bytes() const { return row_bytes() * rows(); }
};

// What the driver's functions are told of a tensor, in their words; those that are the same
// everywhere here (no interleaving) are left out.
struct MapTensor {
  int value_bytes = 2;
  unsigned rank = 0;
  const void* global_address = nullptr;
  const uint64_t* global_dim = nullptr;
  const uint64_t* global_strides = nullptr;  // rank - 1
  const uint32_t* element_strides = nullptr;
  int swizzle = 0;
};

// cuTensorMapEncodeTiled and -Im2col. Throw std::runtime_error with the requirement of their
// documentation that is not met, or when the tensor is not inside of a buffer.
void encode_tiled(CUtensorMap& map, const MapTensor& tensor, const uint32_t* box_dim);
struct MapPixels {
  const int* lower_corner;  // rank - 2, as the upper one
  const int* upper_corner;
  uint32_t channels_per_pixel, pixels_per_column;
};
void encode_im2col(CUtensorMap& map, const MapTensor& tensor, const MapPixels& pixels);

// Fails when it is not a map for an instruction of `axes` coordinates.
MapFields decode(const CUtensorMap* map, size_t axes, bool im2col, const char* file, int line);

}  // namespace deepcache::emulator
