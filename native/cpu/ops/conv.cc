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

constexpr int kMaxRows = 224;     // of a block: 16 tiles of 14
constexpr int kMaxColumns = 320;  // of a group
constexpr int kMaxChunk = 256;
constexpr int kMaxTile = 16;
constexpr double kLeastWork = 2e6;  // multiply-adds that are worth an item

alignas(64) const float kZeros[kMaxChunk] = {};

// How a region is cut into items.
struct Split {
  int first_item = 0, blocks = 0, groups = 0;
  bool groups_outside = false;
};

class ConvOp : public CpuOp {
 public:
  ConvOp(const Conv& op, const OpContext& context);
  size_t shared_bytes() const override { return weight_->fp8 ? rounded_.bytes() : 0; }
  void run(const RunContext& context) const override;

 private:
  void item(const RunContext& context, int index, int thread) const;
  void gather(const RunContext& context, const ConvRegion& region, const ConvChunk& chunk,
              const struct Pixel* pixels, int rows, int tiles, float* out) const;

  Conv op_;
  const Kernels& kernels_;
  const CpuWeight* weight_;
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

Split split(const Conv& op, const ConvRegion& region, int panels, int panel_columns,
            const Kernels& kernels, int threads) {
  const size_t rows = size_t(op.y.shape.n) * region.height * region.width;
  size_t k = 0;
  for (const ConvChunk& chunk : region.chunks) k += chunk.k;
  const size_t tiles = (rows + kernels.tile_rows - 1) / kernels.tile_rows;
  const size_t block_tiles = kMaxRows / kernels.tile_rows;
  size_t blocks = (tiles + block_tiles - 1) / block_tiles;
  size_t groups = (size_t(panels) * kernels.panel + kMaxColumns - 1) / kMaxColumns;

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
      bias_(context.vector(op.bias)),
      rounded_(op_, kernels_) {
  const bool geglu = op.activation == Activation::geglu;
  if (geglu != (weight_->recipe == Recipe::geglu))
    throw Error(ErrorCode::kInternal, "conv: the geglu activation needs a geglu weight");
  panel_columns_ = geglu ? kernels_.lanes : kernels_.panel;
  regions_ = conv_regions(op, weight_->recipe == Recipe::upsample, kMaxChunk);
  for (const ConvRegion& region : regions_) {
    Split s = split(op, region, weight_->panels, panel_columns_, kernels_, context.threads);
    s.first_item = items_;
    items_ += s.blocks * s.groups;
    splits_.push_back(s);
  }
}

void ConvOp::run(const RunContext& context) const {
  if (weight_->fp8) rounded_.make(context);
  context.pool.run(
      items_, [&](int index, int thread) { item(context, index, thread); }, context.cancel);
}

// Tile by tile, [k][rows of the tile].
void ConvOp::gather(const RunContext& context, const ConvRegion& region, const ConvChunk& chunk,
                    const Pixel* pixels, int rows, int tiles, float* out) const {
  const Tensor* inputs[2] = {&op_.x, &op_.x2};
  const float* data[2] = {context.floats(op_.x), context.floats(op_.x2)};
  if (weight_->fp8) data[0] = rounded_.values(context);
  const float* pointers[kMaxTile];
  for (int t = 0; t < tiles; t++) {
    const int begin = rows * t / tiles, count = rows * (t + 1) / tiles - begin;
    float* to = out + size_t(begin) * chunk.k;
    for (int i = chunk.first_piece; i < chunk.last_piece; i++) {
      const ConvPiece& piece = region.pieces[i];
      const int channels = inputs[piece.source]->shape.c;
      for (int r = 0; r < count; r++) {
        const Pixel& pixel = pixels[begin + r];
        const int y = pixel.y + piece.tap.dy, x = pixel.x + piece.tap.dx;
        const bool inside =
            unsigned(y) < unsigned(region.limit_y) && unsigned(x) < unsigned(region.limit_x);
        const size_t row =
            (size_t(pixel.n) * region.input_height + (y >> region.shift)) * region.input_width +
            (x >> region.shift);
        pointers[r] = inside ? data[piece.source] + row * channels + piece.channel : kZeros;
      }
      kernels_.transpose(pointers, count, piece.length, to, count);
      if (piece.tap.sign < 0)
        for (int j = 0; j < piece.length * count; j++) to[j] = -to[j];
      to += size_t(piece.length) * count;
    }
  }
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
  const size_t first_row = all_rows * block / split.blocks;
  const int rows = int(all_rows * (block + 1) / split.blocks - first_row);
  const int tiles = (rows + kernels_.tile_rows - 1) / kernels_.tile_rows;
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
  const size_t a_floats = size_t(kMaxRows) * kMaxChunk + kMaxTile;
  float* const a =
      context.pool.scratch(thread, a_floats + size_t(kMaxRows) * (panels + 1) * kernels_.panel);
  float* const c = a + a_floats;

  Multiply m;
  m.rows = rows;
  m.tiles = tiles;
  m.a = a;
  m.panels = panels;
  m.columns =
      panel_columns_ == kernels_.panel ? columns - (panels - 1) * panel_columns_ : kernels_.panel;
  m.b_stride = weight_->k * kernels_.panel;
  m.c = c;
  for (const ConvChunk& chunk : region.chunks) {
    if (context.cancel && context.cancel->load(std::memory_order_relaxed)) return;
    gather(context, region, chunk, pixels, rows, tiles, a);
    m.k = chunk.k;
    m.b = weight_->values.floats() + (first_panel * weight_->k + chunk.weight_k) * kernels_.panel;
    m.first = &chunk == region.chunks.data();
    kernels_.multiply(m);
  }

  Epilogue e;
  e.rows = rows;
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
