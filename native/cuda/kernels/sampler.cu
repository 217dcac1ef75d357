// The sampler: what happens to the latents between two U-Net calls, without leaving the device.
//
//   input  model_input = input_scale * x ++ constant channels, for each output of guidance; slices
//   of
//          stepped tensors
//   step   m = guidance of the outputs, rescaled, or one of them, or a prediction; x0 = p x + q m,
//          clamped or thresholded;
//          up to six assignments slot <- sum of coefficient * slot; the masked blend of
//          four-channel inpainting
//
// Shapes: [samples, pixels, channels] in fp32, as the runtime's table.h says. Row, state and
// coefficients are read from device memory, one coefficient for the batch or one for each sample,
// so that one recorded graph serves all rows. The first kernel of a graph takes the row from `next`
// and puts it into `row`, which the others read; the last one advances `next`, which it does not
// read: no kernel reads what it writes.
//
// A row is elementwise except for what needs a whole sample first: some kinds of guidance
// (guidance.cu), and the quantile of dynamic thresholding. These are kernels of one block per
// sample that leave numbers behind, recorded only for tables that ask for them. The quantile is
// found exactly, bit by bit of the fp32 pattern (of absolute values, which sort as integers do).
//
// Why it is fast: a latent is 64 KB, so a row is three launches of a few microseconds; a thread
// does all assignments of its element, in order, so that nothing is read again by another kernel.
// Each block copies the row to shared memory once, so that its threads do not wait for a chain of
// reads. Sums over a sample are in a fixed order: the same table gives the same bits.

#include "cuda/kernels/guidance.h"

