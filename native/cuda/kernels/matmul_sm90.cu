// Matrix products and convolutions (matmul.h) for Hopper (sm_90a): TMA, mbarriers and wgmma.
//
// Shapes: any whose inputs are of type T with channel counts that are multiples of 8. A tile's rows
// are a box of output pixels (columns, rows, samples); for each tap and 64 channels of an input TMA
// fetches the box's input pixels, zeros where they lie outside, and the weight's rows. Channels
// behind an input's last arrive as zeros too, so that the weight's values beside them do not count.
// A box of fewer pixels than the tile has rows leaves rows that nobody reads.
//
// Why it is fast: one thread of the first warpgroup keeps a ring of 64-deep stages filled; the
// other two warpgroups hold half the tile's sums each and multiply straight from shared memory, in
// TMA's swizzle, without address arithmetic. As many blocks as multiprocessors go from tile to
// tile, the next tile's loads running under the epilogue. 160 columns fill the waves of a U-Net's
// channel counts (multiples of 320); tiles of 256 rows or columns read less from shared memory for
// each product. Phases, splits of k and a resnet's shortcut are part of the same loop.

#include "cuda/kernels/matmul_epilogue.h"

namespace deepcache::cuda {
namespace {

// The two consumers share a tile's rows, or the columns of one of 64 rows.
template <int kRows_, int kColumns_, int kStages_>
struct Tile {
  static constexpr int kRows = kRows_, kColumns = kColumns_, kStages = kStages_;
  static constexpr int kThreads = 3 * 128;  // a producer and two consumers
  static constexpr bool kSideBySide = kRows == 64;
  static constexpr int kWidth = kSideBySide ? kColumns / 2 : kColumns;  // columns of a consumer
  static constexpr int kRowBytes = kMatmulChunk * 2;
  static constexpr int kBytesA = kRows * kRowBytes, kBytesB = kColumns * kRowBytes;
  static constexpr size_t kSharedBytes = kStages * (kBytesA + kBytesB + 2 * sizeof(uint64_t));
  static_assert(kBytesA % 1024 == 0 && kWidth * kRowBytes % 1024 == 0);
  static_assert(kSharedBytes <= 227 * 1024);
};
using Tile64x160 = Tile<64, 160, 8>;
using Tile128x128 = Tile<128, 128, 6>;
using Tile128x160 = Tile<128, 160, 6>;
using Tile256x160 = Tile<256, 160, 4>;
using Tile128x256 = Tile<128, 256, 4>;

// What a block computes next: a box of a phase's pixels by a tile's columns, over chunks
// [first, last) of k.
struct Work {
  int phase, split, column, x, y, sample, first, last;
};

DEVICE int chunks_of(int channels) { return (channels + kMatmulChunk - 1) / kMatmulChunk; }

DEVICE int chunks_of(const MatmulSegment& s) {
  return s.kernel_h * s.kernel_w * (chunks_of(s.channels[0]) + chunks_of(s.channels[1]));
}

template <typename Tile>
DEVICE int count_work(const MatmulArgs& args, const MatmulBoxes& boxes) {
  return boxes.across * boxes.down * boxes.deep * args.phases * args.splits *
         ((args.columns + Tile::kColumns - 1) / Tile::kColumns);
}

// Neighbours share their pixels, and so what they read.
template <typename Tile>
DEVICE Work find_work(const MatmulArgs& args, const MatmulBoxes& boxes, int chunks, int item) {
  const auto take = [&](int count) {
    const int index = item % count;
    item /= count;
    return index;
  };
  Work work;
  work.column = take((args.columns + Tile::kColumns - 1) / Tile::kColumns) * Tile::kColumns;
  work.split = take(args.splits);
  work.x = take(boxes.across) * boxes.w;
  work.y = take(boxes.down) * boxes.h;
  work.sample = take(boxes.deep) * boxes.n;
  work.phase = item;
  work.first = int((long long)chunks * work.split / args.splits);
  work.last = int((long long)chunks * (work.split + 1) / args.splits);
  return work;
}

// 64 channels of an input under a tap.
struct Chunk {
  int segment, tap_y, tap_x, input, channel;
  int k;  // of the weight
};

[[maybe_unused]] DEVICE Chunk find_chunk(const MatmulArgs& args, int index) {
  Chunk chunk;
  const int first = chunks_of(args.segments[0]);
  chunk.segment = index >= first;
  if (chunk.segment) index -= first;
  const MatmulSegment& s = args.segments[chunk.segment];
  const int in_first = chunks_of(s.channels[0]), in_tap = in_first + chunks_of(s.channels[1]);
  const int tap = index / in_tap, rest = index - tap * in_tap;
  chunk.tap_y = tap / s.kernel_w;
  chunk.tap_x = tap - chunk.tap_y * s.kernel_w;
  chunk.input = rest >= in_first;
  chunk.channel = (rest - chunk.input * in_first) * kMatmulChunk;
  chunk.k = tap * (s.channels[0] + s.channels[1]) + chunk.channel;
  if (!PLANTED(30)) chunk.k += chunk.input * s.channels[0];
  return chunk;
}

// A place in the ring of stages; the parity is of the phase of its barriers.
template <int kStages>
struct Place {
  int stage = 0, parity = 0;
  DEVICE void next() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

// Where the pixel of a tile's row goes.
[[maybe_unused]] DEVICE OutputRow row_of(const MatmulArgs& args, const MatmulBoxes& boxes,
                                         const Work& work, int row) {
  const int line = row / boxes.w, sample = line / boxes.h;
  OutputRow out = output_row(args, work.phase, work.sample + sample,
                             work.y + line - sample * boxes.h, work.x + row - line * boxes.w);
  out.valid &= sample < boxes.n;
  return out;
}

template <typename T, typename Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    matmul_sm90_kernel(const __grid_constant__ MatmulArgs args,
                       const __grid_constant__ MatmulBoxes boxes) {
#if DEEPCACHE_SM90A
  constexpr int kStages = Tile::kStages, kWidth = Tile::kWidth, kBlocks = kWidth / 8;
  constexpr int kParts = Tile::kSideBySide ? 1 : Tile::kRows / 128;  // of 64 rows, of a consumer
  DYNAMIC_SHARED(shared);
  unsigned char* const shared_a = shared;
  unsigned char* const shared_b = shared_a + kStages * Tile::kBytesA;
  uint64_t* const full = reinterpret_cast<uint64_t*>(shared_b + kStages * Tile::kBytesB);
  uint64_t* const empty = full + kStages;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; i++) {
      mbarrier_init(&full[i], 1);
      mbarrier_init(&empty[i], PLANTED(20) ? 4 : 8);  // the consumers' warps
    }
    mbarrier_init_fence();
  }
  __syncthreads();

