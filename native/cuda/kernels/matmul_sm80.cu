// Matrix products and convolutions (matmul.h) for tensor cores of sm_80 and newer (mma.sync).
//
// Shapes: any. Where channel counts are multiples of 8 and the inputs are of type T, 16-byte
// cp.async copies feed the ring of shared memory (kAsync); otherwise threads gather values one by
// one, which only fp32 inputs and tiny test models need.
//
// Why it is fast: a block of 8 warps keeps 128x128 (or x160, since channel counts are multiples of
// 320) sums in registers and reads each value of A and W from shared memory by ldmatrix; three
// stages of 64 k-values hide the latency of global memory; rows of 128 bytes are swizzled (chunk ^
// row % 8), so that neither copies nor ldmatrix meet a bank twice. The epilogue works on registers.
// Where the grid would not fill the GPU, k is split over blocks whose sums a second kernel adds in
// a fixed order.

#include "cuda/kernels/matmul_epilogue.h"

namespace deepcache::cuda {
namespace {

template <int kRows_, int kColumns_, int kWarpRows_, int kWarpColumns_, int kStages_>
struct Tile {
  static constexpr int kRows = kRows_, kColumns = kColumns_, kStages = kStages_;
  static constexpr int kWarpRows = kWarpRows_, kWarpColumns = kWarpColumns_;
  static constexpr int kWarpsDown = kRows / kWarpRows;
  static constexpr int kThreads = kWarpsDown * (kColumns / kWarpColumns) * 32;
  static constexpr int kCopyRows = kThreads / 8;  // rows that the threads copy at once
  static constexpr size_t kSharedBytes = size_t(kStages) * (kRows + kColumns) * kMatmulChunk * 2;
  static_assert(kRows % kCopyRows == 0 && kColumns % kCopyRows == 0 && kWarpColumns % 16 == 0);
};
using Tile64x64 = Tile<64, 64, 32, 32, 4>;
using Tile128x128 = Tile<128, 128, 64, 32, 3>;
using Tile128x160 = Tile<128, 160, 32, 80, 3>;

// Where a row of A lies: the pixel of the output.
struct Pixel {
  int sample, y, x;
};

DEVICE Pixel find_pixel(const MatmulArgs& a, int row) {
  if (row >= a.rows) return {0, 1 << 24, 0};  // far outside of the input
  const int area = a.out_h * a.out_w, n = row / area, p = row - n * area, i = p / a.out_w;
  return {n, i, p - i * a.out_w};
}

// The input row of a tap of the pixel, or -1 outside.
DEVICE long long find_source(const MatmulSegment& from, int phase, const Pixel& pixel, int tap) {
  const int r = tap / from.kernel_w, s = tap - r * from.kernel_w;
  const int y = pixel.y * from.stride + from.origin_y + (phase >> 1) + r;
  const int x = pixel.x * from.stride + from.origin_x + (phase & 1) + s;
  const int edge = from.limit_w + PLANTED(1);
  if (unsigned(y) >= unsigned(from.limit_h) || unsigned(x) >= unsigned(edge)) return -1;
  return ((long long)pixel.sample * from.in_h + (y >> from.shift)) * from.in_w + (x >> from.shift);
}

// The 8 values of A from k on.
template <typename T>
DEVICE uint4 gather(const MatmulSegment& a, int phase, const Pixel& pixel, int k) {
  const int width = a.channels[0] + a.channels[1];
  int tap = k / width, channel = k - tap * width;
  uint4 out = {0, 0, 0, 0};
  if (k >= a.k) return out;
  long long source = find_source(a, phase, pixel, tap);
  if (a.eights) {
    if (source < 0) return out;
    const int which = channel >= a.channels[0];
    return load_eight<T>(a.x[which],
                         size_t(source) * a.channels[which] + channel - which * a.channels[0]);
  }
  float v[8];
#pragma unroll
  for (int i = 0; i < 8; i++) {
    v[i] = 0;
    if (k + i < a.k && source >= 0) {
      const int which = channel >= a.channels[0];
      v[i] =
          load<T>(a.x[which], size_t(source) * a.channels[which] + channel - which * a.channels[0]);
    }
    if (++channel == width) {
      channel = 0;
      source = find_source(a, phase, pixel, ++tap);
    }
  }
  return {Number<T>::pack(v[0], v[1]), Number<T>::pack(v[2], v[3]), Number<T>::pack(v[4], v[5]),
          Number<T>::pack(v[6], v[7])};
}

template <typename T, typename Tile, bool kAsync>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kThreads == 128 ? 3 : 1)
    matmul_kernel(const __grid_constant__ MatmulArgs args) {
  constexpr int kChunk = kMatmulChunk, kStages = Tile::kStages;
  constexpr int kFragmentRows = Tile::kWarpRows / 16, kFragmentColumns = Tile::kWarpColumns / 8;
  constexpr int kCopiesA = Tile::kRows / Tile::kCopyRows;
  constexpr int kCopiesB = Tile::kColumns / Tile::kCopyRows;
  DYNAMIC_SHARED(shared);
  T* const shared_a = reinterpret_cast<T*>(shared);
  T* const shared_b = shared_a + kStages * Tile::kRows * kChunk;

  const int tiles_down = (args.rows + Tile::kRows - 1) / Tile::kRows;
  const int first_row = int(blockIdx.x) % tiles_down * Tile::kRows;
  const int first_column = int(blockIdx.x) / tiles_down * Tile::kColumns;
  const int phase = blockIdx.z;
  const int chunks_of_first = (args.segments[0].k + kChunk - 1) / kChunk;
  const int chunks = chunks_of_first + (args.segments[1].k + kChunk - 1) / kChunk;
  const int first_chunk = int((long long)chunks * blockIdx.y / args.splits);
  const int last_chunk = int((long long)chunks * (blockIdx.y + 1) / args.splits);
  const int thread = threadIdx.x, lane = thread & 31, warp = thread / 32;
  const int warp_row = warp % Tile::kWarpsDown * Tile::kWarpRows;
  const int warp_column = warp / Tile::kWarpsDown * Tile::kWarpColumns;

  // Each thread copies the same 16 bytes of every kCopyRows-th row.
  const int copy_row = thread / 8, copy_k = thread % 8 * 8;
  const int swizzled = ((thread % 8) ^ (copy_row % 8)) * 8;
  Pixel pixels[kCopiesA];
#pragma unroll
  for (int i = 0; i < kCopiesA; i++)
    pixels[i] = find_pixel(args, first_row + copy_row + i * Tile::kCopyRows);

  const auto fetch = [&](int chunk) {
    const int stage = (chunk - first_chunk) % kStages;
    const bool second = chunk >= chunks_of_first;
    const MatmulSegment& from = args.segments[second];
    const int k = (second ? chunk - chunks_of_first : chunk) * kChunk + copy_k;
    T* const to_a = shared_a + stage * Tile::kRows * kChunk + swizzled;
    T* const to_b = shared_b + stage * Tile::kColumns * kChunk + swizzled;
    if constexpr (kAsync) {
      const int width = from.channels[0] + from.channels[1];
      const int tap = k / width, channel = k - tap * width;
      const int which = channel >= from.channels[0];
      const T* const x = static_cast<const T*>(from.x[which].data);
      const int inner = channel - which * from.channels[0];
#pragma unroll
      for (int i = 0; i < kCopiesA; i++) {
        const long long source = k < from.k ? find_source(from, phase, pixels[i], tap) : -1;
        cp_async16(to_a + (copy_row + i * Tile::kCopyRows) * kChunk,
                   source < 0 ? x : x + size_t(source) * from.channels[which] + inner, source >= 0);
      }
    } else {
#pragma unroll
      for (int i = 0; i < kCopiesA; i++)
        *reinterpret_cast<uint4*>(to_a + (copy_row + i * Tile::kCopyRows) * kChunk) =
            gather<T>(from, phase, pixels[i], k);
    }
    const int packed = packed_rows(args.columns);
    const T* const weight =
        static_cast<const T*>(from.weight) + size_t(phase) * packed * from.weight_stride;
#pragma unroll
    for (int i = 0; i < kCopiesB; i++) {
      const int column = first_column + copy_row + i * Tile::kCopyRows;
      const bool valid = column < packed && k < from.weight_stride;
      cp_async16(to_b + (copy_row + i * Tile::kCopyRows) * kChunk,
                 valid ? weight + size_t(column) * from.weight_stride + k : weight, valid);
    }
  };

  wait_for_previous_grid();
#pragma unroll
  for (int s = 0; s < kStages - 1; s++) {
    if (first_chunk + s < last_chunk) fetch(first_chunk + s);
    cp_async_commit();
  }

  const auto row_at = [&](int i, int half) {
    return output_row(args, phase, first_row + warp_row + i * 16 + lane / 4 + half * 8);
  };
  // Sums begin with the bias and the row vector, whose loads run beside those of the first chunks.
  float sums[kFragmentRows][kFragmentColumns][4] = {};
  if (!args.apart()) {
    const int first = first_column + warp_column;
    begin_with_bias(args, first, sums);
    if (args.has_row) {
#pragma unroll
      for (int i = 0; i < kFragmentRows; i++)
#pragma unroll
        for (int half = 0; half < 2; half++)
          add_row_vector<T>(args, row_at(i, half), first, half, sums[i]);
    }
  }

  for (int chunk = first_chunk; chunk < last_chunk; chunk++) {
    if (PLANTED(2))
      cp_async_wait<kStages - 1>();
    else
      cp_async_wait<kStages - 2>();
    if (!PLANTED(3))
      __syncthreads();  // the chunk has arrived, and all have read the stage that is filled next
    if (chunk + kStages - 1 < last_chunk) fetch(chunk + kStages - 1);
    cp_async_commit();
    const int stage = (chunk - first_chunk) % kStages;
    const T* const a = shared_a + stage * Tile::kRows * kChunk;
    const T* const b = shared_b + stage * Tile::kColumns * kChunk;
#pragma unroll
    for (int step = 0; step < kChunk / 16; step++) {
      uint32_t fragment_a[kFragmentRows][4], fragment_b[kFragmentColumns][2];
#pragma unroll
      for (int i = 0; i < kFragmentRows; i++) {
        const int r = warp_row + i * 16 + (lane & 15), part = step * 2 + (lane >> 4);
        ldmatrix_x4(fragment_a[i], a + r * kChunk + ((part ^ (r & 7)) * 8));
      }
#pragma unroll
      for (int j = 0; j < kFragmentColumns / 2; j++) {
        const int r = warp_column + j * 16 + (lane & 7) + (lane >> 4) * 8;
        const int part = step * 2 + (lane >> 3 & 1);
        uint32_t four[4];
        ldmatrix_x4(four, b + r * kChunk + ((part ^ (r & 7)) * 8));
        fragment_b[2 * j][0] = four[0];
        fragment_b[2 * j][1] = four[1];
        fragment_b[2 * j + 1][0] = four[2];
        fragment_b[2 * j + 1][1] = four[3];
      }
#pragma unroll
      for (int i = 0; i < kFragmentRows; i++)
#pragma unroll
        for (int j = 0; j < kFragmentColumns; j++)
          mma_16816<T>(sums[i][j], fragment_a[i], fragment_b[j]);
    }
  }
  cp_async_wait<0>();
  let_next_grid_start();

  const auto write = [&](auto finish) {
    constexpr Finish kFinish = decltype(finish)::value;
#pragma unroll
    for (int i = 0; i < kFragmentRows; i++)
#pragma unroll
      for (int half = 0; half < 2; half++)
        write_row<T, kFinish>(args, row_at(i, half), blockIdx.y, first_column + warp_column, half,
                              sums[i]);
  };
  switch (args.finish()) {
    case Finish::plain:
      return write(std::integral_constant<Finish, Finish::plain>());
    case Finish::residual:
      return write(std::integral_constant<Finish, Finish::residual>());
    case Finish::general:
      return write(std::integral_constant<Finish, Finish::general>());
    case Finish::geglu:
      return write(std::integral_constant<Finish, Finish::geglu>());
    case Finish::apart:
      return write(std::integral_constant<Finish, Finish::apart>());
  }
}

template <typename T, typename Tile>
void launch_tile(const MatmulArgs& args, Stream stream) {
  const unsigned tiles = unsigned((args.rows + Tile::kRows - 1) / Tile::kRows) *
                         unsigned((args.columns + Tile::kColumns - 1) / Tile::kColumns);
  const dim3 grid(tiles, unsigned(args.splits), unsigned(args.phases));
  const bool async =
      args.segments[0].in_async() && (args.segment_count == 1 || args.segments[1].in_async());
  gpu::launch(async ? matmul_kernel<T, Tile, true> : matmul_kernel<T, Tile, false>, grid,
              dim3(Tile::kThreads), Tile::kSharedBytes, stream, args);
}

template <typename Tile>
constexpr MatmulTileInfo info() {
  return {Tile::kRows, Tile::kColumns, Tile::kThreads, Tile::kSharedBytes};
}

}  // namespace

MatmulTileInfo matmul_sm80_tile(MatmulTile tile) {
  switch (tile) {
    case MatmulTile::sm80_64x64:
      return info<Tile64x64>();
    case MatmulTile::sm80_128x128:
      return info<Tile128x128>();
    default:
      return info<Tile128x160>();
  }
}

template <typename T>
void launch_matmul_sm80(const MatmulArgs& args, MatmulTile tile, Stream stream) {
  switch (tile) {
    case MatmulTile::sm80_64x64:
      return launch_tile<T, Tile64x64>(args, stream);
    case MatmulTile::sm80_128x128:
      return launch_tile<T, Tile128x128>(args, stream);
    default:
      return launch_tile<T, Tile128x160>(args, stream);
  }
}

template void launch_matmul_sm80<Half>(const MatmulArgs&, MatmulTile, Stream);
template void launch_matmul_sm80<Bfloat16>(const MatmulArgs&, MatmulTile, Stream);

}  // namespace deepcache::cuda
