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
//
// Products of e4m3 (sm_89 and newer) are the same kernel: its rows of 128 bytes hold 128 values of
// k, and the registers of an mma.sync four where 16-bit values have two, so that copies, swizzle
// and ldmatrix stay as they are for twice the products. Scales multiply the sums before anything is
// added.

#include "cuda/kernels/matmul_e4m3.h"
#include "cuda/kernels/matmul_sm80_copies.h"

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

// Multiplies Operands: T, or E4m3.
template <typename T, typename Operand, typename Tile, bool kAsync>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kThreads == 128 ? 3 : 1)
    matmul_kernel(const __grid_constant__ MatmulArgs args) {
  if constexpr (kIsFp8<Operand> && !DEEPCACHE_FP8) return;
  using Copies = Copies<T, Operand, Tile, kAsync>;
  constexpr int kPart = Copies::kPart, kChunk = Copies::kChunk, kStages = Tile::kStages;
  constexpr int kFragmentRows = Tile::kWarpRows / 16, kFragmentColumns = Tile::kWarpColumns / 8;
  DYNAMIC_SHARED(shared);
  Operand* const shared_a = reinterpret_cast<Operand*>(shared);
  Operand* const shared_b = shared_a + kStages * Tile::kRows * kChunk;

  const int tiles_down = (args.rows + Tile::kRows - 1) / Tile::kRows;
  const int first_row = int(blockIdx.x) % tiles_down * Tile::kRows;
  const int first_column = int(blockIdx.x) / tiles_down * Tile::kColumns;
  const int phase = blockIdx.z;
  const int chunks_of_first = (args.segments[0].k + kChunk - 1) / kChunk;
  const int chunks = chunks_of_first + (args.segments[1].k + kChunk - 1) / kChunk;
  const int first_chunk = int((long long)chunks * blockIdx.y / args.splits);
  const int last_chunk = int((long long)chunks * (blockIdx.y + 1) / args.splits);
  const int lane = int(threadIdx.x) & 31, warp = int(threadIdx.x) / 32;
  const int warp_row = warp % Tile::kWarpsDown * Tile::kWarpRows;
  const int warp_column = warp / Tile::kWarpsDown * Tile::kWarpColumns;

  Copies copies(args, phase, first_row, first_column, first_chunk, chunks_of_first);
  wait_for_previous_grid();
  int filled = 0;  // the stage that is filled next
  const auto fetch = [&] {
    copies.next(shared_a + filled * Tile::kRows * kChunk,
                shared_b + filled * Tile::kColumns * kChunk);
    if (++filled == kStages) filled = 0;
  };
#pragma unroll
  for (int s = 0; s < kStages - 1; s++) {
    if (first_chunk + s < last_chunk) fetch();
    cp_async_commit();
  }

  const auto row_at = [&](int i, int half) {
    return output_row(args, phase, first_row + warp_row + i * 16 + lane / 4 + half * 8);
  };
  const int warp_first = first_column + warp_column;
  const auto add_row_vectors = [&](auto& to) {
    if (!args.has_row) return;
#pragma unroll
    for (int i = 0; i < kFragmentRows; i++)
#pragma unroll
      for (int half = 0; half < 2; half++)
        add_row_vector<T>(args, row_at(i, half), warp_first, half, to[i]);
  };
  // Sums begin with the bias and the row vector, whose loads run beside those of the first chunks;
  // those of codes get them when they are values.
  float sums[kFragmentRows][kFragmentColumns][4] = {};
  if (!kIsFp8<Operand> && !args.apart() && !args.normed) {
    begin_with_bias(args, warp_first, sums);
    add_row_vectors(sums);
  }

  // Where a lane's row of a matrix of 8 begins, of the first step: steps change bits of their own.
  const int lane_a = (warp_row + (lane & 15)) * kChunk + ((lane >> 4) ^ (lane & 7)) * kPart;
  const int lane_b = (warp_column + (lane & 7) + (lane >> 4) * 8) * kChunk +
                     ((lane >> 3 & 1) ^ (lane & 7)) * kPart;
  int stage = 0;
  for (int chunk = first_chunk; chunk < last_chunk; chunk++) {
    if (PLANTED(2))
      cp_async_wait<kStages - 1>();
    else
      cp_async_wait<kStages - 2>();
    if (!PLANTED(3))
      __syncthreads();  // the chunk has arrived, and all have read the stage that is filled next
    if (chunk + kStages - 1 < last_chunk) fetch();
    cp_async_commit();
    const Operand* const a = shared_a + stage * Tile::kRows * kChunk;
    const Operand* const b = shared_b + stage * Tile::kColumns * kChunk;
    if (++stage == kStages) stage = 0;
#pragma unroll
    for (int step = 0; step < 4; step++) {
      uint32_t fragment_a[kFragmentRows][4], fragment_b[kFragmentColumns][2];
#pragma unroll
      for (int i = 0; i < kFragmentRows; i++)
        ldmatrix_x4(fragment_a[i], a + i * 16 * kChunk + (lane_a ^ step * 2 * kPart));
#pragma unroll
      for (int j = 0; j < kFragmentColumns / 2; j++) {
        uint32_t four[4];
        ldmatrix_x4(four, b + j * 16 * kChunk + (lane_b ^ step * 2 * kPart));
        fragment_b[2 * j][0] = four[0];
        fragment_b[2 * j][1] = four[1];
        fragment_b[2 * j + 1][0] = four[2];
        fragment_b[2 * j + 1][1] = four[3];
      }
#pragma unroll
      for (int i = 0; i < kFragmentRows; i++)
#pragma unroll
        for (int j = 0; j < kFragmentColumns; j++)
          multiply<Operand>(sums[i][j], fragment_a[i], fragment_b[j]);
    }
  }
  cp_async_wait<0>();
  let_next_grid_start();

  if constexpr (kIsFp8<Operand>) {
#pragma unroll
    for (int i = 0; i < kFragmentRows; i++)
#pragma unroll
      for (int half = 0; half < 2; half++)
        scale_codes(args, row_at(i, half), warp_first, half, sums[i]);
    if (!args.apart()) add_row_vectors(sums);
  }

  if (!kIsFp8<Operand> && args.normed && !args.apart()) {
#pragma unroll
    for (int i = 0; i < kFragmentRows; i++)
#pragma unroll
      for (int half = 0; half < 2; half++)
        norm_sums(args, row_at(i, half), warp_first, half, sums[i]);
  }

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
    case Finish::plain_normed:
      return write(std::integral_constant<Finish, Finish::plain>());
    case Finish::residual:
      return write(std::integral_constant<Finish, Finish::residual>());
    case Finish::general:
      return write(std::integral_constant<Finish, Finish::general>());
    case Finish::geglu:
    case Finish::geglu_normed:
      return write(std::integral_constant<Finish, Finish::geglu>());
    case Finish::apart:
      return write(std::integral_constant<Finish, Finish::apart>());
    case Finish::plain_summed:
      return write(std::integral_constant<Finish, Finish::plain_summed>());
    case Finish::residual_summed:
      return write(std::integral_constant<Finish, Finish::residual_summed>());
  }
}

template <typename T, typename Tile>
void launch_tile(const MatmulArgs& args, Stream stream) {
  const unsigned tiles = unsigned((args.rows + Tile::kRows - 1) / Tile::kRows) *
                         unsigned((args.columns + Tile::kColumns - 1) / Tile::kColumns);
  const dim3 grid(tiles, unsigned(args.splits), unsigned(args.phases));
  const bool async =
      args.segments[0].in_async() && (args.segment_count == 1 || args.segments[1].in_async());
  auto* kernel = async ? matmul_kernel<T, T, Tile, true> : matmul_kernel<T, T, Tile, false>;
  if constexpr (std::is_same_v<T, Half>)  // what fp8 goes with
    if (args.fp8) kernel = matmul_kernel<T, E4m3, Tile, true>;
  gpu::launch(kernel, grid, dim3(Tile::kThreads), Tile::kSharedBytes, stream, args);
}

template <typename Tile>
constexpr MatmulTileInfo info() {
  return {Tile::kRows, Tile::kColumns, Tile::kThreads, Tile::kSharedBytes, Tile::kWarpColumns};
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
