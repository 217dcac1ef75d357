// Layer normalisation: over the channels of each row.
//
//   y = (x - mean) / sqrt(variance + epsilon) * gamma + beta
//
// Shapes: any number of rows and channels; where channels are multiples of 8, accesses are of 16
// bytes. A warp owns a row and reads it three times: for the mean, for the squared deviations from
// it (two passes, so that values far from zero lose nothing) and for the output.
//
// Why it is fast: a row is 0.6 to 4 KB, so that the second and third reads hit the L1 cache; device
// memory is read once and written once. A warp needs no shared memory and no barrier, and 4 warps
// of a block at up to 16 blocks on a multiprocessor keep enough loads in flight. Statistics are in
// fp32.

#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 128;

struct LayerNormArgs {
  View x, y;
  int rows = 1, channels = 1;
  const float *gamma = nullptr, *beta = nullptr;
  float epsilon = 0;
  bool eights = false;
};

// Calls body(values, first channel) for the lane's share of a row.
template <typename T, int kWidth, typename Body>
DEVICE void for_values(const LayerNormArgs& args, int row, const Body& body) {
  for (int c = int(threadIdx.x % 32) * kWidth; c < args.channels; c += 32 * kWidth) {
    float v[kWidth];
    const size_t at = size_t(row) * args.channels + c;
    if constexpr (kWidth == 8)
      load_eight_floats<T>(args.x, at, v);
    else
      v[0] = load<T>(args.x, at);
    body(v, c);
  }
}

template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    layer_norm_kernel(const __grid_constant__ LayerNormArgs args) {
  if (!PLANTED(13)) follow_previous_grid();
  const int row = int(blockIdx.x) * (kThreads / 32) + int(threadIdx.x) / 32;
  if (row >= args.rows) return;
  const float inverse_count = 1.0f / float(args.channels);
  float sum = 0;
  for_values<T, kWidth>(args, row, [&](float(&v)[kWidth], int) {
#pragma unroll
    for (int i = 0; i < kWidth; i++) sum += v[i];
  });
  const float mean = warp_sum(sum) * inverse_count;
  float square = 0;
  for_values<T, kWidth>(args, row, [&](float(&v)[kWidth], int) {
#pragma unroll
    for (int i = 0; i < kWidth; i++) square += (v[i] - mean) * (v[i] - mean);
  });
  const float inverse = 1.0f / sqrtf(warp_sum(square) * inverse_count + args.epsilon);
  for_values<T, kWidth>(args, row, [&](float(&v)[kWidth], int c) {
#pragma unroll
    for (int i = 0; i < kWidth; i++)
      v[i] = (v[i] - mean) * inverse * (args.gamma ? args.gamma[c + i] : 1.0f) +
             (args.beta ? args.beta[c + i] : 0.0f);
    const size_t at = size_t(row) * args.channels + c;
    if constexpr (kWidth == 8)
      store_eight_floats<T>(args.y, at, v);
    else
      store<T>(args.y, at, v[0]);
  });
}

template <typename T>
void launch_layer_norm(const LayerNormArgs& args, Stream stream) {
  const dim3 grid(unsigned((args.rows + 3) / 4));
  if (args.eights)
    gpu::launch(layer_norm_kernel<T, 8>, grid, dim3(kThreads), 0, stream, args);
  else
    gpu::launch(layer_norm_kernel<T, 1>, grid, dim3(kThreads), 0, stream, args);
}

LayerNormArgs layer_norm_args(const LayerNorm& op, const OpContext& context) {
  LayerNormArgs a;
  a.x = context.operands.view(op.x);
  a.y = context.operands.view(op.y);
  a.rows = int(op.x.shape.rows());
  a.channels = op.x.shape.c;
  a.gamma = context.operands.vector(op.gamma);
  a.beta = context.operands.vector(op.beta);
  a.epsilon = op.epsilon;
  a.eights = a.channels % 8 == 0 && aligned(a.x) && aligned(a.y);
  return a;
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const LayerNorm& op, const OpContext& context) {
  return make_kernel_op(context, layer_norm_args(op, context), launch_layer_norm<Half>,
                        launch_layer_norm<Bfloat16>, "layer norm");
}

}  // namespace deepcache::cuda
