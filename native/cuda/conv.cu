#include <algorithm>

#include "cuda/conv.h"

namespace deepcache::cuda {
namespace {

constexpr MatmulTile kTiles[] = {MatmulTile::k64x64, MatmulTile::k128x128, MatmulTile::k128x160};

// The share of the tensor cores' rate that a tile's main loop can reach: small tiles read more from
// shared memory for each product.
double efficiency(MatmulTile tile) { return tile == MatmulTile::k64x64 ? 0.6 : 0.9; }

// Estimated cycles; the constants are those of sm_80 and only their ratios matter.
double cost(const MatmulArgs& args, MatmulTile tile, int splits, int multiprocessors) {
  constexpr double kProductsPerCycle = 1024, kBytesPerCycle = 10, kStart = 600, kLaunch = 3000;
  const MatmulTileInfo info = matmul_tile_info(tile);
  const double blocks = double((args.rows + info.rows - 1) / info.rows) *
                        ((args.columns + info.columns - 1) / info.columns) * splits;
  const double waves = double((size_t(blocks) + multiprocessors - 1) / multiprocessors);
  const double chunks = double((args.k + kMatmulChunk - 1) / kMatmulChunk) / splits;
  const double chunk = double(info.rows) * info.columns * kMatmulChunk / kProductsPerCycle;
  double cycles = waves * (kStart + chunks * chunk / efficiency(tile));
  if (splits > 1) {
    const double bytes = double(args.rows) * args.columns * 4 * 2 * splits;
    cycles += kLaunch + bytes / (kBytesPerCycle * multiprocessors);
  }
  return cycles;
}

void choose(Product& product, const gpu::Properties& gpu) {
  double best = 0;
  const int chunks = (product.args.k + kMatmulChunk - 1) / kMatmulChunk;
  for (const MatmulTile tile : kTiles) {
    if (matmul_tile_info(tile).shared_bytes > gpu.shared_bytes) continue;
    for (int splits = 1; splits <= 16 && splits * 4 <= std::max(chunks, 4); splits *= 2) {
      const double cycles = cost(product.args, tile, splits, gpu.multiprocessors);
      if (best != 0 && cycles >= best) continue;
      best = cycles;
      product.tile = tile;
      product.args.splits = splits;
    }
  }
}

// Everything but the region and its part of the weight.
MatmulArgs common(const Conv& op, const Operands& operands) {
  MatmulArgs a;
  a.x[0] = a.x[1] = operands.view(op.x);
  a.channels[0] = op.x.shape.c;
  if (op.x2) {
    a.x[1] = operands.view(op.x2);
    a.channels[1] = op.x2.shape.c;
  }
  a.eights = a.channels[0] % 8 == 0 && a.channels[1] % 8 == 0 && aligned(a.x[0]) && aligned(a.x[1]);
  const bool geglu = op.activation == Activation::geglu;
  a.columns = geglu ? 2 * op.y.shape.c : op.y.shape.c;
  a.y = operands.view(op.y);
  a.y_h = op.y.shape.h;
  a.y_w = op.y.shape.w;
  a.y_channels = op.y.shape.c;
  a.bias = operands.vector(op.bias);
  if (op.row) {
    a.has_row = true;
    a.row = operands.view(op.row);
    a.row_stride = op.row.shape.n == 1 ? 0 : op.row.shape.c;
    a.row_offset = op.row_offset;
  }
  if (op.residual) {
    a.has_residual = true;
    a.residual = operands.view(op.residual);
  }
  a.pairs = a.y_channels % 2 == 0 && aligned(a.y) && (!a.has_residual || aligned(a.residual));
  a.activation = op.activation;
  a.scale = op.scale;
  a.residual_scale = op.residual_scale;
  return a;
}

Product whole(const Conv& op, const MatmulArgs& base) {
  Product product{base};
  MatmulArgs& a = product.args;
  const Shape &x = op.x.shape, &y = op.y.shape;
  a.out_h = y.h;
  a.out_w = y.w;
  a.stride = op.stride;
  a.origin_y = -op.pad_top;
  a.origin_x = -op.pad_left;
  a.limit_h = a.in_h = x.h;
  a.limit_w = a.in_w = x.w;
  if (op.upsample) {
    a.limit_h = std::min(2 * x.h, y.h);
    a.limit_w = std::min(2 * x.w, y.w);
    a.shift = 1;
  } else if (op.kernel_h * op.kernel_w == 1 && op.stride == 1) {
    // Rows are rows, whatever the shapes call height and width.
    a.out_h = a.y_h = a.limit_h = a.in_h = 1;
    a.out_w = a.y_w = a.limit_w = a.in_w = y.h * y.w;
  }
  a.kernel_w = op.kernel_w;
  a.rows = y.n * a.out_h * a.out_w;
  a.k = op.kernel_h * op.kernel_w * (a.channels[0] + a.channels[1]);
  a.weight_stride = weight_stride(a.k);
  return product;
}

// Output (2i + odd_y, 2j + odd_x) of a nearest x2 enlargement under a 3x3 kernel reads 2x2 inputs.
Product phase(const Conv& op, const MatmulArgs& base, int odd_y, int odd_x) {
  Product product{base};
  MatmulArgs& a = product.args;
  const Shape& x = op.x.shape;
  a.out_h = a.in_h = a.limit_h = x.h;
  a.out_w = a.in_w = a.limit_w = x.w;
  a.first_y = odd_y;
  a.first_x = odd_x;
  a.step_y = a.step_x = 2;
  a.origin_y = odd_y - 1;
  a.origin_x = odd_x - 1;
  a.kernel_w = 2;
  a.rows = op.y.shape.n * x.h * x.w;
  a.k = 4 * (a.channels[0] + a.channels[1]);
  a.weight_stride = weight_stride(a.k);
  return product;
}

}  // namespace

View Operands::view(const Tensor& tensor) const {
  if (!tensor) return {};
  const TensorPlace& place = tensors[tensor.id];
  return {static_cast<char*>(place.data) + place.step * size_t(step), place.type == Type::f32};
}

bool aligned(const View& view) { return reinterpret_cast<uintptr_t>(view.data) % 16 == 0; }

std::vector<Product> plan_conv(const Conv& op, const Operands& operands, const gpu::Properties& gpu,
                               float* partials) {
  const WeightPlace& weight = operands.weights[op.weight];
  const MatmulArgs base = common(op, operands);
  const char* data = static_cast<const char*>(weight.data);
  if ((op.activation == Activation::geglu) != (weight.recipe == Recipe::geglu))
    throw Error(ErrorCode::kInternal, "conv: the geglu activation needs a geglu weight");
  const bool split_in_phases = weight.recipe == Recipe::upsample;
  if (split_in_phases && !(op.upsample && op.stride == 1 && op.pad_top == 1 && op.pad_left == 1))
    throw Error(ErrorCode::kInternal, "conv: a phase-split weight without an enlargement");

  std::vector<Product> products;
  const size_t phase_bytes = size_t(weight.out) * weight_stride(4 * weight.in) * 2;
  // A cropped enlargement (odd latents) has other taps at its edge: the plain weight behind the
  // phases.
  const Shape &x = op.x.shape, &y = op.y.shape;
  if (split_in_phases && y.h == 2 * x.h && y.w == 2 * x.w) {
    for (int i = 0; i < 4; i++) {
      products.push_back(phase(op, base, i / 2, i % 2));
      products.back().args.weight = data + i * phase_bytes;
    }
  } else {
    products.push_back(whole(op, base));
    products.back().args.weight = split_in_phases ? data + 4 * phase_bytes : data;
  }
  for (Product& product : products) {
    choose(product, gpu);
    product.args.partials = partials;
  }
  return products;
}

size_t partial_bytes(const std::vector<Product>& products) {
  size_t bytes = 0;
  for (const Product& p : products)
    if (p.args.splits > 1)
      bytes = std::max(bytes, size_t(p.args.splits) * p.args.rows * p.args.columns * sizeof(float));
  return bytes;
}

}  // namespace deepcache::cuda
