#include <algorithm>

#include "cuda/conv.h"

namespace deepcache::cuda {
namespace {

bool is_mappable(const MatmulSegment& s) {
  constexpr int kMostStride = 8;  // of TMA
  return s.in_async() && s.shift == 0 && s.stride <= kMostStride;
}

// Of e4m3: the input's codes and scales are memory of the op's own, given to it later.
void take_codes(const Conv& op, const Operands& operands, MatmulSegment& s) {
  const WeightPlace& weight = operands.weights[op.weight];
  if (op.x.shape.c % 16 != 0 || op.x2 || op.upsample || (op.fp8_rows() && op.stride != 1) ||
      !aligned(operands.view(op.x)))
    throw Error(ErrorCode::kInternal, "conv: an input that fp8 cannot be");
  s.x[0] = s.x[1] = {};
  s.eights = true;
  s.mappable = is_mappable(s);
  s.weight_stride = s.k;
  s.weight_scales = reinterpret_cast<const float*>(static_cast<const char*>(weight.data) +
                                                   size_t(packed_rows(weight.out)) * s.k);
}

// The inputs of a convolution, read as the op says, and its matrix at an offset in its weight.
MatmulSegment whole_input(const Conv& op, const Operands& operands, size_t weight_offset) {
  MatmulSegment s;
  const Shape &x = op.x.shape, &y = op.y.shape;
  operands.view(op.x, op.x2, s.x, s.channels);
  s.eights = s.channels[0] % 8 == 0 && s.channels[1] % 8 == 0 && aligned(s.x[0]) && aligned(s.x[1]);
  s.stride = op.stride;
  s.origin_y = -op.pad_top;
  s.origin_x = -op.pad_left;
  s.limit_h = s.in_h = x.h;
  s.limit_w = s.in_w = x.w;
  if (op.upsample) {
    s.limit_h = std::min(2 * x.h, y.h);
    s.limit_w = std::min(2 * x.w, y.w);
    s.shift = 1;
  }
  s.mappable = is_mappable(s);
  s.kernel_h = op.kernel_h;
  s.kernel_w = op.kernel_w;
  s.k = op.kernel_h * op.kernel_w * (s.channels[0] + s.channels[1]);
  s.weight = static_cast<const char*>(operands.weights[op.weight].data) + weight_offset;
  s.weight_stride = weight_stride(s.k);
  s.bias = operands.vector(op.bias);
  if (operands.weights[op.weight].fp8) take_codes(op, operands, s);
  return s;
}

// Output (2i + odd_y, 2j + odd_x) of a nearest x2 enlargement under a 3x3 kernel reads 2x2 inputs.
void split_in_phases(const Conv& op, MatmulArgs& a) {
  MatmulSegment& s = a.segments[0];
  const Shape& x = op.x.shape;
  a.phases = 4;
  a.out_h = s.limit_h = x.h;
  a.out_w = s.limit_w = x.w;
  s.shift = 0;
  s.mappable = is_mappable(s);
  s.kernel_h = s.kernel_w = 2;
  s.k = 4 * (s.channels[0] + s.channels[1]);
  s.weight_stride = weight_stride(s.k);
}

// A 1x1 convolution's rows are rows, whatever the shapes call height and width.
void flatten(const Conv& op, MatmulArgs& a) {
  MatmulSegment& s = a.segments[0];
  a.samples = a.row_stride ? op.y.shape.n : 1;
  a.out_h = a.y_h = s.limit_h = s.in_h = 1;
  a.out_w = a.y_w = s.limit_w = s.in_w = int(op.y.shape.rows() / a.samples);
}

void set_output(const Conv& op, const Operands& operands, MatmulArgs& a) {
  const bool geglu = op.activation == Activation::geglu;
  a.samples = op.y.shape.n;
  a.out_h = a.y_h = op.y.shape.h;
  a.out_w = a.y_w = op.y.shape.w;
  a.y = operands.view(op.y);
  a.y_channels = op.y.shape.c;
  a.columns = geglu ? 2 * a.y_channels : a.y_channels;
  if (op.row) {
    a.has_row = true;
    a.row = operands.view(op.row);
    a.row_stride = op.row.shape.n == 1 ? 0 : op.row.shape.c;
    a.row_offset = op.row_offset;
    a.row_pairs =
        a.row_offset % 2 == 0 && a.row_stride % 2 == 0 && a.columns % 2 == 0 && aligned(a.row);
  }
  if (op.residual) {
    a.has_residual = true;
    a.residual = operands.view(op.residual);
  }
  const bool is_aligned = aligned(a.y) && (!a.has_residual || aligned(a.residual));
  a.pairs = a.y_channels % 2 == 0 && is_aligned;
  a.wide = a.y_channels % 8 == 0 && is_aligned && !a.y.fp32 && !a.residual.fp32 &&
           (op.activation == Activation::none || op.activation == Activation::silu ||
            (geglu && !a.has_residual && op.scale == 1));
  a.activation = op.activation;
  a.scale = op.scale;
  a.residual_scale = op.residual_scale;
}

}  // namespace

MatmulArgs matmul_args(const Conv& op, const Conv* shortcut, const Operands& operands) {
  const WeightPlace& weight = operands.weights[op.weight];
  if ((op.activation == Activation::geglu) != (weight.recipe == Recipe::geglu))
    throw Error(ErrorCode::kInternal, "conv: the geglu activation needs a geglu weight");
  const bool has_phases = weight.recipe == Recipe::upsample;
  if (has_phases && !(op.upsample && op.stride == 1 && op.pad_top == 1 && op.pad_left == 1))
    throw Error(ErrorCode::kInternal, "conv: a phase-split weight without an enlargement");

  MatmulArgs a;
  set_output(op, operands, a);
  // A cropped enlargement (odd latents) has other taps at its edge: the plain weight behind the
  // phases.
  const Shape &x = op.x.shape, &y = op.y.shape;
  const bool cropped = y.h != 2 * x.h || y.w != 2 * x.w;
  const size_t phase_bytes = size_t(packed_rows(weight.out)) * weight_stride(4 * weight.in) * 2;
  a.segments[0] = whole_input(op, operands, has_phases && cropped ? 4 * phase_bytes : 0);
  if (has_phases && !cropped)
    split_in_phases(op, a);
  else if (op.kernel_h * op.kernel_w == 1 && op.stride == 1 && !op.upsample)
    flatten(op, a);
  a.rows = a.samples * a.out_h * a.out_w;

  a.fp8 = weight.fp8;
  a.scales_rows = weight.fp8 && op.fp8_rows();
  if (shortcut) {
    a.segment_count = 2;
    a.segments[1] = whole_input(*shortcut, operands, 0);
    a.has_residual = false;
  }
  return a;
}

void fold_norm(const LayerNorm& norm, const WeightPlace& weight, const Operands& operands,
               MatmulArgs& args) {
  MatmulSegment& s = args.segments[0];
  s.x[0] = s.x[1] = operands.view(norm.x);
  if (!s.in_async() || !aligned(s.x[0]))
    throw Error(ErrorCode::kInternal, "conv: a norm of rows that are no eights of 16 bits");
  args.normed = true;
  args.epsilon = norm.epsilon;
  args.inverse_channels = 1.0f / float(s.k);
  args.weight_sums =
      reinterpret_cast<const float*>(static_cast<const char*>(weight.data) +
                                     size_t(packed_rows(weight.out)) * s.weight_stride * 2);
  s.bias = args.weight_sums + weight.out;
  args.norm_scale = s.bias + weight.out;
}

bool can_sum_rows(const MatmulArgs& args) {
  return args.segment_count == 1 && args.phases == 1 && !args.fp8 && args.wide &&
         args.columns % kPartApart == 0;
}

RoundArgs round_args(const Conv& op, const Operands& operands) {
  RoundArgs a;
  const Shape& x = op.x.shape;
  a.x = operands.view(op.x);
  a.rows = op.fp8_rows();
  a.scales = a.rows ? int(x.rows()) : x.n;
  a.count = x.count() / size_t(a.scales);
  return a;
}

bool can_add_shortcut(const Conv& op, const Conv& shortcut, const Operands& operands) {
  // act(sum + bias) * scale + residual * residual_scale must be (sum + bias + residual) * scale.
  if (operands.weights[op.weight].fp8 || operands.weights[shortcut.weight].fp8) return false;
  if (op.activation != Activation::none || op.scale != op.residual_scale || op.upsample ||
      op.kernel_h * op.kernel_w == 1)
    return false;
  const MatmulSegment first = whole_input(op, operands, 0);
  const MatmulSegment second = whole_input(shortcut, operands, 0);
  return first.mappable == second.mappable && first.in_async() == second.in_async() &&
         shortcut.x.shape.h == op.y.shape.h && shortcut.x.shape.w == op.y.shape.w;
}

}  // namespace deepcache::cuda
