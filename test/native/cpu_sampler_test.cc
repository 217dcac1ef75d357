// Rows of the step table on the CPU backend against numbers worked out here.

#include <algorithm>
#include <cmath>
#include <vector>

#include "rows.h"
#include "test.h"

namespace deepcache::test {
namespace {

constexpr int kBatch = 2, kPixels = 3, kChannels = 2, kCount = kPixels * kChannels;

// A state with a buffer for everything, and a table under construction.
struct Fixture {
  std::unique_ptr<Backend> backend = make_cpu_backend(1);
  std::vector<std::unique_ptr<Buffer>> buffers;
  SamplerState state;
  StepTable table;
  StepRow row;
  unsigned seed = 1;

  explicit Fixture(int halves, int extra = 0) {
    table.programs.resize(1);
    state.batch = kBatch;
    state.outputs = halves;
    state.pixels = kPixels;
    state.channels = kChannels;
    state.input_channels = kChannels + extra;
    state.x = add(kBatch * kCount);
    state.model_input = add(halves * kBatch * kPixels * state.input_channels);
    state.model_output = add(halves * kBatch * kCount);
    state.m = add(kBatch * kCount);
    state.x0 = add(kBatch * kCount);
    state.noise = add(3 * kBatch * kCount);
    for (Buffer*& slot : state.history) slot = add(kBatch * kCount);
    state.constant = add(halves * kBatch * kPixels * extra);
    state.mask = add(kBatch * kPixels);
    state.init = add(kBatch * kCount);
    state.init_noise = add(kBatch * kCount);
    row.input_scale = row.x0_x = shared(1);
    row.x0_m = shared(0);
  }