  int chunks = 0;
  for (int s = 0; s < args.segment_count; s++) chunks += chunks_of(args.segments[s]);
  const int items = count_work<Tile>(args, boxes);
  Place<kStages> place;

  const int group = int(threadIdx.x) / 128;
  if (group == 0) {
    registers_shrink<24>();
    if (threadIdx.x != 0) return;
    for (int i = 0; i < args.segment_count; i++) prefetch_map(&boxes.weight[i]);
    prefetch_map(&boxes.x[0][0]);
    const int stage_bytes = boxes.w * boxes.h * boxes.n * Tile::kRowBytes + Tile::kBytesB;
    const auto load_weight = [&](const Place<kStages>& to, const Work& work, const Chunk& chunk) {
      uint64_t* const barrier = &full[to.stage];
      mbarrier_wait(&empty[to.stage], PLANTED(21) ? to.parity : to.parity ^ 1);
      mbarrier_arrive_expect(barrier, PLANTED(22) ? stage_bytes - Tile::kBytesB : stage_bytes);
      tma_load_2d(shared_b + to.stage * Tile::kBytesB, &boxes.weight[chunk.segment], barrier,
                  chunk.k, work.phase * args.columns + work.column);
    };
    const auto load_input = [&](const Place<kStages>& to, const Work& work, const Chunk& chunk) {
      const MatmulSegment& s = args.segments[chunk.segment];
      tma_load_4d(shared_a + to.stage * Tile::kBytesA, &boxes.x[chunk.segment][chunk.input],
                  &full[to.stage], chunk.channel,
                  work.x * s.stride + s.origin_x + (work.phase & 1) + chunk.tap_x + PLANTED(23),
                  work.y * s.stride + s.origin_y + (work.phase >> 1) + chunk.tap_y, work.sample);
    };
    // Weights do not depend on the grid before this one: those of the first stages come while it
    // ends.
    if (args.computed_weights && !PLANTED(17)) wait_for_previous_grid();
    const Work first = find_work<Tile>(args, boxes, chunks, int(blockIdx.x));
    int ahead = first.last - first.first < kStages ? first.last - first.first : kStages;
    Place<kStages> weight_place;
    for (int i = 0; i < ahead; i++, weight_place.next())
      load_weight(weight_place, first, find_chunk(args, first.first + i));
    wait_for_previous_grid();
    for (int item = int(blockIdx.x); item < items; item += int(gridDim.x)) {
      const Work work = find_work<Tile>(args, boxes, chunks, item);
      for (int i = work.first; i < work.last; i++, place.next(), ahead--) {
        const Chunk chunk = find_chunk(args, i);
        if (ahead <= 0) load_weight(place, work, chunk);
        load_input(place, work, chunk);
      }
    }
    let_next_grid_start();
    return;
  }

