#include "tensor_map.h"

#include <cstring>
#include <stdexcept>

#include "memory.h"
#include "scheduler.h"

namespace deepcache::emulator {
namespace {

constexpr uint32_t kMagic = 0x70616d74;
static_assert(sizeof(MapFields) <= sizeof(CUtensorMap));

}  // namespace

void MapFields::set_tensor(const void* tensor, int bytes_of_value, int swizzle_mode) {
  *this = {};
  magic = kMagic;
  data = static_cast<char*>(const_cast<void*>(tensor));
  value_bytes = uint8_t(bytes_of_value);
  swizzle = uint8_t(swizzle_mode);
}

void MapFields::add_axis(long long values, long long step, int box_values, int every) {
  size[axes] = uint32_t(values);
  step_bytes[axes] = uint64_t(step);
  box[axes] = uint16_t(box_values);
  stride[axes] = uint8_t(every);
  axes++;
}

void MapFields::set_im2col(int channels, int pixels, std::array<int, 2> lower_corner,
                           std::array<int, 2> upper_corner) {
  is_im2col = 1;
  box[0] = uint16_t(channels);
  box[1] = uint16_t(pixels);
  for (int i = 0; i < 2; i++) {
    lower[i] = int8_t(lower_corner[i]);
    upper[i] = int8_t(upper_corner[i]);
  }
}

int MapFields::rows() const {
  int rows = 1;
  for (int i = 1; i < (is_im2col ? 2 : axes); i++) rows *= box[i];
  return rows;
}

void encode(const MapFields& fields, CUtensorMap& map) {
  size_t bytes = fields.value_bytes;
  for (int i = 0; i < fields.axes; i++) bytes += (fields.size[i] - 1) * fields.step_bytes[i];
  if (!in_global(fields.data, bytes))
    throw std::runtime_error("tensor map: the tensor reaches outside of its buffer");
  std::memcpy(&map, &fields, sizeof fields);
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
