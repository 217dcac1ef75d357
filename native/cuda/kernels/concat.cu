// y = x ++ x2 along the channels.
//
// Shapes: any. One value per thread and turn, neighbours on neighbours. Few models have it: most
// joins with a skip connection happen on the way into a product or a normalisation.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct ConcatArgs {
  View y, x[2];
  int channels[2] = {};
  size_t rows = 0;
};

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

template <typename T>
void launch_concat(const ConcatArgs& args, Stream stream) {
  const size_t count = args.rows * (args.channels[0] + args.channels[1]);
  gpu::launch(concat_kernel<T>, dim3(blocks_for(count, kThreads)), dim3(kThreads), 0, stream, args);
}

ConcatArgs concat_args(const Concat& op, const OpContext& context) {
  ConcatArgs a;
  a.y = context.operands.view(op.y);
  context.operands.view(op.x, op.x2, a.x, a.channels);
  a.rows = op.x.shape.rows();
  return a;
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const Concat& op, const OpContext& context) {
  return make_kernel_op(context, concat_args(op, context), launch_concat<Half>,
                        launch_concat<Bfloat16>, "concat");
}

}  // namespace deepcache::cuda
