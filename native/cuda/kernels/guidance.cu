// Guidance that needs all of a sample before its first value: rules that make factors of the
// outputs from their products with each other (cpu/guidance.cc has the same in double precision),
// and the deviations of rescale_noise_cfg.
//
// Shapes: as sampler.cu's. One block for each sample, which leaves its numbers in the loop's
// scratch; the elementwise kernel behind it (sampler.cu) reads them. A rule with momentum updates
// its slot on the way, each value by the thread that reads it. Launched only for tables with such
// rows.
//
// Why it is fast enough: a latent is 64 KB. Sums are in a fixed order: the same table gives the
// same bits.

#include "cuda/kernels/guidance.h"

namespace deepcache::cuda {
namespace {

// Of u, c and d, with each other.
struct Products {
  float uu = 0, uc = 0, cc = 0, dd = 0, dc = 0;
};

struct Factors {
  float u = 0, c = 0, d = 0;
};

DEVICE Factors linear(float scale, bool from_conditional) {
  return from_conditional ? Factors{-scale, 1 + scale, 0} : Factors{1 - scale, scale, 0};
}

DEVICE Factors tangential(const Products& of, const Factors& by) {
  const float half = (of.cc - of.uu) / 2, root = sqrtf(half * half + of.uc * of.uc);
  float a = half >= 0 ? half + root : of.uc, b = half >= 0 ? of.uc : root - half;
  const float length = sqrtf(a * a + b * b);
  if (length == 0) return by;
  a /= length;
  b /= length;
  return {by.u * b * b, by.c + by.u * b * a, 0};
}

DEVICE Factors projected(const GuidanceRule& rule, float scale, const Products& of) {
  const float length = sqrtf(of.dd);
  const float d = rule.limit > 0 && length > rule.limit ? scale * rule.limit / length : scale;
  const float parallel = of.cc > 0 ? of.dc / of.cc : 0;
  const float c = d * (rule.eta - 1) * parallel;
  return rule.from_conditional ? Factors{0, 1 + c, d} : Factors{1, c, d};
}

DEVICE Factors factors_of(const GuidanceRule& rule, float scale, const Products& of) {
  using Kind = GuidanceRule::Kind;
  const Factors by = linear(scale, rule.from_conditional);
  switch (rule.kind) {
    case Kind::zero:
      return {};
    case Kind::zero_star:
      return {by.u * of.uc / (of.uu + 1e-8f), by.c, 0};
    case Kind::tangential:
      return tangential(of, by);
    case Kind::magnitude: {
      const float fading = expf(-rule.alpha * sqrtf(of.dd / of.uu));
      return linear(rule.from_conditional ? scale * fading : 1 + (scale - 1) * fading,
                    rule.from_conditional);
    }
    case Kind::projected:
      return projected(rule, scale, of);
    default:
      return by;
  }
}

__global__ void __launch_bounds__(kSampleThreads) rule_kernel(const LoopState* loop) {
  follow_previous_grid();
  const SamplerCall& c = load_call(*loop, loop->row);
  const GuidanceRule& rule = c.row.rule;
  if (!c.row.guided || rule.kind == GuidanceRule::Kind::linear) return;
  SHARED_ARRAY(float, shared, kSampleThreads / 32);
  const int sample = int(blockIdx.x);
  const size_t count = sample_size(c), first = sample * count;
  const float* const u = c.at.model_output;
  const float* const conditional = u + size_t(c.shape.batch) * count;
  Products of;
  for (size_t i = first + threadIdx.x; i < first + count; i += kSampleThreads) {
    float d = conditional[i] - u[i];
    if (rule.has_momentum) {
      d += rule.momentum * average(c)[i];
      average(c)[i] = d;
    }
    of.uu += u[i] * u[i];
    of.uc += u[i] * conditional[i];
    of.cc += conditional[i] * conditional[i];
    of.dd += d * d;
    of.dc += d * conditional[i];
  }
  for (float* const sum : {&of.uu, &of.uc, &of.cc, &of.dd, &of.dc}) *sum = block_sum(*sum, shared);
  if (threadIdx.x) return;
  const Factors by = factors_of(rule, value(c, c.row.guidance_scale, sample), of);
  rule_factor(c, 0, sample) = by.u;
  rule_factor(c, 1, sample) = by.c;
  rule_factor(c, 2, sample) = by.d;
}

// The factor of diffusers' rescale_noise_cfg. Deviations are torch.std's; both have n - 1.
__global__ void __launch_bounds__(kSampleThreads) rescale_kernel(const LoopState* loop) {
  follow_previous_grid();
  const SamplerCall& c = load_call(*loop, loop->row);
  const int sample = int(blockIdx.x);
  if (!rescaled(c, sample)) return;
  SHARED_ARRAY(float, shared, kSampleThreads / 32);
  const size_t count = sample_size(c), first = sample * count;
  const float* conditional = c.at.model_output + size_t(c.shape.batch) * count;
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
    const float phi = value(c, c.row.guidance_rescale, sample);
    rescale_factor(c, sample) = phi * sqrtf(sum_c / sum_g) + (1 - phi);
  }
}

}  // namespace

void launch_guidance(LoopState* loop, const SamplerShape& shape, SamplerFeatures features,
                     Stream stream) {
  const dim3 samples(unsigned(shape.batch)), threads(kSampleThreads);
  if (features.ruled) gpu::launch(rule_kernel, samples, threads, 0, stream, loop);
  if (features.rescaled) gpu::launch(rescale_kernel, samples, threads, 0, stream, loop);
}

}  // namespace deepcache::cuda
