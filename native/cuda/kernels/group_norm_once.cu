// Group normalisation (see group_norm.cu) that reads its inputs once: for the U-Net's sizes.
//
// A cluster of blocks (one block before sm_90) owns some whole groups of a sample: so few channels
// that they are a multiple of 8, as one 16-byte access holds. Each block reads its part of the
// rows, keeps it in shared memory, and takes each group's sums relative to the group's first value,
// so that values far from zero lose little. Each block sends its sums to the shared memory of all
// blocks, which add them in the same order, and write their parts from shared memory.
//
// Why it is fast: one launch, one read and one write. The exchange costs a store to a neighbour,
// which an mbarrier there counts, so that nothing waits for device memory; a second kernel would
// cost a launch and a second read. Clusters are chosen so that the blocks fill the GPU.

#include "cuda/kernels/group_norm.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostChannels = 512;  // of a cluster
constexpr int kMostGroups = 8;      // of a cluster: see least_common_multiple_with_8()
constexpr int kMostBlocks = 8;

// Bytes of shared memory that are not the kept rows.
constexpr size_t kStaticBytes =
    (2 * 8 * kThreads + 2 * kMostChannels + 2 * kMostGroups * kMostBlocks + 2) * sizeof(float);

int least_common_multiple_with_8(int n) {
  return n % 8 == 0 ? n : n % 4 == 0 ? 2 * n : n % 2 == 0 ? 4 * n : 8 * n;
}

// Turns in which a block's threads read its rows.
int turns_of(int rows, int cluster, int channels) {
  const int lanes = kThreads / (channels / 8), part = (rows + cluster - 1) / cluster;
  return (part + lanes - 1) / lanes;
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    group_norm_once_kernel(const __grid_constant__ GroupNormArgs args) {
  DYNAMIC_SHARED(shared);
  SHARED_ARRAY(float, partial_sum, 8 * kThreads);
  SHARED_ARRAY(float, partial_square, 8 * kThreads);
  SHARED_ARRAY(float, shared_sum, kMostChannels);  // of channels, then the means of groups
  SHARED_ARRAY(float, shared_square, kMostChannels);
  SHARED_ARRAY(float2, totals, kMostGroups * kMostBlocks);  // of groups, by the blocks' parts
  uint4* const kept = reinterpret_cast<uint4*>(shared) + threadIdx.x;  // [turn][thread]
  const int channels = args.channels[0] + args.channels[1], width = channels / args.groups;
  const int part = int(blockIdx.x) % args.blocks,
            first_channel = int(blockIdx.x) / args.blocks * args.once;
  const int sample = int(blockIdx.y), groups = args.once / width;
#if DEEPCACHE_SM90
  SHARED_ARRAY(uint64_t, totals_full, 1);
  if (args.blocks > 1) {
    if (threadIdx.x == 0) {
      mbarrier_init(totals_full, 1);
      mbarrier_init_fence();
      mbarrier_arrive_expect(totals_full, groups * args.blocks * int(sizeof(float2)));
    }
    cluster_arrive();
  }
#endif
  follow_previous_grid();
  const int first = int((long long)args.rows * part / args.blocks);
  const int last = int((long long)args.rows * (part + 1) / args.blocks);
  const int across = args.once / 8, lanes = kThreads / across;
  const int lane = int(threadIdx.x) / across, begin = lane < lanes ? first + lane : last;
  const int local = int(threadIdx.x) % across * 8, channel = first_channel + local;
  const int which = channel >= args.channels[0];
  const int stride = args.channels[which] / 8;
  const uint4* const from = static_cast<const uint4*>(args.x[which].data) +
                            size_t(sample) * args.rows * stride +
                            (channel - which * args.channels[0]) / 8;

  float pivot[8], sum[8] = {}, square[8] = {};
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const int c = (channel + i) / width * width, source = c >= args.channels[0];
    pivot[i] = load<T>(args.x[source], size_t(sample) * args.rows * args.channels[source] + c -
                                           source * args.channels[0]);
  }
#pragma unroll 4
  for (int row = begin, turn = 0; row < last; row += lanes, turn++) {
    const uint4 values = from[size_t(row) * stride];
    kept[turn * kThreads] = values;
    float v[8];
    unpack_eight<T>(values, v);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const float d = v[i] - pivot[i];
      sum[i] += d;
      square[i] += d * d;
    }
  }
