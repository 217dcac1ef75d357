#pragma once

// Tensor maps: what TMA (hopper_device.h) knows about a tensor in global memory and the boxes that
// are copied of it.

#include <vector>

#include "cuda/gpu.h"

namespace deepcache::cuda::gpu {

// How a box's rows lie in shared memory: 16-byte chunks are permuted within 2 to 8 rows of as many
// bytes, so that a column of chunks meets all banks. The values are the driver's.
enum class Swizzle { none = 0, bytes32 = 1, bytes64 = 2, bytes128 = 3 };

enum class MapType { half, bfloat16, fp32, byte };
template <typename T>
constexpr MapType kMapType = std::is_same_v<T, Half>       ? MapType::half
                             : std::is_same_v<T, Bfloat16> ? MapType::bfloat16
                                                           : MapType::fp32;

struct MapAxis {
  long long size = 1;  // values
  long long step_bytes =
      0;           // from one value to the next; of the innermost axis it is the value's size
  int box = 1;     // values in one copy
  int stride = 1;  // every stride-th value is copied
};

// A tensor of 1 to 5 axes, innermost first, copied in boxes. Throws Error(kInternal) for what TMA
// cannot do: an address or a step that is not a multiple of 16 bytes (but for the innermost axis),
// more than 256 values in a box's axis, an inner box of other than a multiple of 16 bytes or wider
// than the swizzle.
TensorMap tiled_map(MapType type, const void* data, const std::vector<MapAxis>& axes,
                    Swizzle swizzle);

// The pixels of a convolution's input that a filter tap meets: in one copy `channels` of `pixels`
// base pixels in a row. Base pixels run over [lower, size + upper) of an axis in steps of its
// `stride`.
struct Im2col {
  int channels = 0, pixels = 0;
  int lower_w = 0, lower_h = 0, upper_w = 0, upper_h = 0;  // -128 to 127
};

// Axes channels, w, h, n; their boxes are not used.
TensorMap im2col_map(MapType type, const void* data, const std::vector<MapAxis>& axes,
                     const Im2col& im2col, Swizzle swizzle);

}  // namespace deepcache::cuda::gpu
