// The sampler: what happens to the latents between two U-Net calls, without leaving the device.
//
//   input  model_input = input_scale * x ++ constant channels, for each guidance half
//   step   m = guidance of the two halves, rescaled; x0 = p x + q m, clamped or thresholded; up to
//   four
//          assignments slot <- sum of coefficient * slot; the masked blend of four-channel
//          inpainting
//
// Shapes: [samples, pixels, channels] in fp32, as the runtime's table.h says. Every coefficient is
// read from the table in device memory, one for the batch or one for each sample.
//
// A row is elementwise except for two things that need a whole sample first: the deviations of
// rescale_noise_cfg, and the quantile of dynamic thresholding. Both are kernels of one block per
// sample that leave one number behind, run only where a row asks for them. The quantile is found
// exactly, bit by bit of the fp32 pattern (of absolute values, which sort as integers do).
//
// Why it is fast: a latent is 64 KB, so a row is one or two launches of a few microseconds; a
// thread does all assignments of its element, in order, so that nothing is read again by another
// kernel. Sums over a sample are in a fixed order: the same table gives the same bits.

#include "cuda/kernels/common.h"
#include "cuda/kernels/sampler.h"

namespace deepcache::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSampleThreads = 512;

DEVICE float value(const SamplerCall& c, Coefficient coefficient, int sample) {
  return c.values[coefficient.offset + coefficient.stride * unsigned(sample)];
}

DEVICE size_t sample_size(const SamplerCall& c) { return size_t(c.pixels) * c.channels; }

__global__ void __launch_bounds__(kThreads)
    sampler_input_kernel(const __grid_constant__ SamplerCall c) {
  const size_t count = size_t(c.halves) * c.batch * c.pixels * c.input_channels;
  const int extra = c.input_channels - c.channels;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const int channel = int(i % c.input_channels);
    const size_t pixel = i / c.input_channels;
    if (channel >= c.channels) {
      c.model_input[i] = c.constant[pixel * extra + channel - c.channels];
      continue;
    }
    const size_t inner = pixel % (size_t(c.batch) * c.pixels);
    const int sample = int(inner / c.pixels);
    c.model_input[i] = value(c, c.input_scale, sample) * c.x[inner * c.channels + channel];
  }
}

// The sum over the block; all threads get it.
DEVICE float block_sum(float v, float* shared) {
  v = warp_sum(v);
  __syncthreads();  // the previous sum has been read
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
  __syncthreads();
  v = 0;
  for (int i = 0; i < kSampleThreads / 32; i++) v += shared[i];
  return v;
}

DEVICE float guided(const SamplerCall& c, int sample, size_t i) {
  const size_t half = size_t(c.batch) * sample_size(c);
  const float u = c.model_output[i];
  return u + value(c, c.guidance_scale, sample) * (c.model_output[half + i] - u);
}

// The factor of diffusers' rescale_noise_cfg. Deviations are torch.std's; both have n - 1.
__global__ void __launch_bounds__(kSampleThreads)
    rescale_kernel(const __grid_constant__ SamplerCall c, float* factors) {
  SHARED_ARRAY(float, shared, kSampleThreads / 32);
  const int sample = int(blockIdx.x);
  const size_t count = sample_size(c), first = sample * count;
  const float* conditional = c.model_output + size_t(c.batch) * count;
  float sum_c = 0, sum_g = 0;
  for (size_t i = threadIdx.x; i < count; i += kSampleThreads) {
    sum_c += conditional[first + i];
    sum_g += guided(c, sample, first + i);
  }
  const float mean_c = block_sum(sum_c, shared) / float(count);
  const float mean_g = block_sum(sum_g, shared) / float(count);
  sum_c = sum_g = 0;
  for (size_t i = threadIdx.x; i < count; i += kSampleThreads) {
    const float d = conditional[first + i] - mean_c, e = guided(c, sample, first + i) - mean_g;
    sum_c += d * d;
    sum_g += e * e;
  }
  sum_c = block_sum(sum_c, shared);
  sum_g = block_sum(sum_g, shared);
  if (threadIdx.x == 0) {
    const float phi = value(c, c.guidance_rescale, sample);
    factors[sample] = phi == 0 ? 1.0f : phi * sqrtf(sum_c / sum_g) + (1 - phi);
  }
}

__global__ void __launch_bounds__(kThreads)
    predict_kernel(const __grid_constant__ SamplerCall c, const float* factors) {
  const size_t each = sample_size(c), count = c.batch * each;
  const size_t conditional = size_t(c.halves - 1) * count;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const int sample = int(i / each);
    float m = c.guided ? guided(c, sample, i) : c.model_output[conditional + i];
    if (c.rescaled) m *= factors[sample];
    c.m[i] = m;
    float x0 = value(c, c.x0_x, sample) * c.x[i] + value(c, c.x0_m, sample) * m;
    if (c.limit == StepRow::Limit::clamp) x0 = fminf(fmaxf(x0, -c.clamp), c.clamp);
    c.x0[i] = x0;
  }
}