namespace deepcache::cuda {
namespace {

__global__ void __launch_bounds__(kThreads)
    sampler_input_kernel(LoopState* loop, bool keeps, const __grid_constant__ Slices slices) {
  follow_previous_grid();
  const int row = loop->next;
  const SamplerCall& c = load_call(*loop, row);
  const size_t thread = size_t(blockIdx.x) * kThreads + threadIdx.x;
  const size_t threads = size_t(gridDim.x) * kThreads;
  if (thread == 0) loop->row = row;
  fetch_slices(slices, row - c.row.uncalled, thread, threads);
  const SamplerShape& s = c.shape;
  const size_t count = size_t(s.outputs) * s.batch * s.pixels * s.input_channels;
  const int extra = s.input_channels - s.channels;
  for (size_t i = thread; i < count; i += threads) {
    const int channel = int(i % s.input_channels);
    const size_t pixel = i / s.input_channels;
    if (channel >= s.channels) {
      c.at.model_input[i] = c.at.constant[pixel * extra + channel - s.channels];
      continue;
    }
    const size_t inner = pixel % (size_t(s.batch) * s.pixels);
    const int sample = int(inner / s.pixels);
    const size_t at = inner * s.channels + channel;
    const float in = value(c, c.row.input_scale, sample) * c.at.x[at];
    c.at.model_input[i] = in;
    if (keeps && pixel == inner) c.at.kept[at] = in;  // of one output
  }
}

__global__ void row_kernel(LoopState* loop) {
  follow_previous_grid();
  loop->row = loop->next;
}

__global__ void __launch_bounds__(kThreads)
    fetch_kernel(const __grid_constant__ Slices slices, int step) {
  follow_previous_grid();
  fetch_slices(slices, step, size_t(blockIdx.x) * kThreads + threadIdx.x,
               size_t(gridDim.x) * kThreads);
}

__global__ void __launch_bounds__(kSampleThreads) change_kernel(const LoopState* loop) {
  follow_previous_grid();
  const SamplerCall& c = load_call(*loop, loop->next);
  SHARED_ARRAY(float, shared, kSampleThreads / 32);
  const int sample = int(blockIdx.x);
  const size_t count = sample_size(c), first = sample * count;
  const float scale = value(c, c.row.input_scale, sample);
  float difference = 0, size = 0;
  for (size_t i = first + threadIdx.x; i < first + count; i += kSampleThreads) {
    difference += fabsf(scale * c.at.x[i] - c.at.kept[i]);
    size += fabsf(c.at.kept[i]);
  }
  difference = block_sum(difference, shared);
  size = block_sum(size, shared);
  if (threadIdx.x == 0) c.scratch[kChangePlace * c.shape.batch + sample] = difference / size;
}

DEVICE float sum(const SamplerCall& c, Terms terms, int sample, size_t i) {
  float sum = 0;
  const Term* const first = c.terms + (terms.first - c.row.terms.first);
  for (const Term* term = first; term != first + terms.count; term++)
    sum += value(c, term->coefficient, sample) * slot(c, term->slot, sample)[i];
  return sum;
}

// What a row without guidance takes of the model's output, and whether there is what it combines.
struct Taken {
  bool predicts;
  int output;
  bool several;
};

__global__ void __launch_bounds__(kThreads) predict_kernel(const LoopState* loop, Taken taken) {
  follow_previous_grid();
  SamplerCall& c = load_call(*loop, loop->row);
  if (taken.predicts) load_terms(*loop, c);
  const size_t each = sample_size(c), count = c.shape.batch * each;
  const size_t only = size_t(taken.output) * count;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const int sample = int(i / each);
    float m;
    if (taken.predicts) {
      m = c.row.predict.count ? sum(c, c.row.predict, sample, i) : c.at.m[i];
    } else if (c.row.guided && taken.several) {
      m = guided(c, sample, i);
      if (rescaled(c, sample)) m *= rescale_factor(c, sample);
    } else {
      m = c.at.model_output[only + i];
    }
    c.at.m[i] = m;
    float x0 = value(c, c.row.x0_x, sample) * c.at.x[i] + value(c, c.row.x0_m, sample) * m;
    if (c.row.limit == StepRow::Limit::clamp) x0 = fminf(fmaxf(x0, -c.row.clamp), c.row.clamp);
    c.at.x0[i] = x0;
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
__global__ void __launch_bounds__(kSampleThreads) threshold_kernel(const LoopState* loop) {
  follow_previous_grid();
  const SamplerCall& c = load_call(*loop, loop->row);
  if (c.row.limit != StepRow::Limit::threshold) return;
  SHARED_ARRAY(float, shared, kSampleThreads / 32);
  const size_t count = sample_size(c);
  const float* x0 = c.at.x0 + blockIdx.x * count;
  const float place = c.row.threshold_ratio * float(count - 1);
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
  threshold_bound(c, int(blockIdx.x)) = fmaxf(1.0f, fminf(quantile, c.row.threshold_max));
}

__global__ void __launch_bounds__(kThreads) assign_kernel(LoopState* loop) {
  follow_previous_grid();
  const int row = loop->row;
  SamplerCall& c = load_call(*loop, row);
  load_terms(*loop, c);
  if (blockIdx.x == 0 && threadIdx.x == 0) loop->next = row + 1;
  const size_t each = sample_size(c), count = c.shape.batch * each;
  for (size_t i = size_t(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += size_t(gridDim.x) * kThreads) {
    const int sample = int(i / each);
    if (c.row.limit == StepRow::Limit::threshold) {
      const float bound = threshold_bound(c, sample);
      c.at.x0[i] = fminf(fmaxf(c.at.x0[i], -bound), bound) / bound;
    }
    for (int a = 0; a < c.row.assignment_count; a++) {
      const Assignment& assignment = c.row.assignments[a];
      slot(c, assignment.to, sample)[i] = sum(c, assignment.terms, sample, i);
    }
    if (c.row.blended) {
      const float mask = c.at.mask[i / c.shape.channels];
      const float* noise = c.row.blends_noise ? slot(c, Slot::noise, sample) : c.at.init_noise;
      const float kept = value(c, c.row.blend_init, sample) * c.at.init[i] +
                         value(c, c.row.blend_noise, sample) * noise[i];
      c.at.x[i] = mask * c.at.x[i] + (1 - mask) * kept;
    }
  }
}

}  // namespace

void launch_fetch_slices(const Slices& slices, int step, Stream stream) {
  gpu::launch(fetch_kernel, dim3(blocks_for(slices.words(), kThreads)), dim3(kThreads), 0, stream,
              slices, step);
}

void launch_sampler_row(LoopState* loop, Stream stream) {
  gpu::launch(row_kernel, dim3(1), dim3(1), 0, stream, loop);
}

void launch_sampler_change(LoopState* loop, const SamplerShape& shape, Stream stream) {
  gpu::launch(change_kernel, dim3(unsigned(shape.batch)), dim3(kSampleThreads), 0, stream, loop);
}

void launch_sampler_input(LoopState* loop, const SamplerShape& shape, SamplerFeatures features,
                          const Slices& slices, Stream stream) {
  const size_t count = size_t(shape.outputs) * shape.batch * shape.pixels * shape.input_channels;
  gpu::launch(sampler_input_kernel, dim3(blocks_for(count + slices.words(), kThreads)),
              dim3(kThreads), 0, stream, loop, features.keeps, slices);
}

void launch_sampler_step(LoopState* loop, const SamplerShape& shape, SamplerFeatures features,
                         Halves halves, Stream stream) {
  const size_t count = size_t(shape.batch) * shape.pixels * shape.channels;
  const dim3 samples(unsigned(shape.batch)), blocks(blocks_for(count, kThreads));
  const dim3 many(kSampleThreads), few(kThreads);
  const Taken taken{halves == Halves::none, unguided_output(halves, shape.outputs),
                    outputs_of(halves, shape.outputs).count > 1};
  if (taken.several) launch_guidance(loop, shape, features, stream);
  gpu::launch(predict_kernel, blocks, few, 0, stream, loop, taken);
  if (features.thresholded) gpu::launch(threshold_kernel, samples, many, 0, stream, loop);
  gpu::launch(assign_kernel, blocks, few, 0, stream, loop);
}

}  // namespace deepcache::cuda
