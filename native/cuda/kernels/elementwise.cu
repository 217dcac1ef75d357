// y = act(a * x + b * x2), element by element, and y = x ++ x2 along the channels.
//
// Shapes: any; x2 may be absent, and may have fewer rows: each then serves several rows of x, and
// they begin again (a position embedding added to every sample, a frame's to all its pixels).
// Either operand and the result may be fp32, as the plan's inputs and outputs are, so that the
// elementwise kernel is also the conversion between fp32 and 16 bits. Arithmetic is in fp32.
//
// Why it is fast enough: one value of each operand per thread and turn, neighbouring threads on
// neighbouring values, so that every access of a warp is one or two whole cache lines, and the grid
// is large enough to hide latency. These ops are a few of a U-Net's hundreds and move little; the
// ones that would matter (residuals, activations, skip connections) are in the epilogues of the
// products and in the normalisations instead, where they cost nothing.

#include "cuda/kernels/simple.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

// Which value of x2 meets value i of x.
DEVICE size_t second(const ElementwiseArgs& args, size_t i) {
  const size_t row = i / args.width;
  return row / args.repeat % args.rows2 * args.width + (i - row * args.width);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    elementwise_kernel(const __grid_constant__ ElementwiseArgs args) {
  follow_previous_grid();
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < args.count;
       i += size_t(gridDim.x) * kThreads) {
    float v = args.a * load<T>(args.x, i);
    if (args.has_x2) v += args.b * load<T>(args.x2, second(args, i));
    store<T>(args.y, i, activate(args.activation, v));
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads) concat_kernel(const __grid_constant__ ConcatArgs args) {
  follow_previous_grid();
  const int width = args.channels[0] + args.channels[1];
  const size_t count = args.rows * width;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const size_t row = i / width;
    const int c = int(i - row * width), which = c >= args.channels[0];
    store<T>(args.y, i,
             load<T>(args.x[which], row * args.channels[which] + c - which * args.channels[0]));
  }
}

}  // namespace

template <typename T>
void launch_elementwise(const ElementwiseArgs& args, Stream stream) {
  gpu::launch(elementwise_kernel<T>, dim3(blocks_for(args.count, kThreads)), dim3(kThreads), 0,
              stream, args);
}

template <typename T>
void launch_concat(const ConcatArgs& args, Stream stream) {
  const size_t count = args.rows * (args.channels[0] + args.channels[1]);
  gpu::launch(concat_kernel<T>, dim3(blocks_for(count, kThreads)), dim3(kThreads), 0, stream, args);
}

template void launch_elementwise<Half>(const ElementwiseArgs&, Stream);
template void launch_elementwise<Bfloat16>(const ElementwiseArgs&, Stream);
template void launch_concat<Half>(const ConcatArgs&, Stream);
template void launch_concat<Bfloat16>(const ConcatArgs&, Stream);

}  // namespace deepcache::cuda
