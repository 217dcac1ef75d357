// Convolutions and linear layers: blocks of rows by groups of panels, each an item of its own. An
// item turns its rows into tiles, a chunk of k at a time, multiplies them by the weight's panels
// and finishes the sums. Sizes are chosen for the caches: a panel's chunk stays in L1, the rows'
// chunk and the sums in L2.

#include <algorithm>
#include <optional>

#include "cpu/conv_input.h"
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

alignas(64) const float kZeros[kBf16.chunk] = {};

class ConvOp : public CpuOp {
 public:
  ConvOp(const Conv& op, const OpContext& context);
  size_t shared_bytes() const override { return is_fp8() ? rounded_.bytes() : 0; }
  void run(const RunContext& context) const override;

 private:
  void item(const RunContext& context, int index, int thread) const;
  void multiply(const ConvRegion& region, const ConvChunk& chunk, const struct Rows& rows,
                const struct Panels& panels, float* a, float* c) const;
  void multiply_bf16(const ConvRegion& region, const ConvChunk& chunk, const struct Rows& rows,
                     const struct Panels& panels, float* a, float* c) const;
  bool is_bf16() const { return weight_->products == Products::bf16; }
  bool is_fp8() const { return weight_->products == Products::fp8; }

  Conv op_;
  const Kernels& kernels_;
  const CpuWeight* weight_;
  const Limits limits_;
  const int tile_rows_;  // of a register tile, or two of AMX's
  const float* bias_;
  RoundedInput rounded_;  // of fp8 weights
  std::optional<NormedInput> normed_;
  const bool x_is_narrow_[2], y_is_narrow_;
  int panel_columns_;  // columns of y in a panel
  std::vector<ConvRegion> regions_;
  ConvSchedule schedule_;
  size_t normed_floats_ = 0;
};

// Of an item. Pixels are where they lie in the input before taps add to them; panels are of the
// weight.
struct Rows {
  const ConvInput* inputs;
  const ConvPixel* pixels;
  int count, tiles;
};
struct Panels {
  int first, count, columns;  // of y
};

// Where the pixel's row of a piece lies: floats, or values of bf16.
const void* row_of(const ConvRegion& region, const ConvPiece& piece, const Rows& rows, int r) {
  const ConvPixel& pixel = rows.pixels[r];
  const int y = pixel.y + piece.tap.dy, x = pixel.x + piece.tap.dx;
  if (unsigned(y) >= unsigned(region.limit_y) || unsigned(x) >= unsigned(region.limit_x))
    return kZeros;
  const ConvInput& input = rows.inputs[piece.source];
  const size_t channel = size_t(piece.channel) * (input.is_narrow ? sizeof(Bf16) : sizeof(float));
  return input.pixel(pixel.n, y >> region.shift, x >> region.shift) + channel;
}

ConvOp::ConvOp(const Conv& op, const OpContext& context)
    : op_(op),
      kernels_(context.kernels),
      weight_(context.weight(op.weight)),
      limits_(is_bf16() ? kBf16 : kFp32),
      tile_rows_(is_bf16() ? 2 * kBf16Rows : kernels_.tile_rows),
      bias_(context.vector(op.bias)),
      rounded_(op_, kernels_),
      x_is_narrow_{context.is_narrow(op.x), context.is_narrow(op.x2)},
      y_is_narrow_(context.is_narrow(op.y)) {
  const bool geglu = op.activation == Activation::geglu;
  if (geglu != (weight_->recipe == Recipe::geglu))
    throw Error(ErrorCode::kInternal, "conv: the geglu activation needs a geglu weight");
  panel_columns_ = geglu ? kernels_.lanes : kernels_.panel;
  regions_ = conv_regions(op, weight_->recipe == Recipe::upsample, limits_.chunk,
                          is_bf16() ? kBf16Depth : 1);
  if (const GroupNorm* norm = context.norm(op)) normed_.emplace(op_, *norm, context, is_bf16());
  const auto bytes_of = [](const Tensor& tensor, bool is_narrow) {
    return size_t(tensor.shape.c) * (is_narrow ? sizeof(Bf16) : sizeof(float));
  };
  ConvOrder order;
  order.is_normed = normed_.has_value();
  if (context.is_over(op.y, op.x)) {
    order.input_bytes = bytes_of(op.x, x_is_narrow_[0]);
    order.output_bytes = bytes_of(op.y, y_is_narrow_);
  }
  schedule_ = schedule(op_, regions_, order,
                       {limits_.rows, tile_rows_, limits_.columns, kernels_.panel, panel_columns_,
                        weight_->panels, is_bf16() ? tile_rows_ : 1, context.threads});
  if (normed_) normed_floats_ = normed_->floats(schedule_.splits[0], regions_[0]);
}

void ConvOp::run(const RunContext& context) const {
  if (is_fp8()) rounded_.make(context);
  int first = 0;
  for (const int last : schedule_.phases) {
    context.pool.run(
        last - first, [&](int index, int thread) { item(context, first + index, thread); },
        context.cancel);
    first = last;
  }
}

