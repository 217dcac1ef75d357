// Half and double size, and the nearest code of a table.
//
//   resample      y = the mean of 2x2 squares of x, or each value of x four times: what y's size
//   says nearest code  y = the row of the table with the least squared distance to x's row, the
//   first of equals
//
// Shapes: any, NHWC. An odd last row or column of x is left out of the halving. The table holds the
// codes of a vector-quantised autoencoder: 8192 rows of 3 or 4 values; distances are summed in
// fp32.
//
// Why it is fast enough: DDPM's resampling moves each value once, neighbours on neighbours. The
// nearest code is a warp for each row of x: its lanes take every 32nd code, so that the table,
// which fits the L2 cache, is read in whole cache lines; then a reduction that prefers the lower
// index gives the same code as a loop would. It runs once per image.

#include "cuda/kernels/simple.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    resample_kernel(const __grid_constant__ ResampleArgs args) {
  follow_previous_grid();
  const size_t count = size_t(args.samples) * args.out_h * args.out_w * args.channels;
  const bool smaller = args.out_h < args.in_h || args.out_w < args.in_w;
  const size_t line = size_t(args.in_w) * args.channels;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const size_t pixel = i / args.channels, c = i - pixel * args.channels;
    const int x = int(pixel % args.out_w), y = int(pixel / args.out_w % args.out_h);
    const size_t image = pixel / args.out_w / args.out_h * args.in_h * line + c;
    if (!smaller) {
      store<T>(args.y, i, load<T>(args.x, image + y / 2 * line + size_t(x / 2) * args.channels));
      continue;
    }
    const size_t square = image + size_t(2 * y) * line + size_t(2 * x) * args.channels;
    const float sum = load<T>(args.x, square) + load<T>(args.x, square + args.channels) +
                      load<T>(args.x, square + line) +
                      load<T>(args.x, square + line + args.channels);
    store<T>(args.y, i, sum * 0.25f);
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    nearest_code_kernel(const __grid_constant__ NearestCodeArgs args) {
  follow_previous_grid();
  const int row = int(blockIdx.x) * (kThreads / 32) + int(threadIdx.x) / 32,
            lane = threadIdx.x % 32;
  if (row >= args.rows) return;
  const T* const table = static_cast<const T*>(args.table);
  const size_t first = size_t(row) * args.width;
  float least = 3e38f;
  int best = 0;
  for (int code = lane; code < args.codes; code += 32) {
    float distance = 0;
    for (int i = 0; i < args.width; i++) {
      const float d =
          load<T>(args.x, first + i) - Number<T>::widen(table[size_t(code) * args.width + i]);
      distance += d * d;
    }
    if (distance < least) {
      least = distance;
      best = code;
    }
  }
#pragma unroll
  for (int by = 16; by; by >>= 1) {
    const float other = __shfl_xor_sync(kAllLanes, least, by);
    const int code = __shfl_xor_sync(kAllLanes, best, by);
    if (other < least || (other == least && code < best)) {
      least = other;
      best = code;
    }
  }
  for (int i = lane; i < args.width; i += 32)
    store<T>(args.y, first + i, Number<T>::widen(table[size_t(best) * args.width + i]));
}

}  // namespace

template <typename T>
void launch_resample(const ResampleArgs& args, Stream stream) {
  const size_t count = size_t(args.samples) * args.out_h * args.out_w * args.channels;
  gpu::launch(resample_kernel<T>, dim3(blocks_for(count, kThreads)), dim3(kThreads), 0, stream,
              args);
}

template <typename T>
void launch_nearest_code(const NearestCodeArgs& args, Stream stream) {
  gpu::launch(nearest_code_kernel<T>, dim3(blocks_for(size_t(args.rows) * 32, kThreads)),
              dim3(kThreads), 0, stream, args);
}

template void launch_resample<Half>(const ResampleArgs&, Stream);
template void launch_resample<Bfloat16>(const ResampleArgs&, Stream);
template void launch_nearest_code<Half>(const NearestCodeArgs&, Stream);
template void launch_nearest_code<Bfloat16>(const NearestCodeArgs&, Stream);

}  // namespace deepcache::cuda
