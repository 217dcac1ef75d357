// FreeU: y = x ++ skip, with half of x's channels and the low frequencies of skip scaled.
//
// Shapes: any; where channel counts are multiples of 8, accesses are of 16 bytes. Two kernels, each
// of which writes its part of y. The first one copies x. In the second one a block has some of a
// sample's channels and all of its pixels, which it reads twice: once for the sums over cosines and
// sines, and once, from the cache, for what is written. With the usual threshold there are four
// pairs of frequencies, so that this is no FFT but eight sums for each channel.
//
// Why it is fast enough: it is at home in the two coarsest levels of a U-Net. A thread has eight
// channels of a pixel, so that it needs a cosine and a sine for 16 multiply-adds. Sums over a
// sample are in a fixed order: the same input gives the same bits.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 512, kWarps = kThreads / 32;
constexpr int kAcross = 4;                   // threads that share a pixel
constexpr int kPixels = kThreads / kAcross;  // at a time
constexpr int kPairs = 4;                    // of frequencies, at a time
constexpr int kMaxGroups = FreeU::kMaxThreshold * FreeU::kMaxThreshold;
constexpr float kTurn = 6.28318531f;

struct FreeUArgs {
  View y, x, skip, factors;
  int samples = 0, height = 0, width = 0;
  int channels[2] = {};  // of x and of skip
  int factor_stride = 0, place = 0;
  FreeU::Band down = {}, along = {};
  float turn_down = 0, turn_along = 0;  // between neighbours, of frequency 1
  int pixels = 0, pairs = 0;            // of a sample; of frequencies
};

template <typename T, int kWidth>
DEVICE void read(const View& x, size_t at, float (&v)[kWidth]) {
  if constexpr (kWidth == 8)
    load_eight_floats<T>(x, at, v);
  else
    v[0] = load<T>(x, at);
}

template <typename T, int kWidth>
DEVICE void write(const View& y, size_t at, const float (&v)[kWidth]) {
  if constexpr (kWidth == 8)
    store_eight_floats<T>(y, at, v);
  else
    store<T>(y, at, v[0]);
}

template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    free_u_backbone_kernel(const __grid_constant__ FreeUArgs args) {
  follow_previous_grid();
  const int columns = args.channels[0] / kWidth, stride = args.channels[0] + args.channels[1];
  const size_t count = size_t(args.samples) * args.pixels * columns;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const size_t row = i / columns, sample = row / args.pixels;
    const int channel = int(i - row * columns) * kWidth;
    const float by = load<T>(args.factors, sample * args.factor_stride + args.place);
    float v[kWidth];
    read<T>(args.x, row * args.channels[0] + channel, v);
#pragma unroll
    for (int j = 0; j < kWidth; j++)
      if (channel + j < args.channels[0] / 2) v[j] *= by;
    write<T>(args.y, row * stride + channel, v);
  }
}

// Cosine and sine of a pair of frequencies at a pixel.
DEVICE float2 wave(const FreeUArgs& a, int pair, int row, int column) {
  const int i = pair / a.along.count, j = pair - i * a.along.count;
  const float turns = float((a.down.first + i) * row) * a.turn_down +
                      float((a.along.first + j) * column) * a.turn_along;
  return {cosf(kTurn * turns), sinf(kTurn * turns)};
}