// Rows become tiles of [k][rows of the tile].
void ConvOp::multiply(const ConvRegion& region, const ConvChunk& chunk, const Rows& rows,
                      const Panels& panels, float* a, float* c) const {
  const float* pointers[kMaxTile];
  for (int t = 0; t < rows.tiles; t++) {
    const int begin = rows.count * t / rows.tiles;
    const int count = rows.count * (t + 1) / rows.tiles - begin;
    float* to = a + size_t(begin) * chunk.k;
    for (int i = chunk.first_piece; i < chunk.last_piece; i++) {
      const ConvPiece& piece = region.pieces[i];
      for (int r = 0; r < count; r++)
        pointers[r] = static_cast<const float*>(row_of(region, piece, rows, begin + r));
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

void ConvOp::multiply_bf16(const ConvRegion& region, const ConvChunk& chunk, const Rows& rows,
                           const Panels& panels, float* a, float* c) const {
  const void* pointers[kBf16Rows];
  Bf16* const tiles = reinterpret_cast<Bf16*>(a);
  for (int t = 0; t < rows.tiles; t++) {
    const int begin = t * kBf16Rows, count = std::min(kBf16Rows, rows.count - begin);
    std::fill(pointers + count, pointers + kBf16Rows, kZeros);
    for (int i = chunk.first_piece; i < chunk.last_piece; i++) {
      const ConvPiece& piece = region.pieces[i];
      for (int r = 0; r < count; r++) pointers[r] = row_of(region, piece, rows, begin + r);
      Bf16* const to = tiles + size_t(begin) * chunk.k;
      const bool is_narrow = rows.inputs[piece.source].is_narrow;
      (is_narrow ? kernels_.bf16->gather_bf16 : kernels_.bf16->gather)(pointers, piece.length,
                                                                       piece.tap.sign, to, piece.k);
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
  const ConvSplit& split = schedule_.split_of(index);
  const ConvRegion& region = regions_[size_t(split.region)];
  index -= split.first_item;
  const ConvBlock block =
      split.block(region, split.groups_outside ? index % split.blocks : index / split.groups);
  const int group = split.groups_outside ? index / split.blocks : index % split.groups;

  const int rows = block.count;
  const int tile_rows = is_bf16() ? kBf16Rows : tile_rows_;
  const int tiles = (rows + tile_rows - 1) / tile_rows;
  const int first_panel = int(int64_t(weight_->panels) * group / split.groups);
  const int panels = int(int64_t(weight_->panels) * (group + 1) / split.groups) - first_panel;
  const int first_column = first_panel * panel_columns_;
  const int columns = std::min(panels * panel_columns_, op_.y.shape.c - first_column);

  ConvPixel pixels[kMaxRows];
  float* y[kMaxRows];
  Bf16* bf16_y[kMaxRows];
  const float *row[kMaxRows], *residual[kMaxRows];
  float* const y_data = context.floats(op_.y);
  const float* const row_data = context.floats(op_.row);
  const float* const residual_data = context.floats(op_.residual);
  const Shape& shape = op_.y.shape;
  for (int r = 0; r < rows; r++) {
    const auto [n, i, j] = block.pixel(region, r);
    pixels[r] = {n, i * region.stride + region.origin_y, j * region.stride + region.origin_x};
    const size_t pixel = size_t(region.first_y + i * region.step_y) * shape.w + region.first_x +
                         size_t(j) * region.step_x;
    const size_t offset = (size_t(n) * shape.h * shape.w + pixel) * shape.c + first_column;
    if (y_is_narrow_)
      bf16_y[r] = context.bf16(op_.y) + offset;
    else
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
  const size_t c_floats = size_t(kMaxRows) * (panels + 1) * kernels_.panel;
  float* const a = context.pool.scratch(thread, a_floats + c_floats + normed_floats_);
  float* const c = a + a_floats;
  ConvInput inputs[2];
  if (normed_) {
    inputs[0] = normed_->make(context, region, block, c + c_floats);
  } else {
    const auto whole = [&](const void* data, const Tensor& tensor, bool is_narrow) {
      ConvInput input;
      input.data = static_cast<const char*>(data);
      input.pitch = size_t(tensor.shape.c) * (is_narrow ? sizeof(Bf16) : sizeof(float));
      input.is_narrow = is_narrow;
      input.height = region.input_height;
      input.width = region.input_width;
      return input;
    };
    inputs[0] =
        whole(is_fp8() ? rounded_.values(context) : context.floats(op_.x), op_.x, x_is_narrow_[0]);
    if (op_.x2) inputs[1] = whole(context.floats(op_.x2), op_.x2, x_is_narrow_[1]);
  }

  const int last_columns =
      panel_columns_ == kernels_.panel ? columns - (panels - 1) * panel_columns_ : kernels_.panel;
  for (const ConvChunk& chunk : region.chunks) {
    if (context.cancel && context.cancel->load(std::memory_order_relaxed)) return;
    const auto product = is_bf16() ? &ConvOp::multiply_bf16 : &ConvOp::multiply;
    (this->*product)(region, chunk, {inputs, pixels, rows, tiles},
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
  e.bf16_y = bf16_y;
  e.row = row_data ? row : nullptr;
  e.residual = residual_data ? residual : nullptr;
  e.activation = op_.activation;
  e.scale = op_.scale;
  e.residual_scale = op_.residual_scale;
  (y_is_narrow_ ? kernels_.bf16->epilogue : kernels_.epilogue)(e);
}

}  // namespace

std::unique_ptr<CpuOp> make_op(const Conv& op, const OpContext& context) {
  return std::make_unique<ConvOp>(op, context);
}

}  // namespace deepcache::cpu
