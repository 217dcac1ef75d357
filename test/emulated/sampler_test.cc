// Rows of the step table: the emulated GPU against the CPU backend, whose own tests hold
// the numbers. The CPU sums in double and rounds once, the GPU in fp32: 1e-5 of values about 1
// (guidance scales them by up to 10).

#include <cmath>
#include <vector>

#include "emulated.h"
#include "native/rows.h"
#include "native/test.h"

namespace deepcache::test {
namespace {

constexpr int kBatch = 3, kPixels = 35, kChannels = 4, kCount = kPixels * kChannels, kDraws = 2;

// The same state on a backend, from the same numbers.
struct Device {
  std::shared_ptr<Backend> backend;
  std::vector<std::unique_ptr<Buffer>> buffers;
  SamplerState state;
  unsigned seed = 5;

  Device(std::shared_ptr<Backend> b, int halves, int extra) : backend(std::move(b)) {
    state.batch = kBatch;
    state.outputs = halves;
    state.pixels = kPixels;
    state.channels = kChannels;
    state.input_channels = kChannels + extra;
    state.x = add(kBatch * kCount);
    state.model_input = add(size_t(halves) * kBatch * kPixels * state.input_channels);
    state.model_output = add(size_t(halves) * kBatch * kCount);
    state.m = add(kBatch * kCount);
    state.x0 = add(kBatch * kCount);
    state.noise = add(size_t(kDraws) * kBatch * kCount);
    for (Buffer*& slot : state.history) slot = add(kBatch * kCount);
    if (extra) state.constant = add(size_t(halves) * kBatch * kPixels * extra);
    state.mask = add(kBatch * kPixels);
    state.init = add(kBatch * kCount);
    state.init_noise = add(kBatch * kCount);
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
};

struct Rows {
  StepTable table;
  StepRow row;
  Coefficient shared(float value) {
    table.values.push_back(value);
    return {uint32_t(table.values.size() - 1), 0};
  }
  Coefficient each(float a, float b, float c) {
    table.values.insert(table.values.end(), {a, b, c});
    return {uint32_t(table.values.size() - 3), 1};
  }
};

// Runs the row on both and compares every buffer.
void compare(Rows rows, int halves, int extra) {
  const Emulation emulation(7, emulator::Async::late, 2);
  Device cpu(std::shared_ptr<Backend>(make_cpu_backend(1)), halves, extra);
  Device gpu(std::shared_ptr<Backend>(emulated_backend(kSm80, ActivationType::fp16)), halves,
             extra);
  if (rows.table.programs.empty()) rows.table.programs.resize(1);
  rows.table.rows = {rows.row};
  for (Device* device : {&cpu, &gpu}) {
    run_rows(*device->backend, rows.table, device->state);
  }
  for (size_t b = 0; b < cpu.buffers.size(); b++) {
    const size_t bytes = cpu.buffers[b]->bytes();
    std::vector<float> expected(bytes / 4), actual(bytes / 4);
    cpu.buffers[b]->download(expected.data(), bytes);
    gpu.buffers[b]->download(actual.data(), bytes);
    for (size_t i = 0; i < expected.size(); i++)
      CHECK_NEAR(actual[i], expected[i], 1e-5 * std::fmax(1.0, std::fabs(expected[i])));
  }
}

Rows plain() {
  Rows r;
  r.row.input_scale = r.each(0.5f, 2, 0.125f);
  r.row.x0_x = r.each(1.5f, 0.5f, 1);
  r.row.x0_m = r.each(-0.75f, 0.25f, -1);
  return r;
}

}  // namespace

TEST(quick_sampler_input_and_prediction) {
  compare(plain(), 1, 0);
  compare(plain(), 2, 5);
}

TEST(quick_sampler_guidance) {
  Rows r = plain();
  r.row.guided = true;
  r.row.guidance_scale = r.each(7.5f, 3, 1);
  r.row.guidance_rescale = r.shared(0);
  compare(r, 2, 0);
  r.row.guidance_rescale = r.each(0.7f, 0, 1);
  compare(r, 2, 0);
}

TEST(quick_sampler_guidance_by_a_third_output) {
  Rows r = plain();
  r.row.guided = r.row.guided_by_third = true;
  r.row.guidance_scale = r.each(7.5f, 3, 1);
  r.row.guidance_third = r.each(-2, 0.5f, 0);
  r.row.guidance_rescale = r.each(0.7f, 0, 1);
  compare(r, 3, 0);
  r.row.guided_by_third = false;  // of the first two
  r.table.programs = {{ProgramKey::Kind::full, -1, Halves::both}};
  compare(r, 3, 0);
}

TEST(quick_sampler_guidance_rules) {
  using Kind = GuidanceRule::Kind;
  for (const Kind kind : {Kind::zero, Kind::averaging, Kind::zero_star, Kind::projected,
                          Kind::tangential, Kind::magnitude})
    for (const bool from_conditional : {false, true}) {
      Rows r = plain();
      r.row.guided = true;
      r.row.guidance_scale = r.each(5.5f, 3, 1);
      r.row.guidance_rescale = r.shared(kind == Kind::magnitude ? 0.5f : 0);
      r.row.rule.kind = kind;
      r.row.rule.from_conditional = from_conditional;
      r.row.rule.eta = 0.25f;
      r.row.rule.limit = from_conditional ? 0 : 4;
      r.row.rule.alpha = 0.5f;
      compare(r, 2, 0);
      if (kind != Kind::averaging && kind != Kind::projected) continue;
      r.row.rule.has_momentum = true;
      r.row.rule.momentum = -0.5f;
      r.row.rule.average = Slot::s9;
      compare(r, 2, 0);
    }
}

TEST(quick_sampler_single_halves) {
  for (const Halves halves : {Halves::conditional, Halves::unconditional}) {
    Rows r = plain();
    r.table.programs = {{ProgramKey::Kind::full, -1, halves}};
    compare(r, 2, 0);
  }
}

TEST(quick_sampler_prediction) {
  Rows r = plain();
  r.table.predict(
      r.row, {{Slot::m, r.shared(0.5f)}, {Slot::x0, r.each(1, -1, 2)}, {Slot::s4, r.shared(-2)}});
  r.table.assign(r.row, Slot::s4, {{Slot::m, r.shared(1)}, {Slot::s4, r.shared(0.5f)}});
  compare(r, 2, 5);
}

// As many terms as a row may have.
TEST(quick_sampler_many_terms) {
  Rows r = plain();
  std::vector<Term> terms;
  for (int i = 0; i < kMaxTerms / 4; i++)
    terms.push_back({Slot(int(Slot::s0) + i % kHistorySlots), r.shared(0.125f)});
  r.table.predict(r.row, terms);
  for (const Slot to : {Slot::x, Slot::s1, Slot::s2}) r.table.assign(r.row, to, terms);
  CHECK_EQ(r.row.terms.count, uint32_t(kMaxTerms));
  compare(r, 1, 0);
}

TEST(quick_sampler_limits) {
  Rows r = plain();
  r.row.limit = StepRow::Limit::clamp;
  r.row.clamp = 1;
  compare(r, 1, 0);
  r.row.limit = StepRow::Limit::threshold;
  for (const float ratio : {0.3f, 0.995f, 0.5f, 1.0f}) {
    r.row.threshold_ratio = ratio;
    r.row.threshold_max = 2.5f;
    compare(r, 1, 0);
  }
}

TEST(quick_sampler_assignments_and_blend) {
  Rows r = plain();
  r.row.has_noise = true;
  r.row.noise = r.each(1, 0, 1);
  r.table.assign(r.row, Slot::s3, {{Slot::x, r.shared(1)}});
  r.table.assign(r.row, Slot::x, {{Slot::x0, r.shared(2)}, {Slot::noise, r.each(0.5f, -1, 2)}});
  r.table.assign(r.row, Slot::s9, {{Slot::x, r.shared(1)}, {Slot::s3, r.shared(-1)}});
  r.table.assign(r.row, Slot::x,
                 {{Slot::x, r.shared(1)}, {Slot::s9, r.shared(-0.5f)}, {Slot::m, r.shared(3)}});
  compare(r, 1, 0);
  r.row.blended = true;
  r.row.blend_init = r.shared(0.9f);
  r.row.blend_noise = r.each(0.1f, 0, 0.5f);
  compare(r, 2, 0);
  r.row.blends_noise = true;
  compare(r, 2, 0);
}

TEST(quick_sampler_row_without_a_call) {
  Rows r = plain();
  r.row.program = kNoProgram;
  r.row.has_noise = true;
  r.row.noise = r.each(1, 0, 1);
  r.table.assign(r.row, Slot::x, {{Slot::m, r.shared(1)}, {Slot::noise, r.each(0.5f, -1, 2)}});
  compare(r, 2, 0);
}

}  // namespace deepcache::test
