// 3x3 convolutions with at most 8 outputs (matmul.h): the last layer of a U-Net and of an
// autoencoder. The other tiles would compute 64 columns or more of which 3 or 4 are used, and read
// every pixel nine times.
//
// Shapes: one input of type T whose channels are a multiple of 8, stride 1. A block owns 8x8
// pixels, each of its 4 warps two lines of them. Pixels with their neighbours (10x10) and the
// weights of all taps pass through shared memory in chunks of 64 channels; a tap is an offset
// between ldmatrix's rows.
//
// Why it is fast: it is bound by memory, and reads a pixel 1.6 times, mostly from L2. Four stages
// hide the latency; rows of 128 bytes are swizzled (chunk ^ row % 8), so that neither copies nor
// ldmatrix, whose 8 rows are neighbouring pixels, meet a bank twice. Four sums for each result
// break the chain of products.

#include "cuda/kernels/matmul_epilogue.h"

namespace deepcache::cuda {
namespace {

constexpr int kSide = 8, kHalo = kSide + 2, kTaps = 9, kColumns = 8, kChunk = kMatmulChunk;
constexpr int kStages = 4, kThreads = 128;
constexpr int kRowsA = kHalo * kHalo, kRowsB = kTaps * kColumns, kRows = kRowsA + kRowsB;
constexpr size_t kSharedBytes = size_t(kStages) * kRows * kChunk * 2;
constexpr int kSteps = kChunk / 16;
constexpr int kCopyRows = kThreads / 8, kCopiesA = (kRowsA + kCopyRows - 1) / kCopyRows;
static_assert(kCopyRows % kColumns == 0);

template <typename T>
__global__ void __launch_bounds__(kThreads)
    matmul_narrow_kernel(const __grid_constant__ MatmulArgs args) {
  follow_previous_grid();
  DYNAMIC_SHARED(shared);
  T* const stages = reinterpret_cast<T*>(shared);
  const MatmulSegment& from = args.segments[0];
  const int channels = from.channels[0], chunks = (channels + kChunk - 1) / kChunk;
  const int across = (args.out_w + kSide - 1) / kSide, down = (args.out_h + kSide - 1) / kSide;
  const int block = int(blockIdx.x), sample = block / (across * down);
  const int first_x = block % across * kSide, first_y = block / across % down * kSide;
  const int lane = int(threadIdx.x) & 31, warp = int(threadIdx.x) / 32;

  // Each thread copies the same 16 bytes of every kCopyRows-th row.
  const int copy_row = int(threadIdx.x) / 8, part = int(threadIdx.x) % 8;
  int pixels[kCopiesA];  // -1: outside
#pragma unroll
  for (int copy = 0; copy < kCopiesA; copy++) {
    const int row = copy_row + copy * kCopyRows;
    const int i = first_y + row / kHalo - 1, j = first_x + row % kHalo - 1;
    const bool inside =
        unsigned(i) < unsigned(from.in_h) && unsigned(j) < unsigned(from.in_w + PLANTED(14));
    pixels[copy] = inside ? (sample * from.in_h + i) * from.in_w + j : -1;
  }
  const int copy_column = copy_row % kColumns;
  const T* const x = static_cast<const T*>(from.x[0].data);
  const T* const weight =
      static_cast<const T*>(from.weight) + size_t(packed_row(copy_column)) * from.weight_stride;

  const auto fetch = [&](int chunk) {
    T* const to = stages + chunk % kStages * kRows * kChunk;
    const int channel = chunk * kChunk + part * 8;
    const auto place = [&](int row) { return to + row * kChunk + (part ^ row % 8) * 8; };
#pragma unroll
    for (int copy = 0; copy < kCopiesA; copy++) {
      const int row = copy_row + copy * kCopyRows;
      const bool valid = pixels[copy] >= 0 && channel < channels;
      if (row < kRowsA)
        cp_async16(place(row), valid ? x + size_t(pixels[copy]) * channels + channel : x, valid);
    }
#pragma unroll
    for (int row = copy_row; row < kRowsB; row += kCopyRows) {
      const bool valid = channel < channels && copy_column < args.columns;
      const T* const at = weight + row / kColumns * channels + channel;
      cp_async16(place(kRowsA + row), valid ? at : x, valid);
    }
  };
#pragma unroll
  for (int s = 0; s < kStages - 1; s++) {
    if (s < chunks) fetch(s);
    cp_async_commit();
  }

  float sums[kSteps][4] = {};
  for (int chunk = 0; chunk < chunks; chunk++) {
    cp_async_wait<kStages - 2>();
    if (!PLANTED(15)) __syncthreads();  // it has arrived, and all have read the stage filled next
    if (chunk + kStages - 1 < chunks) fetch(chunk + kStages - 1);
    cp_async_commit();
    const T* const a = stages + chunk % kStages * kRows * kChunk;
#pragma unroll
    for (int tap = 0; tap < kTaps; tap++) {
      uint32_t weights[kSteps / 2][4];
      const int row = kRowsA + tap * kColumns + (lane & 7);
#pragma unroll
      for (int i = 0; i < kSteps / 2; i++)
        ldmatrix_x4(weights[i], a + row * kChunk + ((i * 4 + (lane >> 3)) ^ row % 8) * 8);
      const int pixel = (warp * 2 + (lane >> 3 & 1) + tap / 3) * kHalo + (lane & 7) + tap % 3;
#pragma unroll
      for (int step = 0; step < kSteps; step++) {
        uint32_t pixels[4];
        ldmatrix_x4(pixels, a + pixel * kChunk + ((step * 2 + (lane >> 4)) ^ pixel % 8) * 8);
        const uint32_t* const pair = &weights[step / 2][step % 2 * 2];
        const uint32_t weight[2] = {pair[0], pair[1]};
        mma_16816<T>(sums[step], pixels, weight);
      }
    }
  }
  cp_async_wait<0>();

  const int column = lane % 4 * 2;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const OutputRow row =
        output_row(args, 0, sample, first_y + warp * 2 + half, first_x + lane / 4);
    const float2 add = row_pair<T>(args, sample, column);
    const float2 bias = bias_pair(args, column);
    float2 sum = {bias.x + add.x, bias.y + add.y};
#pragma unroll
    for (int step = 0; step < kSteps; step++) {
      sum.x += sums[step][2 * half];
      sum.y += sums[step][2 * half + 1];
    }
    write_pair<T>(args, row, column, sum);
  }
}

}  // namespace

bool is_narrow(const MatmulArgs& args) {
  const MatmulSegment& s = args.segments[0];
  return args.columns <= kColumns && !args.fp8 && args.segment_count == 1 && args.phases == 1 &&
         s.kernel_h == 3 && s.kernel_w == 3 && s.origin_y == -1 && s.origin_x == -1 &&
         s.stride == 1 && s.shift == 0 && s.channels[1] == 0 && s.in_async() &&
         args.activation != Activation::geglu;
}

MatmulTileInfo matmul_narrow_tile() { return {kSide * kSide, kColumns, kThreads, kSharedBytes}; }

template <typename T>
void launch_matmul_narrow(const MatmulArgs& args, Stream stream) {
  const int across = (args.out_w + kSide - 1) / kSide, down = (args.out_h + kSide - 1) / kSide;
  gpu::launch(matmul_narrow_kernel<T>, dim3(unsigned(args.samples) * across * down), dim3(kThreads),
              kSharedBytes, stream, args);
}

template void launch_matmul_narrow<Half>(const MatmulArgs&, Stream);
template void launch_matmul_narrow<Bfloat16>(const MatmulArgs&, Stream);

}  // namespace deepcache::cuda
