// Convolutions and linear layers: blocks of rows by groups of panels, each an item of its own. An
// item turns its rows into tiles, a chunk of k at a time, multiplies them by the weight's panels
// and finishes the sums. Sizes are chosen for the caches: a panel's chunk stays in L1, the rows'
// chunk and the sums in L2.

#include <algorithm>
#include <cstring>

#include "cpu/conv_regions.h"
#include "cpu/op.h"
#include "cpu/rounded_input.h"
#include "runtime/error.h"

namespace deepcache::cpu {
namespace {

// Sizes of blocks, in values; those of bf16 are half as large.
struct Limits {
  int rows, columns, chunk;  // of a block, of a group of panels, of k
};
constexpr Limits kFp32 = {224, 320, 256};  // 16 tiles of 14 rows
constexpr Limits kBf16 = {256, 640, 320};
constexpr int kMaxRows = 256;
constexpr int kMaxTile = 16;
constexpr double kLeastWork = 2e5;  // multiply-adds that are worth an item

alignas(64) const float kZeros[kBf16.chunk] = {};

// How a region is cut into items.
struct Split {
  int first_item = 0, tiles = 0, blocks = 0, groups = 0;
  bool groups_outside = false;
};

class ConvOp : public CpuOp {
 public:
  ConvOp(const Conv& op, const OpContext& context);
  size_t shared_bytes() const override { return is_fp8() ? rounded_.bytes() : 0; }
  void run(const RunContext& context) const override;

 private:
  void item(const RunContext& context, int index, int thread) const;
  void multiply(const RunContext& context, const ConvRegion& region, const ConvChunk& chunk,
                const struct Rows& rows, const struct Panels& panels, float* a, float* c) const;
  void multiply_bf16(const RunContext& context, const ConvRegion& region, const ConvChunk& chunk,
                     const struct Rows& rows, const struct Panels& panels, float* a,
                     float* c) const;
  bool is_bf16() const { return weight_->products == Products::bf16; }
  bool is_fp8() const { return weight_->products == Products::fp8; }

