#include "cuda/tensor_map.h"

namespace deepcache::cuda::gpu {
namespace {

int bytes_of(MapType type) { return type == MapType::fp32 ? 4 : type == MapType::byte ? 1 : 2; }

// The requirements of cuTensorMapEncodeTiled and -Im2col, so that the emulator refuses what the
// driver would refuse, and the reason has words.
void require(bool met, const char* what) {
  if (!met) throw Error(ErrorCode::kInternal, std::string("tensor map: ") + what);
}

void check_tensor(MapType type, const void* data, const std::vector<MapAxis>& axes) {
  require(!axes.empty() && axes.size() <= 5, "1 to 5 axes are possible");
  require(reinterpret_cast<uintptr_t>(data) % 16 == 0, "the data is not aligned to 16 bytes");
  require(axes[0].step_bytes == bytes_of(type), "the innermost axis is not dense");
  require(axes[0].stride == 1, "the innermost axis has a stride");
  for (size_t i = 0; i < axes.size(); i++) {
    require(axes[i].size >= 1 && axes[i].size <= 1ll << 32, "an axis has no values or too many");
    require(axes[i].stride >= 1 && axes[i].stride <= 8, "a stride is not 1 to 8");
    require(i == 0 || axes[i].step_bytes % 16 == 0, "a step is not a multiple of 16 bytes");
    require(axes[i].step_bytes > 0 && axes[i].step_bytes < 1ll << 40, "a step is out of range");
  }
}

void check_inner_box(MapType type, int values, Swizzle swizzle) {
  const int bytes = values * bytes_of(type);
  require(bytes % 16 == 0, "the inner box is not a multiple of 16 bytes");
  require(swizzle == Swizzle::none || bytes <= 16 << int(swizzle),
          "the inner box is wider than the swizzle");
}

void check_boxes(const std::vector<MapAxis>& axes) {
  for (const MapAxis& axis : axes)
    require(axis.box >= 1 && axis.box * axis.stride <= 256, "a box has no values or more than 256");
}

void check_im2col(const std::vector<MapAxis>& axes, const Im2col& im2col) {
  require(axes.size() == 4, "im2col is for 4 axes here");
  require(im2col.channels >= 1 && im2col.channels <= 256, "im2col takes 1 to 256 channels");
  require(im2col.pixels >= 1 && im2col.pixels <= 1024, "im2col takes 1 to 1024 pixels");
  for (const int corner : {im2col.lower_w, im2col.lower_h, im2col.upper_w, im2col.upper_h})
    require(corner >= -128 && corner <= 127, "an im2col corner is out of range");
}

// What the encoding functions take.
struct Arrays {
  explicit Arrays(const std::vector<MapAxis>& axes) {
    for (size_t i = 0; i < axes.size(); i++) {
      sizes[i] = uint64_t(axes[i].size);
      if (i) steps[i - 1] = uint64_t(axes[i].step_bytes);
      // The driver's box counts the values that are skipped.
      boxes[i] = uint32_t(axes[i].box * axes[i].stride);
      strides[i] = uint32_t(axes[i].stride);
      bytes += (axes[i].size - 1) * axes[i].step_bytes;
    }
    bytes += axes[0].step_bytes;
  }
  uint64_t sizes[5], steps[5];
  uint32_t boxes[5], strides[5];
  long long bytes = 0;
};

#if defined(__CUDACC__)

CUtensorMapDataType data_type(MapType type) {
  switch (type) {
    case MapType::half:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case MapType::bfloat16:
      return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case MapType::byte:
      return CU_TENSOR_MAP_DATA_TYPE_UINT8;
    default:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  }
}

// The driver's function, without linking the driver.
template <typename Function>
Function* driver_function(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
  check(cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &result), name);
#else
  check(cudaGetDriverEntryPoint(name, &function, cudaEnableDefault, &result), name);
#endif
  if (result != cudaDriverEntryPointSuccess)
    throw Error(ErrorCode::kInternal, std::string("the NVIDIA driver lacks ") + name);
  return reinterpret_cast<Function*>(function);
}

void check_encoded(CUresult result, const char* name) {
  if (result != CUDA_SUCCESS)
    throw Error(ErrorCode::kInternal,
                std::string("CUDA: ") + name + " failed: error " + std::to_string(int(result)));
}

// Drivers up to CUDA 13.1's set a bit for tensors of less than 128 KiB that makes copies of them
// wrong (CUTLASS clears it too, copy_traits_sm90_tma.hpp).
void correct_small(TensorMap& map, long long tensor_bytes) {
  int version = 0;
  check(cudaDriverGetVersion(&version), "reading the driver's version");
  if (version <= 13010 && tensor_bytes < 128 << 10)
    reinterpret_cast<uint64_t*>(&map)[1] &= ~(uint64_t(1) << 21);
}

#else

emulator::MapTensor tensor_of(MapType type, const void* data, size_t axes, const Arrays& arrays,
                              Swizzle swizzle) {
  return {bytes_of(type), unsigned(axes), data,        arrays.sizes,
          arrays.steps,   arrays.strides, int(swizzle)};
}

#endif

}  // namespace

TensorMap tiled_map(MapType type, const void* data, const std::vector<MapAxis>& axes,
                    Swizzle swizzle) {
  check_tensor(type, data, axes);
  check_boxes(axes);
  check_inner_box(type, axes[0].box, swizzle);
  TensorMap map;
  const Arrays arrays(axes);
#if defined(__CUDACC__)
  static auto* const encode =
      driver_function<decltype(cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled");
  check_encoded(encode(&map, data_type(type), cuuint32_t(axes.size()), const_cast<void*>(data),
                       arrays.sizes, arrays.steps, arrays.boxes, arrays.strides,
                       CU_TENSOR_MAP_INTERLEAVE_NONE, CUtensorMapSwizzle(swizzle),
                       CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
                "cuTensorMapEncodeTiled");
  correct_small(map, arrays.bytes);
#else
  emulator::encode_tiled(map, tensor_of(type, data, axes.size(), arrays, swizzle), arrays.boxes);
#endif
  return map;
}

TensorMap im2col_map(MapType type, const void* data, const std::vector<MapAxis>& axes,
                     const Im2col& im2col, Swizzle swizzle) {
  check_tensor(type, data, axes);
  check_im2col(axes, im2col);
  check_inner_box(type, im2col.channels, swizzle);
  TensorMap map;
  const Arrays arrays(axes);
  const int lower[2] = {im2col.lower_w, im2col.lower_h};
  const int upper[2] = {im2col.upper_w, im2col.upper_h};
#if defined(__CUDACC__)
  static auto* const encode =
      driver_function<decltype(cuTensorMapEncodeIm2col)>("cuTensorMapEncodeIm2col");
  check_encoded(
      encode(&map, data_type(type), cuuint32_t(axes.size()), const_cast<void*>(data), arrays.sizes,
             arrays.steps, lower, upper, cuuint32_t(im2col.channels), cuuint32_t(im2col.pixels),
             arrays.strides, CU_TENSOR_MAP_INTERLEAVE_NONE, CUtensorMapSwizzle(swizzle),
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
      "cuTensorMapEncodeIm2col");
  correct_small(map, arrays.bytes);
#else
  emulator::encode_im2col(map, tensor_of(type, data, axes.size(), arrays, swizzle),
                          {lower, upper, uint32_t(im2col.channels), uint32_t(im2col.pixels)});
#endif
  return map;
}

}  // namespace deepcache::cuda::gpu
