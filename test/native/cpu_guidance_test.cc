// Rules of guidance against their definitions: vectors are projected and shortened here, where the
// code under test makes factors of them.

#include <cmath>
#include <vector>

#include "cpu/guidance.h"
#include "test.h"

namespace deepcache::test {
namespace {

using Kind = GuidanceRule::Kind;
using Values = std::vector<double>;

constexpr size_t kCount = 12;
constexpr double kScale = 4;

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (size_t i = 0; i < kCount; i++) sum += a[i] * b[i];
  return sum;
}

Values add(double a, const Values& x, double b, const Values& y) {
  Values out;
  for (size_t i = 0; i < kCount; i++) out.push_back(a * x[i] + b * y[i]);
  return out;
}

// u and c, and an average that was there before.
struct Sample {
  std::vector<float> values[3];
  Sample() {
    unsigned seed = 3;
    for (auto& list : values)
      for (size_t i = 0; i < kCount; i++) {
        seed = seed * 1664525u + 1013904223u;
        list.push_back(float(double(seed >> 8) / double(1 << 23) - 0.7));
      }
  }
  Values of(int which) const { return {values[which].begin(), values[which].end()}; }
};

// What a row with the rule makes of the sample, which holds the average afterwards.
Values run(const GuidanceRule& rule, Sample& sample) {
  StepTable table;
  table.values = {float(kScale), 0};
  StepRow row;
  row.guided = true;
  row.guidance_scale = {0, 0};
  row.guidance_rescale = {1, 0};
  row.rule = rule;
  std::vector<float> m(kCount);
  cpu::guide(
      table, row, 0,
      {sample.values[0].data(), sample.values[1].data(), nullptr, sample.values[2].data(), kCount},
      m.data());
  return {m.begin(), m.end()};
}

// Checks the rule from u on and from c on: begin + scale * difference, with the `unconditional`
// output in the place of u.
void check(GuidanceRule rule, const Values& unconditional, const Values& difference) {
  for (const bool from_conditional : {false, true}) {
    rule.from_conditional = from_conditional;
    Sample sample;
    const Values m = run(rule, sample);
    const Values expected =
        add(1, from_conditional ? sample.of(1) : unconditional, kScale, difference);
    for (size_t i = 0; i < kCount; i++) CHECK_NEAR(m[i], expected[i], 1e-5);
  }
}

}  // namespace

TEST(cpu_guidance_zero_star_scales_the_unconditional_output) {
  const Sample sample;
  const Values u = sample.of(0), c = sample.of(1);
  const Values best = add(dot(u, c) / dot(u, u), u, 0, u);
  check({.kind = Kind::zero_star}, best, add(1, c, -1, best));
}

TEST(cpu_guidance_zero_is_zero) {
  Sample sample;
  for (const double m : run({.kind = Kind::zero}, sample)) CHECK_EQ(m, 0.0);
}

TEST(cpu_guidance_projected_shortens_what_is_parallel) {
  const Sample sample;
  const Values u = sample.of(0), c = sample.of(1);
  Values d = add(1, c, -1, u);
  const double length = std::sqrt(dot(d, d));
  const auto parts = [&](double eta) {
    const Values parallel = add(dot(d, c) / dot(c, c), c, 0, c);
    return add(1, add(1, d, -1, parallel), eta, parallel);
  };
  check({.kind = Kind::projected, .eta = 0.25f}, u, parts(0.25));
  check({.kind = Kind::projected, .eta = 1, .limit = float(2 * length)}, u, d);
  d = add(0.5, d, 0, d);
  check({.kind = Kind::projected, .eta = 0, .limit = float(length / 2)}, u, parts(0));
}

TEST(cpu_guidance_momentum_is_of_the_differences) {
  for (const Kind kind : {Kind::projected, Kind::averaging}) {
    const Sample before;
    const Values u = before.of(0), d = add(1, before.of(1), -1, u);
    const Values average = add(1, d, -0.75, before.of(2));
    GuidanceRule rule{.kind = kind, .has_momentum = true, .momentum = -0.75f};
    check(rule, u, kind == Kind::projected ? average : d);
    Sample after;
    run(rule, after);
    for (size_t i = 0; i < kCount; i++) CHECK_NEAR(after.of(2)[i], average[i], 1e-6);
  }
}

TEST(cpu_guidance_tangential_keeps_what_lies_along_both) {
  const Sample sample;
  const Values u = sample.of(0), c = sample.of(1);
  // The first right singular vector of [c, u], by the power method.
  Values v = c;
  for (int i = 0; i < 500; i++) {
    v = add(dot(c, v), c, dot(u, v), u);
    v = add(1 / std::sqrt(dot(v, v)), v, 0, v);
  }
  const Values along = add(dot(u, v), v, 0, v);
  check({.kind = Kind::tangential}, along, add(1, c, -1, along));
}

TEST(cpu_guidance_magnitude_fades_with_the_difference) {
  const Values u = Sample().of(0), c = Sample().of(1), d = add(1, c, -1, u);
  const double fading = std::exp(-0.5 * std::sqrt(dot(d, d) / dot(u, u)));
  for (const bool from_conditional : {false, true}) {
    Sample sample;
    const Values m =
        run({.kind = Kind::magnitude, .from_conditional = from_conditional, .alpha = 0.5f}, sample);
    const Values expected =
        from_conditional ? add(1, c, kScale * fading, d) : add(1, u, 1 + (kScale - 1) * fading, d);
    for (size_t i = 0; i < kCount; i++) CHECK_NEAR(m[i], expected[i], 1e-5);
  }
}

}  // namespace deepcache::test