#pragma unroll
  for (int i = 0; i < 8; i++) {
    partial_sum[threadIdx.x * 8 + i] = sum[i];
    partial_square[threadIdx.x * 8 + i] = square[i];
  }
  if (!PLANTED(11)) __syncthreads();
  for (int c = int(threadIdx.x) / 32; c < args.once; c += kThreads / 32) {
    float a = 0, b = 0;
    for (int l = int(threadIdx.x) % 32; l < lanes; l += 32) {
      a += partial_sum[l * args.once + c];
      b += partial_square[l * args.once + c];
    }
    a = warp_sum(a);
    b = warp_sum(b);
    if (threadIdx.x % 32 == 0) shared_sum[c] = a, shared_square[c] = b;
  }
  __syncthreads();
  // A thread for every group and every block that its total goes to.
  const int group = int(threadIdx.x) / args.blocks;
  float2 total = {0, 0};
  if (group < groups)
    for (int c = group * width; c < (group + 1) * width; c++)
      total.x += shared_sum[c], total.y += shared_square[c];
  if (args.blocks == 1 && group < groups) totals[group] = total;
#if DEEPCACHE_SM90
  if (args.blocks > 1) {
    if (!PLANTED(16)) cluster_wait();
    if (group < groups)
      store_to_cluster(&totals[group * args.blocks + part], int(threadIdx.x) % args.blocks, total,
                       totals_full);
    if (!PLANTED(12)) mbarrier_wait_cluster(totals_full, 0);
  }
#endif
  __syncthreads();
  if (int(threadIdx.x) < groups) {
    total = {0, 0};
    for (int p = 0; p < args.blocks; p++) {
      const float2 one = totals[int(threadIdx.x) * args.blocks + p];
      total.x += one.x, total.y += one.y;
    }
    const float inverse_count = 1.0f / (float(args.rows) * float(width)),
                mean = total.x * inverse_count;
    shared_sum[threadIdx.x] = mean;  // relative to the group's pivot
    shared_square[threadIdx.x] =
        1.0f / sqrtf(fmaxf(total.y * inverse_count - mean * mean, 0.0f) + args.epsilon);
  }
  __syncthreads();

  float scale[8], shift[8];
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const int g = (local + i) / width;
    pivot[i] += shared_sum[g];
    scale[i] = shared_square[g] * (args.gamma ? args.gamma[channel + i] : 1.0f);
    shift[i] = args.beta ? args.beta[channel + i] : 0.0f;
  }
#pragma unroll 2
  for (int row = begin, turn = 0; row < last; row += lanes, turn++) {
    float v[8];
    unpack_eight<T>(kept[turn * kThreads], v);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      v[i] = (v[i] - pivot[i]) * scale[i] + shift[i];
      if (args.silu) v[i] = activate(Activation::silu, v[i]);
    }
    store_eight_floats<T>(args.y, (size_t(sample) * args.rows + row) * channels + channel, v);
  }
}

// With clusters of at most `most` blocks.
void plan(GroupNormArgs& args, const gpu::Properties& gpu, int most) {
  const int channels = args.channels[0] + args.channels[1];
  args.once = 0;
  args.blocks = group_norm_blocks(args.samples, args.rows, channels, gpu.multiprocessors);
  const int owned = least_common_multiple_with_8(channels / args.groups);
  if (!gpu.once || !args.eights || args.x[0].fp32 || args.x[1].fp32 || owned > kMostChannels)
    return;
  int cluster = 1;
  const auto bytes = [&] { return size_t(turns_of(args.rows, cluster, owned)) * kThreads * 16; };
  const auto fits = [&] { return bytes() + kStaticBytes + 1024 <= gpu.shared_bytes; };
  const auto fills = [&] {
    return args.samples * (channels / owned) * cluster >= gpu.multiprocessors;
  };
  // Not below 8 KiB a block, which are read at once.
  while (cluster < most && (!fits() || (!fills() && bytes() > 8192))) cluster *= 2;
  // A few blocks that read much are slower than two kernels that fill the GPU.
  if (!fits() || (!fills() && bytes() > 65536)) return;
  args.once = owned;
  args.blocks = cluster;
  args.shared_bytes = bytes();
}

}  // namespace

void plan_group_norm(GroupNormArgs& args, const gpu::Properties& gpu) {
  const auto has_place = [&] {
    const auto kernel = reinterpret_cast<const void*>(group_norm_once_kernel<Half>);
    return !args.once || args.blocks == 1 || PLANTED(81) ||
           gpu::clusters_fit(kernel, unsigned(args.blocks), kThreads, args.shared_bytes);
  };
  int most = gpu.clusters ? (PLANTED(81) ? 16 : kMostBlocks) : 1;
  for (plan(args, gpu, most); !has_place(); plan(args, gpu, most)) most = args.blocks / 2;
}

template <typename T>
void launch_group_norm_once(const GroupNormArgs& args, Stream stream) {
  const int chunks = (args.channels[0] + args.channels[1]) / args.once;
  gpu::launch_clusters(group_norm_once_kernel<T>, unsigned(args.blocks),
                       dim3(unsigned(chunks * args.blocks), unsigned(args.samples)), dim3(kThreads),
                       args.shared_bytes, stream, args);
}

template void launch_group_norm_once<Half>(const GroupNormArgs&, Stream);
template void launch_group_norm_once<Bfloat16>(const GroupNormArgs&, Stream);

}  // namespace deepcache::cuda
