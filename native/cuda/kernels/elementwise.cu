// y = act((1 + gain) * (a * x + b * x2 + offset) + shift), element by element, or a blend of x and
// x2 by a mask of rows.
//
// Shapes: any; x2 may be absent, and may have fewer rows: each then serves several rows of x, and
// they begin again (a position embedding added to every sample, a frame's to all its pixels).
// A scale is a number of a sample, gain and shift are vectors of one (a resnet's time projection).
// Either operand and the result may be fp32, as the plan's inputs and outputs are, so that the
// elementwise kernel is also the conversion between fp32 and 16 bits. Arithmetic is in fp32.
//
// Why it is fast enough: one value of each operand per thread and turn, neighbouring threads on
// neighbouring values, so that every access of a warp is one or two whole cache lines, and the grid
// is large enough to hide latency. These ops are a few of a U-Net's hundreds and move little; the
// ones that would matter (residuals, activations, skip connections) are in the epilogues of the
// products and in the normalisations instead, where they cost nothing.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct ElementwiseArgs {
  View y, x, x2, mask, scale, modulation;
  const float* slopes = nullptr;  // of each channel; may be null
  bool has_x2 = false, has_mask = false, has_scale = false, has_modulation = false;
  size_t count = 0;
  int width = 1, repeat = 1;  // a row of x2 serves `repeat` rows of x in turn,
  size_t rows2 = 1;           // and after that many x2 begins again
  size_t part = 1;            // values of x that a scale is for
  int scales = 1;             // of a sample: so far apart do they lie
  int scale_offset = 0;
  size_t modulated = 1;  // values of x that a row of the modulation is for,
  int modulations = 1;   // so far apart do these lie
  int modulation_offset = 0;
  float a = 1, b = 1, offset = 0, slope = 0;
  Activation activation = Activation::none;
};

// Which value of x2 meets value i of x.
DEVICE size_t second(const ElementwiseArgs& args, size_t i) {
  const size_t row = i / args.width;
  return row / args.repeat % args.rows2 * args.width + (i - row * args.width);
}

// Which scale is for value i of x.
DEVICE size_t scale_place(const ElementwiseArgs& args, size_t i) {
  return i / args.part * args.scales + args.scale_offset;
}

// Apart from activate(), which is in the epilogues of all products.
DEVICE float finish(const ElementwiseArgs& args, size_t i, float v) {
  if (args.activation == Activation::leaky_relu)
    return v < 0 ? v * (args.slopes ? args.slopes[i % args.width] : args.slope) : v;
  if (args.activation == Activation::tanh) return 2 * sigmoid(2 * v) - 1;
  if (args.activation == Activation::mish) {  // v * tanh(ln(1 + e^v)); beyond 20 it is v
    const float e = fast_exp2(kLog2e * fminf(v, 20.0f)), n = e * (e + 2);
    return v * (n / (n + 2));
  }
  return activate(args.activation, v);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    elementwise_kernel(const __grid_constant__ ElementwiseArgs args) {
  follow_previous_grid();
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < args.count;
       i += size_t(gridDim.x) * kThreads) {
    const float share = args.has_mask ? load<T>(args.mask, i / args.width) : 1;
    float share2 = args.has_mask ? 1 - share : 1;
    if (args.has_scale) share2 *= load<T>(args.scale, scale_place(args, i));
    float v = share * args.a * load<T>(args.x, i) + args.offset;
    if (args.has_x2) v += share2 * args.b * load<T>(args.x2, second(args, i));
    if (args.has_modulation) {
      const size_t gain =
          i / args.modulated * args.modulations + args.modulation_offset + i % args.width;
      v += v * load<T>(args.modulation, gain) + load<T>(args.modulation, gain + args.width);
    }
    store<T>(args.y, i, finish(args, i, v));
  }
}

template <typename T>
void launch_elementwise(const ElementwiseArgs& args, Stream stream) {
  gpu::launch(elementwise_kernel<T>, dim3(blocks_for(args.count, kThreads)), dim3(kThreads), 0,
              stream, args);
}

ElementwiseArgs elementwise_args(const Elementwise& op, const OpContext& context) {
  ElementwiseArgs a;
  a.y = context.operands.view(op.y);
  a.x = context.operands.view(op.x);
  a.count = op.x.shape.count();
  a.width = op.x.shape.c;
  if (op.x2) {
    a.has_x2 = true;
    a.x2 = context.operands.view(op.x2);
    a.repeat = op.repeat;
    a.rows2 = op.x2.shape.rows();
  }
  if (op.mask) {
    a.has_mask = true;
    a.mask = context.operands.view(op.mask);
  }
  if (op.modulation) {
    a.has_modulation = true;
    a.modulation = context.operands.view(op.modulation);
    a.modulated = a.count / op.modulation.shape.n;
    a.modulations = op.modulation.shape.c;
    a.modulation_offset = op.modulation_offset;
  }
  a.slopes = context.operands.vector(op.slopes);
  a.slope = op.slope;
  a.offset = op.offset;
  if (op.scale) {
    a.has_scale = true;
    a.scale = context.operands.view(op.scale);
    a.part = a.count / op.scale.shape.rows();
    a.scales = op.scale.shape.c;
    a.scale_offset = op.scale_offset;
  }
  a.a = op.a;
  a.b = op.b;
  a.activation = op.activation;
  return a;
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const Elementwise& op, const OpContext& context) {
  return make_kernel_op(context, elementwise_args(op, context), launch_elementwise<Half>,
                        launch_elementwise<Bfloat16>, "elementwise");
}

}  // namespace deepcache::cuda