  registers_grow<240>();
  wait_for_previous_grid();
  const int lane = int(threadIdx.x) & 31, warp = int(threadIdx.x) / 32 & 3;
  const int first_part = Tile::kSideBySide ? 0 : (group - 1) * kParts;  // of the tile's 64 rows
  const int side = Tile::kSideBySide ? (group - 1) * kWidth : 0;        // of the tile's columns
  for (int item = int(blockIdx.x); item < items; item += int(gridDim.x)) {
    const Work work = find_work<Tile>(args, boxes, chunks, item);
    const auto row_at = [&](int part, int half) {
      return row_of(args, boxes, work, (first_part + part) * 64 + warp * 16 + lane / 4 + half * 8);
    };
    float sums[kParts][kWidth / 2];
    // The sum with zero keeps the definition of the accumulators out of begin_sums()'s branches,
    // for which the assembler would run the products one by one.
    begin_sums<T, kParts, kBlocks>(args, work.column + side + lane % 4 * 2, row_at,
                                   [&](int part, int half, int b, float2 v) {
                                     sums[part][4 * b + 2 * half] = v.x + 0.0f;
                                     sums[part][4 * b + 2 * half + 1] = v.y + 0.0f;
                                   });

    int previous = 0;  // the stage that the products in flight read
    for (int i = work.first; i < work.last; i++, place.next()) {
      if (!PLANTED(24)) mbarrier_wait(&full[place.stage], place.parity);
      const unsigned char* const a = shared_a + place.stage * Tile::kBytesA;
      const unsigned char* const b =
          shared_b + place.stage * Tile::kBytesB + side * Tile::kRowBytes;
      if (!PLANTED(25)) wgmma_fence();
#pragma unroll
      for (int step = 0; step < kMatmulChunk / 16; step++)
#pragma unroll
        for (int part = 0; part < kParts; part++)
          wgmma<T, kWidth>(
              sums[part],
              wgmma_descriptor(a + (first_part + part) * 64 * Tile::kRowBytes + step * 32, 16,
                               1024),
              wgmma_descriptor(b + step * 32, 16, 1024), true);
      wgmma_commit();
      if (!PLANTED(26)) wgmma_wait<1>();
      // A warp waits for its own part of a product alone, so that each gives the stage back.
      if (lane == 0 && i > work.first) mbarrier_arrive(&empty[previous]);
      previous = place.stage;
    }
    if (!PLANTED(27)) wgmma_wait<0>();
    if (lane == 0) mbarrier_arrive(&empty[previous]);

#pragma unroll
    for (int part = 0; part < kParts; part++)
#pragma unroll
      for (int half = 0; half < 2; half++)
        write_row<T, kBlocks>(args, row_at(part, half), work.split, work.column + side, [&](int b) {
          return float2{sums[part][4 * b + 2 * half], sums[part][4 * b + 2 * half + 1]};
        });
  }
#endif
}

template <typename T, typename Tile>
void launch_tile(const MatmulArgs& args, const MatmulBoxes& boxes, int blocks, Stream stream) {
  const int items = boxes.across * boxes.down * boxes.deep * args.phases * args.splits *
                    ((args.columns + Tile::kColumns - 1) / Tile::kColumns);
  gpu::launch(matmul_sm90_kernel<T, Tile>, dim3(unsigned(items < blocks ? items : blocks)),
              dim3(Tile::kThreads), Tile::kSharedBytes, stream, args, boxes);
}

template <typename Tile>
constexpr MatmulTileInfo info() {
  return {Tile::kRows, Tile::kColumns, Tile::kThreads, Tile::kSharedBytes};
}

}  // namespace

MatmulTileInfo matmul_sm90_tile(MatmulTile tile) {
  switch (tile) {
    case MatmulTile::sm90_64x160:
      return info<Tile64x160>();
    case MatmulTile::sm90_128x128:
      return info<Tile128x128>();
    case MatmulTile::sm90_128x160:
      return info<Tile128x160>();
    case MatmulTile::sm90_256x160:
      return info<Tile256x160>();
    default:
      return info<Tile128x256>();
  }
}

template <typename T>
void launch_matmul_sm90(const MatmulArgs& args, const MatmulBoxes& boxes, MatmulTile tile,
                        int blocks, Stream stream) {
  switch (tile) {
    case MatmulTile::sm90_64x160:
      return launch_tile<T, Tile64x160>(args, boxes, blocks, stream);
    case MatmulTile::sm90_128x128:
      return launch_tile<T, Tile128x128>(args, boxes, blocks, stream);
    case MatmulTile::sm90_128x160:
      return launch_tile<T, Tile128x160>(args, boxes, blocks, stream);
    case MatmulTile::sm90_256x160:
      return launch_tile<T, Tile256x160>(args, boxes, blocks, stream);
    default:
      return launch_tile<T, Tile128x256>(args, boxes, blocks, stream);
  }
}

template void launch_matmul_sm90<Half>(const MatmulArgs&, const MatmulBoxes&, MatmulTile, int,
                                       Stream);
template void launch_matmul_sm90<Bfloat16>(const MatmulArgs&, const MatmulBoxes&, MatmulTile, int,
                                           Stream);

}  // namespace deepcache::cuda