  Buffer* add(size_t count) {
    std::vector<float> values(count);
    for (float& v : values) {
      seed = seed * 1664525u + 1013904223u;
      v = float(double(seed >> 8) / double(1 << 22) - 2);
    }
    buffers.push_back(backend->allocate(count * sizeof(float)));
    buffers.back()->upload(values.data(), count * sizeof(float));
    return buffers.back().get();
  }
  Coefficient shared(float value) {
    table.values.push_back(value);
    return {uint32_t(table.values.size() - 1), 0};
  }
  Coefficient each(float first, float second) {
    table.values.insert(table.values.end(), {first, second});
    return {uint32_t(table.values.size() - 2), 1};
  }
  void step() {
    table.rows = {row};
    run_rows(*backend, table, state);
  }
};

std::vector<float> read(const Buffer* buffer) {
  std::vector<float> values(buffer->bytes() / sizeof(float));
  buffer->download(values.data(), buffer->bytes());
  return values;
}

double deviation(const float* x) {
  double mean = 0, sum = 0;
  for (int i = 0; i < kCount; i++) mean += double(x[i]) / kCount;
  for (int i = 0; i < kCount; i++) sum += std::pow(double(x[i]) - mean, 2);
  return std::sqrt(sum / (kCount - 1));
}

}  // namespace

TEST(cpu_sampler_input_scales_and_appends) {
  Fixture f(2, 3);
  f.row.input_scale = f.each(0.5f, 2);
  const auto x = read(f.state.x);
  f.step();
  const auto constant = read(f.state.constant), in = read(f.state.model_input);
  for (int half = 0; half < 2; half++)
    for (int s = 0; s < kBatch; s++)
      for (int p = 0; p < kPixels; p++)
        for (int c = 0; c < 5; c++) {
          const int pixel = (half * kBatch + s) * kPixels + p;
          const float expected = c < kChannels
                                     ? (s ? 2 : 0.5f) * x[(s * kPixels + p) * kChannels + c]
                                     : constant[pixel * 3 + c - kChannels];
          CHECK_EQ(in[pixel * 5 + c], expected);
        }
}

TEST(cpu_sampler_guidance) {
  Fixture f(2);
  f.row.guided = true;
  f.row.guidance_scale = f.each(7.5f, 3);
  f.row.guidance_rescale = f.each(0, 0.7f);
  const auto out = read(f.state.model_output);
  f.step();
  const auto m = read(f.state.m);
  for (int s = 0; s < kBatch; s++) {
    const float *u = &out[s * kCount], *c = &out[(kBatch + s) * kCount];
    float guided[kCount];
    for (int i = 0; i < kCount; i++)
      guided[i] = float(double(u[i]) + (s ? 3.0 : 7.5) * (double(c[i]) - double(u[i])));
    const double phi = s ? double(0.7f) : 0, ratio = deviation(c) / deviation(guided);
    for (int i = 0; i < kCount; i++)
      CHECK_NEAR(m[s * kCount + i], double(guided[i]) * (phi * ratio + 1 - phi), 2e-6);
  }
}

TEST(cpu_sampler_guidance_by_a_third_output) {
  Fixture f(3);
  f.row.guided = f.row.guided_by_third = true;
  f.row.guidance_scale = f.each(7.5f, 3);
  f.row.guidance_third = f.each(-2, 0.5f);
  f.row.guidance_rescale = f.shared(0);
  const auto out = read(f.state.model_output);
  f.step();
  const auto m = read(f.state.m);
  for (int i = 0; i < kBatch * kCount; i++) {
    const auto output = [&](int k) { return double(out[k * kBatch * kCount + i]); };
    const double scale = i < kCount ? 7.5 : 3, third = i < kCount ? -2 : 0.5;
    const double expected = (1 - scale - third) * output(0) + scale * output(1) + third * output(2);
    CHECK_NEAR(m[i], expected, 4e-6);
  }
}

TEST(cpu_sampler_unguided_takes_the_conditional_half) {
  Fixture f(2);
  f.step();
  const auto out = read(f.state.model_output), m = read(f.state.m);
  for (int i = 0; i < kBatch * kCount; i++) CHECK_EQ(m[i], out[kBatch * kCount + i]);
}

TEST(cpu_sampler_takes_the_half_that_was_computed) {
  for (const Halves halves : {Halves::conditional, Halves::unconditional}) {
    Fixture f(2);
    f.table.programs = {{ProgramKey::Kind::full, -1, halves}};
    f.step();
    const auto out = read(f.state.model_output), m = read(f.state.m);
    const int from = halves == Halves::conditional ? kBatch * kCount : 0;
    for (int i = 0; i < kBatch * kCount; i++) CHECK_EQ(m[i], out[from + i]);
  }
}

TEST(cpu_sampler_predicts_from_slots) {
  Fixture f(2);
  f.row.x0_m = f.shared(2);
  f.table.predict(f.row, {{Slot::m, f.shared(0.5f)},
                          {Slot::x, f.each(1, -1)},
                          {Slot::x0, f.shared(0.25f)},
                          {Slot::s4, f.shared(-2)}});
  f.table.assign(f.row, Slot::s4, {{Slot::m, f.shared(1)}});
  const auto x = read(f.state.x), old = read(f.state.m), x0 = read(f.state.x0),
             s4 = read(f.state.history[4]), in = read(f.state.model_input);
  f.step();
  const auto m = read(f.state.m), new_x0 = read(f.state.x0);
  for (int i = 0; i < kBatch * kCount; i++) {
    const double guess = 0.5 * double(old[i]) + (i < kCount ? 1 : -1) * double(x[i]) +
                         0.25 * double(x0[i]) - 2 * double(s4[i]);
    CHECK_NEAR(m[i], guess, 2e-6);
    CHECK_NEAR(new_x0[i], double(x[i]) + 2 * guess, 4e-6);
  }
  CHECK(read(f.state.history[4]) == m);
  CHECK(read(f.state.model_input) == in);  // no model was called
}

TEST(cpu_sampler_rows_without_a_call_leave_m) {
  Fixture f(2);
  f.row.program = kNoProgram;
  f.row.has_noise = true;
  f.row.noise = f.each(1, 2);
  f.table.assign(f.row, Slot::x, {{Slot::m, f.shared(2)}, {Slot::noise, f.shared(0.5f)}});
  const auto old = read(f.state.m), noise = read(f.state.noise), in = read(f.state.model_input);
  f.step();
  const auto m = read(f.state.m), x = read(f.state.x);
  CHECK(m == old);
  CHECK(read(f.state.model_input) == in);
  for (int i = 0; i < kBatch * kCount; i++) {
    const int draw = i < kCount ? 1 : 2;
    CHECK_NEAR(x[i], 2 * double(m[i]) + 0.5 * double(noise[draw * kBatch * kCount + i]), 2e-6);
  }
}

TEST(step_table_counts_rows_that_call) {
  StepTable table;
  table.programs.resize(1);
  table.values = {1};
  StepRow call, none, guess;
  none.program = kNoProgram;
  table.predict(guess, {{Slot::m, {}}});
  table.rows = {none, call, none, none, guess, call};
  table.count_calls();
  CHECK_EQ(table.calls(), 3);
  CHECK_EQ(table.call(1), 0);
  CHECK_EQ(table.call(4), 1);
  CHECK_EQ(table.call(5), 2);
  validate(table, 1, 0);
  table.rows = {none};
  table.count_calls();
  CHECK_THROWS(validate(table, 1, 0), ErrorCode::kInvalidArgument);
}

TEST(cpu_sampler_x0_clamp) {
  Fixture f(1);
  f.row.x0_x = f.each(1.5f, 0.5f);
  f.row.x0_m = f.shared(-0.75f);
  f.row.limit = StepRow::Limit::clamp;
  f.row.clamp = 1;
  const auto x = read(f.state.x), out = read(f.state.model_output);
  f.step();
  const auto x0 = read(f.state.x0);
  bool clamped = false;
  for (int i = 0; i < kBatch * kCount; i++) {
    const double raw = (i < kCount ? 1.5 : 0.5) * double(x[i]) - 0.75 * double(out[i]);
    clamped |= std::fabs(raw) > 1;
    CHECK_NEAR(x0[i], std::clamp(raw, -1.0, 1.0), 1e-6);
  }
  CHECK(clamped);
}

TEST(cpu_sampler_x0_dynamic_threshold) {
  Fixture f(1);
  f.row.x0_x = f.each(1.5f, 0.25f);  // the second sample stays below 1: not scaled up
  f.row.limit = StepRow::Limit::threshold;
  f.row.threshold_ratio = 0.7f;
  f.row.threshold_max = 2.5f;
  const auto x = read(f.state.x);
  f.step();
  const auto x0 = read(f.state.x0);
  for (int s = 0; s < kBatch; s++) {
    std::vector<double> raw(kCount), sizes(kCount);
    for (int i = 0; i < kCount; i++) {
      raw[i] = (s ? 0.25 : 1.5) * double(x[s * kCount + i]);
      sizes[i] = std::fabs(raw[i]);
    }
    std::sort(sizes.begin(), sizes.end());
    // torch.quantile: place 0.7 * 5 = 3.5 among six values.
    const double bound = std::clamp((sizes[3] + sizes[4]) / 2, 1.0, 2.5);
    CHECK(s ? bound == 1 : bound > 1);
    for (int i = 0; i < kCount; i++)
      CHECK_NEAR(x0[s * kCount + i], std::clamp(raw[i], -bound, bound) / bound, 1e-6);
  }
}

TEST(cpu_sampler_assignments_run_in_order) {
  Fixture f(1);
  f.row.x0_x = f.shared(0.5f);
  f.row.x0_m = f.shared(0.25f);
  f.row.has_noise = true;
  f.row.noise = f.each(2, 0);
  // s3 <- x; x <- 2 x0 + per-sample noise; s9 <- x (the new one) - s3; x <- x - s9.
  f.table.assign(f.row, Slot::s3, {{Slot::x, f.shared(1)}});
  f.table.assign(f.row, Slot::x, {{Slot::x0, f.shared(2)}, {Slot::noise, f.each(0.5f, -1)}});
  f.table.assign(f.row, Slot::s9, {{Slot::x, f.shared(1)}, {Slot::s3, f.shared(-1)}});
  f.table.assign(f.row, Slot::x,
                 {{Slot::x, f.shared(1)}, {Slot::s9, f.shared(-0.5f)}, {Slot::m, f.shared(3)}});
  const auto x = read(f.state.x), out = read(f.state.model_output), noise = read(f.state.noise);
  f.step();
  const auto new_x = read(f.state.x), s3 = read(f.state.history[3]), s9 = read(f.state.history[9]);
  for (int i = 0; i < kBatch * kCount; i++) {
    const int s = i / kCount;
    const double x0 = 0.5 * double(x[i]) + 0.25 * double(out[i]);
    const double stage = 2 * x0 + (s ? -1 : 0.5) * double(noise[(s ? 0 : 2) * kBatch * kCount + i]);
    CHECK_EQ(s3[i], x[i]);
    CHECK_NEAR(s9[i], stage - double(x[i]), 2e-6);
    CHECK_NEAR(new_x[i], stage - 0.5 * (stage - double(x[i])) + 3 * double(out[i]), 2e-6);
  }
}

TEST(cpu_sampler_masked_blend) {
  Fixture f(1);
  f.row.blended = true;
  f.row.blend_init = f.shared(0.9f);
  f.row.blend_noise = f.each(0.1f, 0);
  const auto x = read(f.state.x), mask = read(f.state.mask), init = read(f.state.init),
             noise = read(f.state.init_noise);
  f.step();
  const auto blended = read(f.state.x);
  for (int i = 0; i < kBatch * kCount; i++) {
    const double m = double(mask[i / kChannels]);
    const double kept =
        double(0.9f) * double(init[i]) + (i < kCount ? double(0.1f) : 0) * double(noise[i]);
    CHECK_NEAR(blended[i], m * double(x[i]) + (1 - m) * kept, 2e-6);
  }
}

}  // namespace deepcache::test