DEVICE unsigned size_bits(float x) { return unsigned(__float_as_int(x)) & 0x7fffffffu; }

// The number of the sample's |x0| whose bits are at most `bits`.
DEVICE unsigned count_up_to(const float* x0, size_t count, unsigned bits, float* shared) {
  unsigned some = 0;
  for (size_t i = threadIdx.x; i < count; i += kSampleThreads) some += size_bits(x0[i]) <= bits;
  return unsigned(block_sum(float(some), shared));  // exact: a sample has less than 2^24 values
}

// The bound of DDPMScheduler._threshold_sample: torch.quantile(|x0|, ratio), linear, in [1, max].
__global__ void __launch_bounds__(kSampleThreads)
    threshold_kernel(const __grid_constant__ SamplerCall c, float* bounds) {
  SHARED_ARRAY(float, shared, kSampleThreads / 32);
  const size_t count = sample_size(c);
  const float* x0 = c.x0 + blockIdx.x * count;
  const float place = c.threshold_ratio * float(count - 1);
  const unsigned below = unsigned(place) < count - 1 ? unsigned(place) : unsigned(count - 1);
  // The smallest pattern that has more than `below` values up to it.
  unsigned low = 0;
  for (unsigned bit = 1u << 30; bit; bit >>= 1)
    if (count_up_to(x0, count, low + bit - 1, shared) <= below) low += bit;
  // The next larger value, or the same one when it is there often enough.
  float next = __int_as_float(0x7f7fffff);
  if (count_up_to(x0, count, low, shared) > below + 1) next = __int_as_float(int(low));
  for (size_t i = threadIdx.x; i < count; i += kSampleThreads)
    if (size_bits(x0[i]) > low) next = fminf(next, fabsf(x0[i]));
  next = -warp_max(-next);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = next;
  __syncthreads();
  if (threadIdx.x) return;
  for (int i = 0; i < kSampleThreads / 32; i++) next = fminf(next, shared[i]);
  const float value = __int_as_float(int(low));
  const float quantile =
      below + 1 >= count ? value : value + (next - value) * (place - float(below));
  bounds[blockIdx.x] = fmaxf(1.0f, fminf(quantile, c.threshold_max));
}

DEVICE float* slot(const SamplerCall& c, Slot which, int sample) {
  switch (which) {
    case Slot::x:
      return c.x;
    case Slot::m:
      return c.m;
    case Slot::x0:
      return c.x0;
    case Slot::noise:
      return c.noise + size_t(value(c, c.noise_draw, sample)) * c.batch * sample_size(c);
    default:
      return c.history[int(which) - kFirstHistorySlot];
  }
}

__global__ void __launch_bounds__(kThreads)
    assign_kernel(const __grid_constant__ SamplerCall c, const float* bounds) {
  const size_t each = sample_size(c), count = c.batch * each;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const int sample = int(i / each);
    if (c.limit == StepRow::Limit::threshold) {
      const float bound = bounds[sample];
      c.x0[i] = fminf(fmaxf(c.x0[i], -bound), bound) / bound;
    }
    for (int a = 0; a < c.assignments; a++) {
      const auto& assignment = c.assignment[a];
      float sum = 0;
      for (int t = 0; t < assignment.terms; t++)
        sum += value(c, assignment.term[t].coefficient, sample) *
               slot(c, assignment.term[t].slot, sample)[i];
      slot(c, assignment.to, sample)[i] = sum;
    }
    if (c.blended) {
      const float mask = c.mask[i / c.channels];
      const float kept = value(c, c.blend_init, sample) * c.init[i] +
                         value(c, c.blend_noise, sample) * c.init_noise[i];
      c.x[i] = mask * c.x[i] + (1 - mask) * kept;
    }
  }
}

}  // namespace

size_t sampler_scratch_floats(int batch) { return 2 * size_t(batch); }

void launch_sampler_input(const SamplerCall& call, Stream stream) {
  const size_t count = size_t(call.halves) * call.batch * call.pixels * call.input_channels;
  gpu::launch(sampler_input_kernel, dim3(blocks_for(count, kThreads)), dim3(kThreads), 0, stream,
              call);
}

void launch_sampler_step(const SamplerCall& call, float* scratch, Stream stream) {
  const size_t count = size_t(call.batch) * call.pixels * call.channels;
  const dim3 samples(unsigned(call.batch)), blocks(blocks_for(count, kThreads));
  float* const bounds = scratch + call.batch;
  if (call.rescaled)
    gpu::launch(rescale_kernel, samples, dim3(kSampleThreads), 0, stream, call, scratch);
  gpu::launch(predict_kernel, blocks, dim3(kThreads), 0, stream, call,
              static_cast<const float*>(scratch));
  if (call.limit == StepRow::Limit::threshold)
    gpu::launch(threshold_kernel, samples, dim3(kSampleThreads), 0, stream, call, bounds);
  gpu::launch(assign_kernel, blocks, dim3(kThreads), 0, stream, call,
              static_cast<const float*>(bounds));
}

}  // namespace deepcache::cuda
