// Group normalisation over one or two NHWC inputs (x ++ x2 along the channels), with SiLU.
//
//   y = act((x - mean) / sqrt(variance + epsilon) * gamma + beta)
//
// Mean and variance are of a sample's rows (pixels) and a group's channels. Shapes: any; where
// channel counts are multiples of 8, accesses are of 16 bytes. Tensors that fit the
// multiprocessors' shared memory go to group_norm_once.cu.
//
// Two kernels, because statistics need all of a group before its first output. The first takes each
// channel's sums over a part of the rows, relative to the channel's value in the part's first row,
// so that values far from zero lose nothing; it turns them into mean and squared deviations and
// merges those over the channels of a group (Chan, Golub, LeVeque 1979). The second merges the
// parts, always in the same order, and writes. The join of the skip connection happens here, on the
// way: nothing is ever concatenated in memory.
//
// Why it is fast: it reads the inputs twice and writes once, which is the least for tensors
// that fit no shared memory; a thread keeps to the same channels for all its rows, so gamma, beta
// and the statistics are in registers, and neighbouring threads read neighbouring channels.

#include "cuda/kernels/group_norm.h"
#include "cuda/op.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;

// Mean and squared deviations of two sets as one. `a` keeps the result.
DEVICE void merge(float& count_a, float& mean_a, float& square_a, float count_b, float mean_b,
                  float square_b) {
  const float count = count_a + count_b;
  if (count_b == 0) return;
  const float d = mean_b - mean_a, part = count_b / count;
  mean_a += d * part;
  square_a += square_b + d * d * count_a * part;
  count_a = count;
}

template <typename T, int kWidth>
DEVICE void read(const GroupNormArgs& a, int sample, int row, int channel, float (&v)[kWidth]) {
  const int which = channel >= a.channels[0];
  const size_t at =
      (size_t(sample) * a.rows + row) * a.channels[which] + channel - which * a.channels[0];
  if constexpr (kWidth == 8)
    load_eight_floats<T>(a.x[which], at, v);
  else
    v[0] = load<T>(a.x[which], at);
}

// One block for each part of a sample's rows. kWidth: channels of a thread.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads, 3)
    group_statistics_kernel(const __grid_constant__ GroupNormArgs args) {
  follow_previous_grid();
  SHARED_ARRAY(float, shared_mean, kThreads* kWidth);
  SHARED_ARRAY(float, shared_square, kThreads* kWidth);
  SHARED_ARRAY(float, shared_count, kThreads);
  const int channels = args.channels[0] + args.channels[1], columns = channels / kWidth;
  const int group_width = channels / args.groups;
  const int part = int(blockIdx.x), sample = int(blockIdx.y);
  const int first = int((long long)args.rows * part / args.blocks);
  const int last = int((long long)args.rows * (part + 1) / args.blocks);
  const int across = columns < kThreads ? columns : kThreads;  // threads side by side
  const int lanes = kThreads / across, lane = int(threadIdx.x) / across;
  const int thread_column = int(threadIdx.x) % across;

  // A group that spans two turns of this loop goes on from what the turn before left behind.
  float carried_count = 0, carried_mean = 0, carried_square = 0;
  for (int turn = 0; turn < columns; turn += across) {
    const int column = turn + thread_column;
    const bool active = lane < lanes && column < columns;
    float pivot[kWidth] = {}, sum[kWidth] = {}, square[kWidth] = {};
    int count = 0;
    if (active && first + lane < last) {
      read<T>(args, sample, first + lane, column * kWidth, pivot);
      for (int row = first + lane; row < last; row += lanes, count++) {
        float v[kWidth];
        read<T>(args, sample, row, column * kWidth, v);
#pragma unroll
        for (int i = 0; i < kWidth; i++) {
          const float d = v[i] - pivot[i];
          sum[i] += d;
          square[i] += d * d;
        }
      }
    }
    shared_count[threadIdx.x] = float(count);
#pragma unroll
    for (int i = 0; i < kWidth; i++) {
      const float inverse = count ? 1.0f / float(count) : 0.0f;
      shared_mean[threadIdx.x * kWidth + i] = pivot[i] + sum[i] * inverse;
      shared_square[threadIdx.x * kWidth + i] = fmaxf(square[i] - sum[i] * sum[i] * inverse, 0.0f);
    }
    if (!PLANTED(10)) __syncthreads();
    // A thread for each group: its channels of this turn, lane by lane.
    const int first_channel = turn * kWidth;
    const int last_channel = (turn + across < columns ? turn + across : columns) * kWidth;
    for (int group = int(threadIdx.x); group < args.groups; group += kThreads) {
      int begin = group * group_width, end = begin + group_width;
      if (end <= first_channel || begin >= last_channel) continue;
      const bool starts = begin >= first_channel, ends = end <= last_channel;
      begin = starts ? begin : first_channel;
      end = ends ? end : last_channel;
      float n = starts ? 0 : carried_count, mean = starts ? 0 : carried_mean;
      float deviations = starts ? 0 : carried_square;
      for (int l = 0; l < lanes; l++)
        for (int c = begin - first_channel; c < end - first_channel; c++) {
          const int at = (l * across) * kWidth + c;
          merge(n, mean, deviations, shared_count[l * across + c / kWidth], shared_mean[at],
                shared_square[at]);
        }
      if (ends) {
        args.statistics[(size_t(sample) * args.groups + group) * args.blocks + part] = {mean,
                                                                                        deviations};
      } else {
        carried_count = n, carried_mean = mean, carried_square = deviations;
      }
    }
    __syncthreads();
  }
}

