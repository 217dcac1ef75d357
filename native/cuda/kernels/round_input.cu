// The input of a product of e4m3 as codes with their scales (round_input.h).
//
// Shapes: any whose channels are a multiple of 8. A row that has a scale of its own belongs to a
// warp, which reads it twice, the second time from the cache. A sample is shared by up to 64
// blocks: a first kernel leaves the largest magnitude of each part, the second takes the largest of
// these, so that the order of blocks makes no difference and nothing must be cleared before.
//
// Why it is fast: 16-byte reads and 8-byte writes of neighbouring lanes; what was just written by
// the op before is still in L2.

#include "cuda/kernels/round_input.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

// The largest of the eights first, first + step, ... of x.
template <typename T>
DEVICE float find_largest(const View& x, size_t begin, size_t first, size_t step, size_t eights) {
  float largest = 0;
  for (size_t i = first; i < eights; i += step) {
    float v[8];
    load_eight_floats<T>(x, begin + 8 * i, v);
#pragma unroll
    for (int j = 0; j < 8; j++) largest = fmaxf(largest, fabsf(v[j]));
  }
  return largest;
}

template <typename T>
DEVICE void write_codes(const RoundArgs& a, size_t begin, size_t first, size_t step, size_t eights,
                        float factor) {
  for (size_t i = first; i < eights; i += step) {
    float v[8];
    load_eight_floats<T>(a.x, begin + 8 * i, v);
    uint32_t codes[2];
#pragma unroll
    for (int j = 0; j < 2; j++)
      codes[j] = pack_e4m3(v[4 * j] * factor, v[4 * j + 1] * factor) |
                 uint32_t(pack_e4m3(v[4 * j + 2] * factor, v[4 * j + 3] * factor)) << 16;
    reinterpret_cast<uint2*>(a.codes + begin)[i] = {codes[0], codes[1]};
  }
}

// E4m3Scale of runtime/e4m3.h.
DEVICE float bounded(float largest) { return fmaxf(largest, 0x1p-100f); }

template <typename T>
__global__ void __launch_bounds__(kThreads) round_rows_kernel(const RoundArgs args) {
  follow_previous_grid();
  const int row = int(blockIdx.x) * kWarps + int(threadIdx.x) / 32, lane = int(threadIdx.x) & 31;
  if (row >= args.scales) return;
  const size_t begin = size_t(row) * args.count, eights = args.count / 8;
  const float largest = bounded(warp_max(find_largest<T>(args.x, begin, size_t(lane), 32, eights)));
  write_codes<T>(args, begin, size_t(lane), 32, eights, 448.0f / largest);
  if (lane == 0) args.to_scales[row] = largest / 448.0f;
}

template <typename T>
__global__ void __launch_bounds__(kThreads) largest_of_samples_kernel(const RoundArgs args) {
  SHARED_ARRAY(float, warps, kWarps);
  follow_previous_grid();
  const size_t begin = size_t(blockIdx.y) * args.count;
  const float largest =
      warp_max(find_largest<T>(args.x, begin, size_t(blockIdx.x) * kThreads + threadIdx.x,
                               size_t(gridDim.x) * kThreads, args.count / 8));
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = largest;
  if (!PLANTED(91)) __syncthreads();
  if (threadIdx.x != 0) return;
  float all = 0;
  for (int i = 0; i < kWarps; i++) all = fmaxf(all, warps[i]);
  args.largest[blockIdx.y * kRoundParts + blockIdx.x] = all;
}

template <typename T>
__global__ void __launch_bounds__(kThreads) round_samples_kernel(const RoundArgs args) {
  follow_previous_grid();
  const size_t begin = size_t(blockIdx.y) * args.count;
  const int lane = int(threadIdx.x) & 31;
  const float* const parts = args.largest + blockIdx.y * kRoundParts;
  float largest = 0;
  for (int i = lane; i < int(gridDim.x) - PLANTED(92); i += 32) largest = fmaxf(largest, parts[i]);
  largest = bounded(warp_max(largest));
  write_codes<T>(args, begin, size_t(blockIdx.x) * kThreads + threadIdx.x,
                 size_t(gridDim.x) * kThreads, args.count / 8, 448.0f / largest);
  if (blockIdx.x == 0 && threadIdx.x == 0) args.to_scales[blockIdx.y] = largest / 448.0f;
}

}  // namespace

template <typename T>
void launch_round_input(const RoundArgs& args, Stream stream) {
  if (args.rows) {
    gpu::launch(round_rows_kernel<T>, dim3(unsigned(args.scales + kWarps - 1) / kWarps),
                dim3(kThreads), 0, stream, args);
    return;
  }
  const dim3 grid(unsigned(args.parts()), unsigned(args.scales));
  gpu::launch(largest_of_samples_kernel<T>, grid, dim3(kThreads), 0, stream, args);
  gpu::launch(round_samples_kernel<T>, grid, dim3(kThreads), 0, stream, args);
}

template void launch_round_input<Half>(const RoundArgs&, Stream);

}  // namespace deepcache::cuda
