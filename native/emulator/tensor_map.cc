#include "tensor_map.h"

#include <cstring>
#include <stdexcept>
#include <string>

#include "memory.h"
#include "scheduler.h"

namespace deepcache::emulator {
namespace {

constexpr uint32_t kMagic = 0x70616d74;
static_assert(sizeof(MapFields) <= sizeof(CUtensorMap));

// The requirements are those of cuda.h, at the functions' declarations.
void require(bool met, const char* what) {
  if (!met) throw std::runtime_error(std::string("tensor map: ") + what);
}

void check_tensor(const CUtensorMap& map, const MapTensor& t) {
  constexpr uint64_t kMostDim = uint64_t(1) << 32, kStrides = uint64_t(1) << 40;
  require(reinterpret_cast<uintptr_t>(&map) % 64 == 0, "tensorMap must be aligned to 64 bytes");
  require(t.rank >= 1 && t.rank <= 5, "tensorRank must be 1 to 5");
  require(reinterpret_cast<uintptr_t>(t.global_address) % 16 == 0,
          "globalAddress must be aligned to 16 bytes");
  for (unsigned i = 0; i < t.rank; i++) {
    require(t.global_dim[i] >= 1 && t.global_dim[i] <= kMostDim, "globalDim must be 1 to 2^32");
    require(t.element_strides[i] >= 1 && t.element_strides[i] <= 8,
            "elementStrides must be 1 to 8");
  }
  for (unsigned i = 0; i + 1 < t.rank; i++)
    require(t.global_strides[i] % 16 == 0 && t.global_strides[i] < kStrides,
            "globalStrides must be multiples of 16 and less than 2^40");
}

void check_inner(const MapTensor& t, uint32_t values) {
  const uint64_t bytes = uint64_t(values) * t.value_bytes, span[] = {0, 32, 64, 128};
  require(bytes % 16 == 0, "the inner box must be a multiple of 16 bytes");
  require(t.swizzle == 0 || bytes <= span[t.swizzle],
          "the inner box must not be wider than the swizzle");
}

void check_corner(unsigned rank, const int* corner) {
  const int limit = rank == 3 ? 32768 : rank == 4 ? 128 : 16;
  for (unsigned i = 0; i + 2 < rank; i++)
    require(corner[i] >= -limit && corner[i] < limit,
            "a pixel box corner must be -32768 to 32767 with 3 axes, -128 to 127 with 4, -16 to 15 "
            "with 5");
}

MapFields fields_of(const MapTensor& t) {
  MapFields fields{};
  fields.magic = kMagic;
  fields.data = static_cast<char*>(const_cast<void*>(t.global_address));
  fields.axes = uint8_t(t.rank);
  fields.value_bytes = uint8_t(t.value_bytes);
  fields.swizzle = uint8_t(t.swizzle);
  for (unsigned i = 0; i < t.rank; i++) {
    fields.size[i] = uint32_t(t.global_dim[i]);
    fields.step_bytes[i] = i ? t.global_strides[i - 1] : uint64_t(t.value_bytes);
    fields.stride[i] = uint8_t(t.element_strides[i]);
  }
  return fields;
}

void write(const MapFields& fields, CUtensorMap& map) {
  size_t bytes = fields.value_bytes;
  for (int i = 0; i < fields.axes; i++) bytes += (fields.size[i] - 1) * fields.step_bytes[i];
  require(in_global(fields.data, bytes), "the tensor reaches outside of its buffer");
  std::memcpy(&map, &fields, sizeof fields);
}

}  // namespace

void encode_tiled(CUtensorMap& map, const MapTensor& tensor, const uint32_t* box_dim) {
  check_tensor(map, tensor);
  for (unsigned i = 0; i < tensor.rank; i++)
    require(box_dim[i] >= 1 && box_dim[i] <= 256, "boxDim must be 1 to 256");
  check_inner(tensor, box_dim[0]);
  MapFields fields = fields_of(tensor);
  // The box counts what the strides skip; the first stride is ignored.
  for (unsigned i = 0; i < tensor.rank; i++) {
    const uint32_t stride = i ? tensor.element_strides[i] : 1;
    fields.box[i] = uint16_t((box_dim[i] + stride - 1) / stride);
  }
  write(fields, map);
}

void encode_im2col(CUtensorMap& map, const MapTensor& tensor, const MapPixels& pixels) {
  check_tensor(map, tensor);
  require(tensor.rank >= 3, "tensorRank must be 3 to 5");
  check_corner(tensor.rank, pixels.lower_corner);
  check_corner(tensor.rank, pixels.upper_corner);
  require(pixels.channels_per_pixel >= 1 && pixels.channels_per_pixel <= 256,
          "channelsPerPixel must be 1 to 256");
  require(pixels.pixels_per_column >= 1 && pixels.pixels_per_column <= 1024,
          "pixelsPerColumn must be 1 to 1024");
  check_inner(tensor, pixels.channels_per_pixel);
  require(tensor.rank == 4, "the emulator has im2col with 4 axes only");
  MapFields fields = fields_of(tensor);
  fields.is_im2col = 1;
  fields.box[0] = uint16_t(pixels.channels_per_pixel);
  fields.box[1] = uint16_t(pixels.pixels_per_column);
  for (unsigned i = 0; i < 2; i++) {
    const int64_t base = int64_t(tensor.global_dim[i + 1]) + pixels.upper_corner[i];
    require(base > pixels.lower_corner[i], "the box of base pixels must not be empty");
    fields.lower[i] = int8_t(pixels.lower_corner[i]);
    fields.upper[i] = int8_t(pixels.upper_corner[i]);
  }
  write(fields, map);
}

int MapFields::rows() const {
  int rows = 1;
  for (int i = 1; i < (is_im2col ? 2 : axes); i++) rows *= box[i];
  return rows;
}

MapFields decode(const CUtensorMap* map, size_t axes, bool im2col, const char* file, int line) {
  MapFields fields;
  std::memcpy(&fields, map, sizeof fields);
  if (fields.magic != kMagic) fail(file, line, "TMA: not a tensor map");
  if (fields.axes != axes || bool(fields.is_im2col) != im2col)
    fail(file, line, "TMA: the tensor map is of %d axes%s, the instruction is not", fields.axes,
         fields.is_im2col ? ", im2col" : "");
  return fields;
}

}  // namespace deepcache::emulator