  Conv op_;
  const Kernels& kernels_;
  const CpuWeight* weight_;
  const Limits limits_;
  const int tile_rows_;  // of a register tile, or two of AMX's
  const float* bias_;
  RoundedInput rounded_;  // of fp8 weights
  int panel_columns_;     // columns of y in a panel
  std::vector<ConvRegion> regions_;
  std::vector<Split> splits_;
  int items_ = 0;
};

// A row of a region: its sample, and its place in the input before taps add to it.
struct Pixel {
  int n, y, x;
};

// Of an item. Panels are of the weight.
struct Rows {
  const Pixel* pixels;
  int count, tiles;
};
struct Panels {
  int first, count, columns;  // of y
};

// Where the pixel's row of a piece lies.
const float* row_of(const ConvRegion& region, const ConvPiece& piece, const Pixel& pixel,
                    const float* data, int channels) {
  const int y = pixel.y + piece.tap.dy, x = pixel.x + piece.tap.dx;
  if (unsigned(y) >= unsigned(region.limit_y) || unsigned(x) >= unsigned(region.limit_x))
    return kZeros;
  const size_t row =
      (size_t(pixel.n) * region.input_height + (y >> region.shift)) * region.input_width +
      (x >> region.shift);
  return data + row * channels + piece.channel;
}

Split split(const Conv& op, const ConvRegion& region, int panels, int panel_columns,
            const Kernels& kernels, const Limits& limits, int tile_rows, int threads) {
  const size_t rows = size_t(op.y.shape.n) * region.height * region.width;
  size_t k = 0;
  for (const ConvChunk& chunk : region.chunks) k += chunk.k;
  const size_t tiles = (rows + tile_rows - 1) / tile_rows;
  const size_t block_tiles = limits.rows / tile_rows;
  size_t blocks = (tiles + block_tiles - 1) / block_tiles;
  size_t groups = (size_t(panels) * kernels.panel + limits.columns - 1) / limits.columns;

  // Enough items to share, each worth it.
  const double work = double(rows) * double(k) * panels * kernels.panel;
  const size_t wanted =
      threads == 1 ? 1 : size_t(std::clamp(work / kLeastWork, 1.0, 4.0 * threads));
  while (blocks * groups < wanted) {
    const size_t group_panels = panels / groups, tiles_left = tiles / blocks;
    if (group_panels > 1 && (group_panels >= 8 || tiles_left < 4)) {
      groups = std::min<size_t>(panels, std::max(groups + 1, wanted / blocks));
    } else if (tiles_left > 1) {
      blocks = std::min(tiles, std::max(blocks + 1, wanted / groups));
    } else {
      break;
    }
  }
  // An even share for each thread where items are few.
  if (blocks * groups < size_t(8 * threads) && blocks * groups > 1)
    while (blocks * groups % threads && groups < size_t(panels)) groups++;

  Split result;
  result.tiles = int(tiles);
  result.blocks = int(blocks);
  result.groups = int(groups);
  // The larger operand is read once, the smaller again and again from the cache.
  const size_t weight_size = k * panels * size_t(panel_columns);
  const size_t input_size = op.x.shape.count() + (op.x2 ? op.x2.shape.count() : 0);
  result.groups_outside = weight_size > input_size;
  return result;
}

ConvOp::ConvOp(const Conv& op, const OpContext& context)
    : op_(op),
      kernels_(context.kernels),
      weight_(context.weight(op.weight)),
      limits_(is_bf16() ? kBf16 : kFp32),
      tile_rows_(is_bf16() ? 2 * kBf16Rows : kernels_.tile_rows),
      bias_(context.vector(op.bias)),
      rounded_(op_, kernels_) {
  const bool geglu = op.activation == Activation::geglu;
  if (geglu != (weight_->recipe == Recipe::geglu))
    throw Error(ErrorCode::kInternal, "conv: the geglu activation needs a geglu weight");
  panel_columns_ = geglu ? kernels_.lanes : kernels_.panel;
  regions_ = conv_regions(op, weight_->recipe == Recipe::upsample, limits_.chunk,
                          is_bf16() ? kBf16Depth : 1);
  for (const ConvRegion& region : regions_) {
    Split s = split(op, region, weight_->panels, panel_columns_, kernels_, limits_, tile_rows_,
                    context.threads);
    s.first_item = items_;
    items_ += s.blocks * s.groups;
    splits_.push_back(s);
  }
}

void ConvOp::run(const RunContext& context) const {
  if (is_fp8()) rounded_.make(context);
  context.pool.run(
      items_, [&](int index, int thread) { item(context, index, thread); }, context.cancel);
}

// Rows become tiles of [k][rows of the tile].
void ConvOp::multiply(const RunContext& context, const ConvRegion& region, const ConvChunk& chunk,
                      const Rows& rows, const Panels& panels, float* a, float* c) const {
  const Tensor* inputs[2] = {&op_.x, &op_.x2};
  const float* data[2] = {context.floats(op_.x), context.floats(op_.x2)};
  if (is_fp8()) data[0] = rounded_.values(context);
  const float* pointers[kMaxTile];
  for (int t = 0; t < rows.tiles; t++) {
    const int begin = rows.count * t / rows.tiles;
    const int count = rows.count * (t + 1) / rows.tiles - begin;
    float* to = a + size_t(begin) * chunk.k;
    for (int i = chunk.first_piece; i < chunk.last_piece; i++) {
      const ConvPiece& piece = region.pieces[i];
      const int channels = inputs[piece.source]->shape.c;
      for (int r = 0; r < count; r++)
        pointers[r] = row_of(region, piece, rows.pixels[begin + r], data[piece.source], channels);
      kernels_.transpose(pointers, count, piece.length, to, count);
      if (piece.tap.sign < 0)
        for (int j = 0; j < piece.length * count; j++) to[j] = -to[j];
      to += size_t(piece.length) * count;
    }
  }
  Multiply m;
  m.k = chunk.k;
  m.rows = rows.count;
  m.tiles = rows.tiles;
  m.a = a;
  m.panels = panels.count;
  m.columns = panels.columns;
  m.b = weight_->values.floats() + (panels.first * weight_->k + chunk.weight_k) * kernels_.panel;
  m.b_stride = weight_->k * kernels_.panel;
  m.c = c;
  m.first = &chunk == region.chunks.data();
  kernels_.multiply(m);
}

void ConvOp::multiply_bf16(const RunContext& context, const ConvRegion& region,
                           const ConvChunk& chunk, const Rows& rows, const Panels& panels, float* a,
                           float* c) const {
  const Tensor* inputs[2] = {&op_.x, &op_.x2};
  const float* data[2] = {context.floats(op_.x), context.floats(op_.x2)};
  const float* pointers[kBf16Rows];
  Bf16* const tiles = reinterpret_cast<Bf16*>(a);
  for (int t = 0; t < rows.tiles; t++) {
    const int begin = t * kBf16Rows, count = std::min(kBf16Rows, rows.count - begin);
    std::fill(pointers + count, pointers + kBf16Rows, kZeros);
    for (int i = chunk.first_piece; i < chunk.last_piece; i++) {
      const ConvPiece& piece = region.pieces[i];
      const int channels = inputs[piece.source]->shape.c;
      for (int r = 0; r < count; r++)
        pointers[r] = row_of(region, piece, rows.pixels[begin + r], data[piece.source], channels);
      kernels_.bf16->gather(pointers, piece.length, piece.tap.sign, tiles + size_t(begin) * chunk.k,
                            piece.k);
    }
  }
  Bf16Multiply m;
  m.depth = chunk.k / kBf16Depth;
  m.tiles = rows.tiles;
  m.a = tiles;
  m.panels = panels.count;
  m.columns = panels.columns;
  m.b = weight_->bf16() + (panels.first * weight_->k + chunk.weight_k) * kernels_.panel;
  m.b_stride = weight_->k * kernels_.panel;
  m.c = c;
  m.first = &chunk == region.chunks.data();
  kernels_.bf16->multiply(m);
}

void ConvOp::item(const RunContext& context, int index, int thread) const {
  size_t which = splits_.size() - 1;
  while (splits_[which].first_item > index) which--;
  const ConvRegion& region = regions_[which];
  const Split& split = splits_[which];
  index -= split.first_item;
  const int block = split.groups_outside ? index % split.blocks : index / split.groups;
  const int group = split.groups_outside ? index / split.blocks : index % split.groups;

  const size_t all_rows = size_t(op_.y.shape.n) * region.height * region.width;
  const auto row_of_block = [&](int block) {
    if (!is_bf16()) return all_rows * block / split.blocks;
    return std::min(all_rows, size_t(split.tiles) * block / split.blocks * tile_rows_);
  };
  const size_t first_row = row_of_block(block);
  const int rows = int(row_of_block(block + 1) - first_row);
  const int tile_rows = is_bf16() ? kBf16Rows : tile_rows_;
  const int tiles = (rows + tile_rows - 1) / tile_rows;
  const int first_panel = int(int64_t(weight_->panels) * group / split.groups);
  const int panels = int(int64_t(weight_->panels) * (group + 1) / split.groups) - first_panel;
  const int first_column = first_panel * panel_columns_;
  const int columns = std::min(panels * panel_columns_, op_.y.shape.c - first_column);

  Pixel pixels[kMaxRows];
  float* y[kMaxRows];
  const float *row[kMaxRows], *residual[kMaxRows];
  float* const y_data = context.floats(op_.y);
  const float* const row_data = context.floats(op_.row);
  const float* const residual_data = context.floats(op_.residual);
  const Shape& shape = op_.y.shape;
  for (int r = 0; r < rows; r++) {
    const size_t at = first_row + r, area = size_t(region.height) * region.width;
    const int n = int(at / area), i = int(at % area) / region.width,
              j = int(at % area) % region.width;
    pixels[r] = {n, i * region.stride + region.origin_y, j * region.stride + region.origin_x};
    const size_t pixel = size_t(region.first_y + i * region.step_y) * shape.w + region.first_x +
                         size_t(j) * region.step_x;
    const size_t offset = (size_t(n) * shape.h * shape.w + pixel) * shape.c + first_column;
    y[r] = y_data + offset;
    residual[r] = residual_data ? residual_data + offset : nullptr;
    row[r] = row_data ? row_data + size_t(op_.row.shape.n == 1 ? 0 : n) * op_.row.shape.c +
                            op_.row_offset + first_column
                      : nullptr;
  }

  // The last transposed run of a tile spills over by less than a vector.
  const size_t a_floats = is_bf16() ? size_t(limits_.rows) * limits_.chunk / 2
                                    : size_t(limits_.rows) * limits_.chunk + kMaxTile;
  const int c_rows = is_bf16() ? tiles * kBf16Rows : rows;
  float* const a =
      context.pool.scratch(thread, a_floats + size_t(kMaxRows) * (panels + 1) * kernels_.panel);
  float* const c = a + a_floats;

  const int last_columns =
      panel_columns_ == kernels_.panel ? columns - (panels - 1) * panel_columns_ : kernels_.panel;
  for (const ConvChunk& chunk : region.chunks) {
    if (context.cancel && context.cancel->load(std::memory_order_relaxed)) return;
    const auto product = is_bf16() ? &ConvOp::multiply_bf16 : &ConvOp::multiply;
    (this->*product)(context, region, chunk, {pixels, rows, tiles},
                     {first_panel, panels, last_columns}, a, c);
  }

  Epilogue e;
  e.rows = rows;
  e.c_rows = c_rows;
  e.panels = panels;
  e.columns = columns;
  e.c = c;
  e.bias = bias_ ? bias_ + first_column : nullptr;
  e.gate_bias = bias_ ? bias_ + shape.c + first_column : nullptr;
  e.y = y;
  e.row = row_data ? row : nullptr;
  e.residual = residual_data ? residual : nullptr;
  e.activation = op_.activation;
  e.scale = op_.scale;
  e.residual_scale = op_.residual_scale;
  kernels_.epilogue(e);
}

}  // namespace

std::unique_ptr<CpuOp> make_op(const Conv& op, const OpContext& context) {
  return std::make_unique<ConvOp>(op, context);
}

}  // namespace deepcache::cpu