template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    free_u_skip_kernel(const __grid_constant__ FreeUArgs args) {
  // A number for each cosine or sine, each channel of a pixel, and each thread across.
  constexpr int kSums = 2 * kPairs * kWidth * kAcross;
  SHARED_ARRAY(float, parts, kWarps* kSums);
  SHARED_ARRAY(float, sums, kMaxGroups* kSums);
  follow_previous_grid();
  const int pixels = args.pixels, across = int(threadIdx.x) % kAcross;
  const int lane = int(threadIdx.x) / kAcross;
  const int channel = (int(blockIdx.x) * kAcross + across) * kWidth;
  const bool active = channel < args.channels[1];
  const size_t begin = size_t(blockIdx.y) * pixels;

  for (int first = 0; first < args.pairs; first += kPairs) {
    float of_wave[kPairs][2][kWidth] = {};
    for (int pixel = lane; active && pixel < pixels; pixel += kPixels) {
      const int row = pixel / args.width, column = pixel - row * args.width;
      float v[kWidth];
      read<T>(args.skip, (begin + pixel) * args.channels[1] + channel, v);
#pragma unroll
      for (int p = 0; p < kPairs; p++) {
        if (first + p >= args.pairs) continue;
        const float2 w = wave(args, first + p, row, column);
#pragma unroll
        for (int j = 0; j < kWidth; j++) {
          of_wave[p][0][j] += w.x * v[j];
          of_wave[p][1][j] += w.y * v[j];
        }
      }
    }
    float* const part = parts + (int(threadIdx.x) / 32) * kSums + across * 2 * kPairs * kWidth;
#pragma unroll
    for (int p = 0; p < kPairs; p++)
#pragma unroll
      for (int which = 0; which < 2; which++)
#pragma unroll
        for (int j = 0; j < kWidth; j++) {
          float sum = of_wave[p][which][j];
#pragma unroll
          for (int by = kAcross; by < 32; by *= 2) sum += __shfl_xor_sync(kAllLanes, sum, by);
          if (threadIdx.x % 32 < kAcross) part[(2 * p + which) * kWidth + j] = sum;
        }
    if (!PLANTED(93)) __syncthreads();
    if (threadIdx.x < kSums) {
      float sum = 0;
      for (int warp = 0; warp < kWarps; warp++) sum += parts[warp * kSums + threadIdx.x];
      sums[first / kPairs * kSums + threadIdx.x] = sum;
    }
    __syncthreads();
  }
  if (!active) return;

  const size_t stride = size_t(args.channels[0]) + args.channels[1];
  const size_t factor = size_t(blockIdx.y) * args.factor_stride + args.place + 1;
  const float by = (load<T>(args.factors, factor) - 1) / float(pixels);
  for (int pixel = lane; pixel < pixels; pixel += kPixels) {
    const int row = pixel / args.width, column = pixel - row * args.width;
    float v[kWidth], low[kWidth] = {};
    read<T>(args.skip, (begin + pixel) * args.channels[1] + channel, v);
    for (int pair = 0; pair < args.pairs; pair++) {
      const float2 w = wave(args, pair, row, column);
      const float* const from =
          sums + pair / kPairs * kSums + (across * kPairs + pair % kPairs) * 2 * kWidth;
#pragma unroll
      for (int j = 0; j < kWidth; j++) low[j] += w.x * from[j] + w.y * from[kWidth + j];
    }
#pragma unroll
    for (int j = 0; j < kWidth; j++) v[j] += by * low[j];
    write<T>(args.y, (begin + pixel) * stride + args.channels[0] + channel, v);
  }
}

template <typename T, int kWidth>
void launch_free_u(const FreeUArgs& args, Stream stream) {
  const size_t count = size_t(args.samples) * args.pixels * args.channels[0] / kWidth;
  gpu::launch(free_u_backbone_kernel<T, kWidth>, dim3(blocks_for(count, kThreads)), dim3(kThreads),
              0, stream, args);
  const int columns = (args.channels[1] + kAcross * kWidth - 1) / (kAcross * kWidth);
  gpu::launch(free_u_skip_kernel<T, kWidth>, dim3(unsigned(columns), unsigned(args.samples)),
              dim3(kThreads), 0, stream, args);
}

FreeUArgs free_u_args(const FreeU& op, const OpContext& context) {
  FreeUArgs a;
  a.y = context.operands.view(op.y);
  a.x = context.operands.view(op.x);
  a.skip = context.operands.view(op.skip);
  a.factors = context.operands.view(op.factors);
  a.samples = op.skip.shape.n;
  a.height = op.skip.shape.h;
  a.width = op.skip.shape.w;
  a.channels[0] = op.x.shape.c;
  a.channels[1] = op.skip.shape.c;
  a.factor_stride = op.factors.shape.c;
  a.place = op.place;
  a.down = op.band(a.height);
  a.along = op.band(a.width);
  a.turn_down = 1.0f / float(a.height);
  a.turn_along = 1.0f / float(a.width);
  a.pixels = a.height * a.width;
  a.pairs = a.down.count * a.along.count;
  return a;
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const FreeU& op, const OpContext& context) {
  const FreeUArgs a = free_u_args(op, context);
  const bool eights = a.channels[0] % 8 == 0 && a.channels[1] % 8 == 0 && aligned(a.x) &&
                      aligned(a.skip) && aligned(a.y);
  return eights ? make_kernel_op(context, a, launch_free_u<Half, 8>, launch_free_u<Bfloat16, 8>,
                                 "FreeU, by eights")
                : make_kernel_op(context, a, launch_free_u<Half, 1>, launch_free_u<Bfloat16, 1>,
                                 "FreeU");
}

}  // namespace deepcache::cuda
