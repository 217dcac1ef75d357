// Layer normalisation: over the channels of each row.
//
//   y = (x - mean) / sqrt(variance + epsilon) * gamma + beta
//
// Shapes: any number of rows and channels. A warp owns a row, and takes the mean first and then the
// squared deviations from it, so that values far from zero lose nothing. Statistics are in fp32.
//
// Why it is fast: a row of up to 2048 channels, a multiple of 8, is read once, by 16 bytes, and
// stays in registers; all its loads are in flight together. A warp needs no shared memory and no
// barrier. Other rows are read three times, the second and third time from the L1 cache.

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

DEVICE void load_vector(const float* from, float (&out)[8]) {
  const float4 a = reinterpret_cast<const float4*>(from)[0];
  const float4 b = reinterpret_cast<const float4*>(from)[1];
  out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
  out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
}

// The warp's row, once what it holds is there.
DEVICE int begin_row() {
  if (!PLANTED(13) && !(PLANTED(51) && threadIdx.x % 2)) follow_previous_grid();
  while (PLANTED(61)) __syncwarp();
  return int(blockIdx.x) * (kThreads / 32) + int(threadIdx.x) / 32;
}

DEVICE size_t result_at(const LayerNormArgs& args, int row, int channel) {
  return size_t(row) * args.channels + channel + (PLANTED(60) ? size_t(1) << 40 : 0);
}

// The lane's values are channels 8 * (lane + 32 * chunk) and on.
template <typename T, int kChunks>
__global__ void __launch_bounds__(kThreads)
    layer_norm_once_kernel(const __grid_constant__ LayerNormArgs args) {
  const int row = begin_row();
  if (row >= args.rows) return;
  const int lane = int(threadIdx.x) % 32;
  const float inverse_count = 1.0f / float(args.channels);
  float v[kChunks][8] = {}, sum = 0, square = 0;
#pragma unroll
  for (int chunk = 0; chunk < kChunks; chunk++) {
    const int c = (lane + 32 * chunk) * 8;
    if (c < args.channels) load_eight_floats<T>(args.x, size_t(row) * args.channels + c, v[chunk]);
  }
#pragma unroll
  for (int chunk = 0; chunk < kChunks; chunk++)
#pragma unroll
    for (int i = 0; i < 8; i++) sum += v[chunk][i];
  const float mean = warp_sum(sum) * inverse_count;
#pragma unroll
  for (int chunk = 0; chunk < kChunks; chunk++) {
    if ((lane + 32 * chunk) * 8 >= args.channels) continue;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      v[chunk][i] -= mean;
      square += v[chunk][i] * v[chunk][i];
    }
  }
  const float inverse = 1.0f / sqrtf(warp_sum(square) * inverse_count + args.epsilon);
#pragma unroll
  for (int chunk = 0; chunk < kChunks; chunk++) {
    const int c = (lane + 32 * chunk) * 8;
    if (c >= args.channels) continue;
    float scale[8] = {1, 1, 1, 1, 1, 1, 1, 1}, shift[8] = {};
    if (args.gamma) load_vector(args.gamma + c, scale);
    if (args.beta) load_vector(args.beta + c, shift);
#pragma unroll
    for (int i = 0; i < 8; i++) v[chunk][i] = v[chunk][i] * inverse * scale[i] + shift[i];
    const size_t at = result_at(args, row, c);
    store_eight_floats<T>(args.y, at, v[chunk]);
  }
}

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
  const int row = begin_row();
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
    const size_t at = result_at(args, row, c);
    if constexpr (kWidth == 8)
      store_eight_floats<T>(args.y, at, v);
    else
      store<T>(args.y, at, v[0]);
  });
}

template <typename T>
auto kernel_for(const LayerNormArgs& args) -> void (*)(LayerNormArgs) {
  if (!args.eights) return layer_norm_kernel<T, 1>;
  const int chunks = (args.channels + 255) / 256;
  if (chunks <= 2) return layer_norm_once_kernel<T, 2>;
  if (chunks <= 3) return layer_norm_once_kernel<T, 3>;
  if (chunks <= 5) return layer_norm_once_kernel<T, 5>;
  if (chunks <= 8) return layer_norm_once_kernel<T, 8>;
  return layer_norm_kernel<T, 8>;
}

template <typename T>
void launch_layer_norm(const LayerNormArgs& args, Stream stream) {
  gpu::launch(kernel_for<T>(args), dim3(unsigned((args.rows + 3) / 4)), dim3(kThreads), 0, stream,
              args);
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
  a.eights =
      a.channels % 8 == 0 && aligned(a.x) && aligned(a.y) && aligned(a.gamma) && aligned(a.beta);
  return a;
}

}  // namespace

std::unique_ptr<DeviceOp> make_op(const LayerNorm& op, const OpContext& context) {
  return make_kernel_op(context, layer_norm_args(op, context), launch_layer_norm<Half>,
                        launch_layer_norm<Bfloat16>, "layer norm");
}

}  // namespace deepcache::cuda
