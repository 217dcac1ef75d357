#include <algorithm>
#include <cmath>

#include "cuda/hopper_time.h"
#include "cuda/tiles.h"

namespace deepcache::cuda {
namespace {

struct NamedTile {
  MatmulTile tile;
  const char* name;
};
constexpr NamedTile kTiles[] = {
    {MatmulTile::narrow_64x8, "narrow_64x8"},
    {MatmulTile::sm80_64x64, "sm80_64x64"},
    {MatmulTile::sm80_128x128, "sm80_128x128"},
    {MatmulTile::sm80_128x160, "sm80_128x160"},
    {MatmulTile::sm90_128x128, "sm90_128x128"},
    {MatmulTile::sm90_128x160, "sm90_128x160"},
    {MatmulTile::sm90_256x160, "sm90_256x160"},
    {MatmulTile::sm90_128x256, "sm90_128x256"},
    {MatmulTile::sm90_64x160, "sm90_64x160"},
    {MatmulTile::sm90_128x160_pairs, "sm90_128x160_pairs"},
    {MatmulTile::sm90_128x256_pairs, "sm90_128x256_pairs"},
    {MatmulTile::sm90_64x160_pairs, "sm90_64x160_pairs"},
};

int parts(int whole, int part) { return (whole + part - 1) / part; }

// Tiles one below the other.
int count_down(const MatmulArgs& args, MatmulTile tile) {
  const int rows = matmul_tile_info(tile).rows;
  if (!is_sm90(tile)) return parts(args.rows, rows);
  const MatmulBoxes boxes = choose_boxes(args, rows);
  return boxes.across * boxes.down * boxes.deep;
}

Finish finish_of(const MatmulArgs& args, int splits) {
  return splits > 1 ? Finish::apart : args.finish();
}

// Estimated cycles of matmul_sm80.cu: waves of tiles over the multiprocessors, each with its start,
// its chunks of k and its epilogue; finishing apart adds the traffic of the partial sums and a
// kernel.
double sm80_cycles(const MatmulArgs& args, const MatmulChoice& choice, double tiles,
                   int multiprocessors) {
  constexpr double kProductsPerCycle = 1024, kOutputBytes = 32, kStart = 600;
  constexpr double kApart = 3000, kPartialBytes = 10;
  const MatmulTileInfo info = matmul_tile_info(choice.tile);
  const double area = double(info.rows) * info.columns;
  const double efficiency = info.columns < 128 ? 0.6 : 0.9;
  const double waves = std::ceil(tiles * choice.splits / multiprocessors);
  const double chunks = parts(chunk_count(args, false), choice.splits);
  const double chunk = area * kMatmulChunk / kProductsPerCycle / efficiency;
  const double cycles = waves * (kStart + chunks * chunk + area * 2 / kOutputBytes);
  if (finish_of(args, choice.splits) != Finish::apart) return cycles;
  const double bytes = double(args.phases) * args.rows * args.columns * 8 * choice.splits;
  return cycles + kApart + bytes / (kPartialBytes * multiprocessors);
}

double cost(const MatmulArgs& args, const MatmulChoice& choice, int tiles_down,
            int multiprocessors) {
  const MatmulTileInfo info = matmul_tile_info(choice.tile);
  const double tiles = double(tiles_down) * parts(args.columns, info.columns) * args.phases;
  if (!is_sm90(choice.tile)) return sm80_cycles(args, choice, tiles, multiprocessors);
  const double outputs = double(args.phases) * args.rows * args.columns;
  return hopper_cycles({info.rows, info.columns, tiles, chunk_count(args, true), choice.splits,
                        finish_of(args, choice.splits), outputs, args.fp8, has_pairs(choice.tile)},
                       multiprocessors)
      .total();
}

bool serves(const MatmulArgs& args, MatmulTile tile, const gpu::Properties& gpu) {
  if (tile == MatmulTile::narrow_64x8) return false;
  bool mappable = gpu.hopper;
  for (int s = 0; s < args.segment_count; s++) mappable &= args.segments[s].mappable;
  return is_sm90(tile) == mappable && matmul_tile_info(tile).shared_bytes <= gpu.shared_bytes;
}

}  // namespace

const char* name_of(MatmulTile tile) {
  for (const NamedTile& named : kTiles)
    if (named.tile == tile) return named.name;
  return "";
}

bool parse_tile(const std::string& name, MatmulTile& tile) {
  for (const NamedTile& named : kTiles) {
    if (named.name != name) continue;
    tile = named.tile;
    return true;
  }
  return false;
}

int chunk_count(const MatmulArgs& args, bool sm90) {
  if (sm90) return matmul_sm90_chunks(args);
  int chunks = 0;  // values of k in a row, whatever they are
  for (int i = 0; i < args.segment_count; i++)
    chunks += parts(args.segments[i].k, matmul_chunk(args.fp8));
  return chunks;
}

std::vector<MatmulChoice> rank_choices(const MatmulArgs& args, const gpu::Properties& gpu) {
  if (is_narrow(args)) return {MatmulChoice{MatmulTile::narrow_64x8, 1}};
  constexpr int kSplits[] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16};
  constexpr int kLeastChunks = 4;  // of a split's part
  std::vector<std::pair<double, MatmulChoice>> choices;
  const bool pairs = gpu.hopper && gpu.clusters && !args.fp8 && matmul_sm90_pairs_fit();
  for (const auto& [tile, name] : kTiles) {
    if (!serves(args, tile, gpu) || (has_pairs(tile) && !pairs)) continue;
    const int chunks = chunk_count(args, is_sm90(tile)), tiles_down = count_down(args, tile);
    if (has_pairs(tile) && tiles_down % 2 != 0) continue;
    for (const int splits : kSplits) {
      if (splits > 1 && splits * kLeastChunks > chunks) break;
      const MatmulChoice choice{tile, splits};
      choices.emplace_back(cost(args, choice, tiles_down, gpu.multiprocessors), choice);
    }
  }
  if (choices.empty())
    throw Error(ErrorCode::kUnsupported, "the GPU has too little shared memory for a product");
  std::stable_sort(choices.begin(), choices.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<MatmulChoice> ranked;
  for (const auto& [cycles, choice] : choices) ranked.push_back(choice);
  return ranked;
}

MatmulBoxes choose_boxes(const MatmulArgs& args, int tile_rows) {
  constexpr int kMost = 256;  // of an axis of a box, values that a stride skips included
  const int most = kMost / args.segments[0].stride;
  // A tile adds one row vector, with its bias.
  const bool one_sample = args.has_row && args.row_stride != 0;
  MatmulBoxes best;
  size_t fewest = 0;
  for (int w = std::min({args.out_w, tile_rows, most}); w >= 1; w--)
    for (int h = std::min({args.out_h, tile_rows / w, most}); h >= 1; h--) {
      MatmulBoxes boxes;
      boxes.w = w;
      boxes.h = h;
      boxes.n = one_sample ? 1 : std::min({args.samples, tile_rows / (w * h), kMost});
      boxes.across = parts(args.out_w, w);
      boxes.down = parts(args.out_h, h);
      boxes.deep = parts(args.samples, boxes.n);
      const size_t count = size_t(boxes.across) * boxes.down * boxes.deep;
      if (fewest != 0 && count >= fewest) continue;
      fewest = count;
      best = boxes;
    }
  return best;
}

void map_inputs(const MatmulArgs& args, MatmulTile tile, gpu::MapType type, MatmulBoxes& boxes) {
  const int bytes = args.fp8 ? 1 : 2, chunk = matmul_chunk(args.fp8);
  if (args.fp8) type = gpu::MapType::byte;
  for (int i = 0; i < args.segment_count; i++) {
    const MatmulSegment& s = args.segments[i];
    for (int input = 0; input < 2; input++) {
      const long long pixel = (long long)s.channels[input] * bytes;
      if (pixel == 0) continue;
      boxes.x[i][input] = gpu::tiled_map(type, s.x[input].data,
                                         {{s.channels[input], bytes, chunk, 1},
                                          {s.in_w, pixel, boxes.w, s.stride},
                                          {s.in_h, pixel * s.in_w, boxes.h, s.stride},
                                          {args.samples, pixel * s.in_w * s.in_h, boxes.n, 1}},
                                         gpu::Swizzle::bytes128);
    }
    boxes.weight[i] = gpu::tiled_map(
        type, s.weight,
        {{s.weight_stride, bytes, chunk, 1},
         {(long long)args.phases * packed_rows(args.columns), (long long)s.weight_stride * bytes,
          (matmul_tile_info(tile).columns >> has_pairs(tile)) * (PLANTED(80) ? 2 : 1), 1}},
        gpu::Swizzle::bytes128);
  }
}

}  // namespace deepcache::cuda