template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    group_norm_kernel(const __grid_constant__ GroupNormArgs args) {
  follow_previous_grid();
  SHARED_ARRAY(float, shared_mean, 1024);
  SHARED_ARRAY(float, shared_inverse, 1024);
  const int channels = args.channels[0] + args.channels[1], columns = channels / kWidth;
  const int group_width = channels / args.groups;
  const int sample = int(blockIdx.y);
  for (int group = int(threadIdx.x); group < args.groups; group += kThreads) {
    const float2* from = args.statistics + (size_t(sample) * args.groups + group) * args.blocks;
    float count = 0, mean = 0, square = 0;
    for (int part = 0; part < args.blocks; part++) {
      const int first = int((long long)args.rows * part / args.blocks);
      const int last = int((long long)args.rows * (part + 1) / args.blocks);
      merge(count, mean, square, float(last - first) * float(group_width), from[part].x,
            from[part].y);
    }
    shared_mean[group] = mean;
    shared_inverse[group] = 1.0f / sqrtf(square / count + args.epsilon);
  }
  __syncthreads();

  const int across = columns < kThreads ? columns : kThreads;
  const int lanes = kThreads / across, lane = int(threadIdx.x) / across;
  if (lane >= lanes) return;
  for (int column = int(threadIdx.x) % across; column < columns; column += across) {
    float scale[kWidth], shift[kWidth];
#pragma unroll
    for (int i = 0; i < kWidth; i++) {
      const int c = column * kWidth + i, group = c / group_width;
      scale[i] = shared_inverse[group] * (args.gamma ? args.gamma[c] : 1.0f);
      shift[i] = (args.beta ? args.beta[c] : 0.0f);
    }
    for (int row = int(blockIdx.x) * lanes + lane; row < args.rows; row += int(gridDim.x) * lanes) {
      float v[kWidth];
      read<T>(args, sample, row, column * kWidth, v);
#pragma unroll
      for (int i = 0; i < kWidth; i++) {
        const float mean = shared_mean[(column * kWidth + i) / group_width];
        v[i] = (v[i] - mean) * scale[i] + shift[i];
        if (args.silu) v[i] = activate(Activation::silu, v[i]);
      }
      const size_t at = (size_t(sample) * args.rows + row) * channels + size_t(column) * kWidth;
      if constexpr (kWidth == 8)
        store_eight_floats<T>(args.y, at, v);
      else
        store<T>(args.y, at, v[0]);
    }
  }
}

template <typename T, int kWidth>
void launch(const GroupNormArgs& args, Stream stream) {
  gpu::launch(group_statistics_kernel<T, kWidth>,
              dim3(unsigned(args.blocks), unsigned(args.samples)), dim3(kThreads), 0, stream, args);
  const size_t columns = size_t(args.channels[0] + args.channels[1]) / kWidth;
  const unsigned blocks = blocks_for(size_t(args.rows) * columns, kThreads * 4);
  gpu::launch(group_norm_kernel<T, kWidth>, dim3(blocks, unsigned(args.samples)), dim3(kThreads), 0,
              stream, args);
}

}  // namespace

int group_norm_blocks(int samples, int rows, int channels, int multiprocessors) {
  const size_t values = size_t(rows) * channels;
  size_t blocks = values / (kThreads * 8 * 4);  // worth it: four turns of each thread
  const size_t most = size_t(4 * multiprocessors + samples - 1) / samples;
  blocks = blocks < most ? blocks : most;
  blocks = blocks < size_t(rows) ? blocks : size_t(rows);
  return blocks ? int(blocks) : 1;
}

namespace {

template <typename T>
void launch_group_norm(const GroupNormArgs& args, Stream stream) {
  if (args.once)
    launch_group_norm_once<T>(args, stream);
  else if (args.eights)
    launch<T, 8>(args, stream);
  else
    launch<T, 1>(args, stream);
}

GroupNormArgs group_norm_args(const GroupNorm& op, const OpContext& context) {
  GroupNormArgs a;
  context.operands.view(op.x, op.x2, a.x, a.channels);
  a.y = context.operands.view(op.y);
  a.samples = op.y.shape.n;
  a.rows = int(op.y.shape.rows() / op.y.shape.n);
  a.groups = op.groups;
  a.gamma = context.operands.vector(op.gamma);
  a.beta = context.operands.vector(op.beta);
  a.epsilon = op.epsilon;
  a.silu = op.silu;
  a.eights = a.channels[0] % 8 == 0 && a.channels[1] % 8 == 0 && aligned(a.x[0]) &&
             aligned(a.x[1]) && aligned(a.y);
  plan_group_norm(a, context.gpu.properties);
  return a;
}

class GroupNormOp : public KernelOp<GroupNormArgs> {
 public:
  using KernelOp::KernelOp;

  std::string kernel() const override {
    if (args_.once) return "group norm, one read, clusters of " + std::to_string(args_.blocks);
    return args_.eights ? "group norm by eights" : "group norm by values";
  }
  size_t workspace_bytes() const override {
    if (args_.once) return 0;
    return size_t(args_.samples) * args_.groups * args_.blocks * sizeof(float2);
  }
  void use_workspace(void* data) override { args_.statistics = static_cast<float2*>(data); }
};

}  // namespace

std::unique_ptr<DeviceOp> make_op(const GroupNorm& op, const OpContext& context) {
  const GroupNormArgs args = group_norm_args(op, context);
  if (args.groups > 1024) throw Error(ErrorCode::kUnsupported, "group_norm: more than 1024 groups");
  return std::make_unique<GroupNormOp>(
      args, context.choose(launch_group_norm<Half>, launch_group_norm<Bfloat16>));
}

}  // namespace deepcache::cuda
