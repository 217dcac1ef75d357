// y[n] = x[n][index[n]]; index i32.
//
// Shapes: any. An index outside of the sequence reads row 0 and sets *fault: see embedding.cu,
// which is as rare.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

struct PickTokenArgs {
  View y, x;
  const int32_t* index = nullptr;
  int samples = 0, length = 0, width = 0;
  int* fault = nullptr;  // gets kBadIndex
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    pick_token_kernel(const __grid_constant__ PickTokenArgs args) {
  follow_previous_grid();
  const int count = args.samples * args.width;
  for (int i = int(blockIdx.x) * kThreads + int(threadIdx.x); i < count;
       i += int(gridDim.x) * kThreads) {
    const int n = i / args.width, c = i % args.width;
    int index = args.index[n];
    if (unsigned(index) >= unsigned(args.length)) {
      atomicMax(args.fault, kBadIndex);
      index = 0;
    }
    store<T>(args.y, size_t(i),
             load<T>(args.x, (size_t(n) * args.length + index) * args.width + c));
  }
}

template <typename T>
void launch_pick_token(const PickTokenArgs& args, Stream stream) {
  gpu::launch(pick_token_kernel<T>, dim3(blocks_for(size_t(args.samples) * args.width, kThreads)),
              dim3(kThreads), 0, stream, args);
}

PickTokenArgs pick_token_args(const PickToken& op, const OpContext& context) {
  PickTokenArgs a;
  a.y = context.operands.view(op.y);
  a.x = context.operands.view(op.x);
  a.index = context.operands.ints(op.index);
  a.samples = op.x.shape.n;
  a.length = int(op.x.shape.rows() / op.x.shape.n);
  a.width = op.x.shape.c;
  a.fault = context.fault();
  return a;
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const PickToken& op, const OpContext& context) {
  return make_kernel_op(context, pick_token_args(op, context), launch_pick_token<Half>,
                        launch_pick_token<Bfloat16>, "pick token");
}

}  // namespace deepcache::cuda
