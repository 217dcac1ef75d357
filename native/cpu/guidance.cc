#include "cpu/guidance.h"

#include <algorithm>
#include <cmath>

namespace deepcache::cpu {
namespace {

// torch.std: with n - 1.
double deviation(const float* x, size_t count) {
  double mean = 0, sum = 0;
  for (size_t i = 0; i < count; i++) mean += double(x[i]) / double(count);
  for (size_t i = 0; i < count; i++) sum += (double(x[i]) - mean) * (double(x[i]) - mean);
  return std::sqrt(sum / double(count - 1));
}

// Of u, c and d, with each other.
struct Products {
  double uu = 0, uc = 0, cc = 0, dd = 0, dc = 0;
};

// m = u * u + c * c + d * d, the outputs by their factors.
struct Factors {
  double u = 0, c = 0, d = 0;
};

// u + scale * (c - u), or the same from c on.
Factors linear(double scale, bool from_conditional) {
  return from_conditional ? Factors{-scale, 1 + scale} : Factors{1 - scale, scale};
}

// The right singular vector of [c, u] with the larger value lies along a c + b u, and u's part
// along it is b (a c + b u).
Factors tangential(const Products& of, const Factors& by) {
  const double half = (of.cc - of.uu) / 2, root = std::hypot(half, of.uc);
  // Eigenvector of [[cc, uc], [uc, uu]], from the row that loses no digits.
  double a = half >= 0 ? half + root : of.uc, b = half >= 0 ? of.uc : root - half;
  const double length = std::hypot(a, b);
  if (length == 0) return by;
  a /= length;
  b /= length;
  return {by.u * b * b, by.c + by.u * b * a};
}

Factors factors_of(const GuidanceRule& rule, double scale, const Products& of) {
  using Kind = GuidanceRule::Kind;
  const Factors by = linear(scale, rule.from_conditional);
  switch (rule.kind) {
    case Kind::zero:
      return {};
    case Kind::zero_star:
      return {by.u * of.uc / (of.uu + 1e-8), by.c};
    case Kind::tangential:
      return tangential(of, by);
    case Kind::magnitude: {
      const double fading = std::exp(-double(rule.alpha) * std::sqrt(of.dd / of.uu));
      return linear(rule.from_conditional ? scale * fading : 1 + (scale - 1) * fading,
                    rule.from_conditional);
    }
    case Kind::projected: {
      const double length = std::sqrt(of.dd);
      const double d =
          scale * (rule.limit > 0 && length > double(rule.limit) ? double(rule.limit) / length : 1);
      const double parallel = of.cc > 0 ? of.dc / of.cc : 0;
      const double c = d * (double(rule.eta) - 1) * parallel;
      return rule.from_conditional ? Factors{0, 1 + c, d} : Factors{1, c, d};
    }
    default:
      return by;
  }
}

void combine(const GuidanceRule& rule, double scale, double by_third, const GuidedOutputs& in,
             float* m) {
  float* const average = rule.has_momentum ? in.average : nullptr;
  const auto difference = [&](size_t i) {
    return average ? double(average[i]) : double(in.conditional[i]) - double(in.first[i]);
  };
  Products of;
  for (size_t i = 0; i < in.count; i++) {
    const double u = double(in.first[i]), c = double(in.conditional[i]);
    if (average) average[i] = float(c - u + double(rule.momentum) * double(average[i]));
    const double d = difference(i);
    of.uu += u * u;
    of.uc += u * c;
    of.cc += c * c;
    of.dd += d * d;
    of.dc += d * c;
  }
  const Factors by = factors_of(rule, scale, of);
  for (size_t i = 0; i < in.count; i++) {
    const double u = double(in.first[i]);
    const double added = in.third ? by_third * (double(in.third[i]) - u) : 0;
    m[i] = float(by.u * u + by.c * double(in.conditional[i]) + by.d * difference(i) + added);
  }
}

}  // namespace

void guide(const StepTable& table, const StepRow& row, int sample, const GuidedOutputs& in,
           float* m) {
  const double scale = double(table.value(row.guidance_scale, sample));
  const double by_third = in.third ? double(table.value(row.guidance_third, sample)) : 0;
  if (row.rule.kind != GuidanceRule::Kind::linear) {
    combine(row.rule, scale, by_third, in, m);
  } else {
    for (size_t i = 0; i < in.count; i++) {
      const double from = double(in.first[i]);
      double sum = from + scale * (double(in.conditional[i]) - from);
      if (in.third) sum += by_third * (double(in.third[i]) - from);
      m[i] = float(sum);
    }
  }
  const double rescale = double(table.value(row.guidance_rescale, sample));
  if (rescale == 0) return;
  const double ratio = deviation(in.conditional, in.count) / deviation(m, in.count);
  const double factor = rescale * ratio + (1 - rescale);
  for (size_t i = 0; i < in.count; i++) m[i] = float(double(m[i]) * factor);
}

}  // namespace deepcache::cpu
