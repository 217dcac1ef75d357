// A run's loop: graphs that are recorded once and replayed, the row in device memory, rows in
// flight, and what the host does meanwhile. The emulated GPU against the CPU backend.

#include <cmath>
#include <vector>

#include "emulated.h"
#include "emulator/memory.h"
#include "native/test.h"
#include "runtime/error.h"
#include "runtime/sampler.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {
namespace {

constexpr int kPixels = 24, kChannels = 4, kCount = kPixels * kChannels;

// "model": out = factor * input + time[row], one number of `time` for each channel.
Plan plan_model(int samples, float factor) {
  Plan plan;
  const Shape shape{samples, 1, kPixels, kChannels};
  Elementwise op;
  op.x = plan.external(PortKind::sample, shape);
  op.x2 = plan.external(PortKind::time, {1, 1, 1, kChannels}, Type::f32, true);
  op.y = plan.external(PortKind::out, shape);
  op.a = factor;
  op.repeat = samples * kPixels;
  plan.add(op);
  plan.finish();
  return plan;
}

struct Runner {
  std::shared_ptr<Backend> backend;
  int batch;
  std::vector<std::unique_ptr<Buffer>> buffers;
  SamplerState state;
  OpBuilder builder{1};
  Weights weights;
  std::unique_ptr<Buffer> arena;
  std::vector<std::unique_ptr<Program>> programs;
  std::unique_ptr<Loop> loop;

  // With two halves there is a program for each way to compute them.
  Runner(std::shared_ptr<Backend> b, int samples, int slices, int halves = 1)
      : backend(std::move(b)), batch(samples), weights(builder.source(), *backend) {
    state.batch = batch;
    state.pixels = kPixels;
    state.channels = state.input_channels = kChannels;
    const size_t half = size_t(batch) * kCount;
    state.outputs = halves;
    state.model_input = add(size_t(halves) * half);
    state.model_output = add(size_t(halves) * half);
    state.m = add(half);
    state.x0 = add(half);
    state.kept = add(half);
    Buffer* const time = add(size_t(slices) * kChannels);
    arena = backend->allocate(0);
    const auto compile = [&](int count, float factor, size_t first) {
      const size_t offset = first * kCount * sizeof(float);
      programs.push_back(
          backend->compile(plan_model(count, factor), weights, *arena,
                           {{state.model_input, offset}, {time}, {state.model_output, offset}}));
    };
    compile(halves * batch, 0.5f, 0);
    compile(batch, -0.25f, size_t(halves - 1) * batch);
    if (halves == 2) compile(batch, 0.125f, 0);
    loop = backend->make_loop();
  }

  Buffer* add(size_t count) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; i++) values[i] = float(i * 2654435761u % 1000) / 500 - 1;
    buffers.push_back(backend->allocate(count * sizeof(float)));
    buffers.back()->upload(values.data(), count * sizeof(float));
    return buffers.back().get();
  }

  std::vector<Segments> all_programs() const {
    std::vector<Segments> all;
    for (const auto& program : programs) all.push_back(program->whole());
    return all;
  }

  // A run with latents of its own. Returns x after the rows that are read, and at the end.
  std::vector<std::vector<float>> run(const StepTable& table, const Reads& reads,
                                      const StepCallback& on_step = nullptr) {
    std::vector<std::vector<float>> out;
    SamplerState run_state = state;
    const size_t kept = buffers.size();
    run_state.x = add(batch * kCount);
    run_state.history[0] = add(batch * kCount);
    run_state.noise = add(2 * batch * kCount);
    const auto read = [&] {
      std::vector<float> values(batch * kCount);
      run_state.x->download(values.data(), values.size() * sizeof(float));
      out.push_back(values);
    };
    const auto after = [&](const StepReport& report) {
      if (on_step) on_step(report);
      if (reads && reads(report.row)) read();
    };
    TableRun(*loop, table, run_state, all_programs(), {reads, after}).run(nullptr);
    read();
    buffers.resize(kept);
    return out;
  }
};

// Rows that alternate, every one with other numbers, some of them for each sample.
StepTable make_table(int batch, int rows, float shift) {
  StepTable table;
  table.programs = {{}, {ProgramKey::Kind::retrieve, 0}};
  const auto shared = [&](float value) {
    table.values.push_back(value + shift);
    return Coefficient{uint32_t(table.values.size() - 1), 0};
  };
  const auto each = [&](float value) {
    for (int i = 0; i < batch; i++) table.values.push_back(value + shift + 0.125f * float(i));
    return Coefficient{uint32_t(table.values.size() - size_t(batch)), 1};
  };
  table.values = {0, 1};  // indices of draws
  for (int i = 0; i < rows; i++) {
    StepRow row;
    row.program = i % 3 != 0;
    if (i % 5 == 3) table.predict(row, {{Slot::m, each(0.5f)}, {Slot::s0, shared(0.25f)}});
    row.timestep = shared(float(i));
    row.input_scale = each(0.25f);
    row.x0_x = each(0.5f);
    row.x0_m = shared(-0.25f - 0.01f * float(i));
    row.has_noise = true;
    row.noise = {uint32_t(i % 2), 0};
    table.assign(row, Slot::x,
                 {{Slot::x0, shared(0.5f)}, {Slot::m, each(0.25f)}, {Slot::s0, shared(-0.125f)}});
    table.assign(row, Slot::s0, {{Slot::x0, shared(0.5f)}, {Slot::noise, shared(0.0625f)}});
    if (i % 4 == 2) {
      row.limit = StepRow::Limit::threshold;
      row.threshold_ratio = 0.9f;
      row.threshold_max = 1.5f;
    }
    table.rows.push_back(row);
  }
  return table;
}

void check_equal(const std::vector<std::vector<float>>& actual,
                 const std::vector<std::vector<float>>& expected) {
  CHECK_EQ(actual.size(), expected.size());
  for (size_t r = 0; r < expected.size(); r++)
    for (size_t i = 0; i < expected[r].size(); i++)
      CHECK_NEAR(actual[r][i], expected[r][i], 1e-5 * std::fmax(1.0, std::fabs(expected[r][i])));
}

std::shared_ptr<Backend> gpu() { return emulated_backend(kSm80, ActivationType::fp16); }
std::shared_ptr<Backend> cpu() { return make_cpu_backend(1); }

}  // namespace

// Several runs of one loop, with other tables, lengths, batches of coefficients and buffers; x is
// read after every third row.
TEST(quick_loop_replays_its_graphs) {
  const Reads reads = [](int row) { return row % 3 == 1; };
  for (const emulator::Async async : {emulator::Async::late, emulator::Async::random}) {
    const Emulation emulation(3, async, 2);
    Runner on_gpu(gpu(), 3, 9), on_cpu(cpu(), 3, 9);
    for (const int rows : {7, 9, 4}) {
      const StepTable table = make_table(3, rows, 0.01f * float(rows));
      check_equal(on_gpu.run(table, reads), on_cpu.run(table, reads));
    }
  }
}

TEST(quick_loop_keeps_two_rows_in_flight) {
  const Emulation emulation(1, emulator::Async::late);
  Runner runner(gpu(), 1, 12);
  const StepTable table = make_table(1, 12, 0);
  runner.run(table, nullptr);  // records the graphs
  auto& counts = emulator::statistics;
  const uint64_t launched = counts.launches, allocated = counts.allocations;
  uint64_t in_loop = 0, expected = 0;
  runner.run(table, nullptr, [&](const StepReport& report) {
    const int row = report.row;
    // The late GPU has done just what was waited for.
    const bool has_model = table.rows[size_t(row)].program != kNoProgram;
    expected += has_model ? 5 : 4;  // input, model, prediction, threshold, assignments
    CHECK_EQ(counts.launches - launched, expected);
    if (row == 0) in_loop = counts.allocations;
    CHECK_EQ(counts.allocations, in_loop);
  });
  CHECK_EQ(in_loop - allocated, uint64_t(3));  // the run's own x, history and noise
}

// Rows that nobody waits for are enqueued without running anything.
TEST(quick_loop_enqueues_without_waiting) {
  const Emulation emulation(1, emulator::Async::late);
  Runner runner(gpu(), 2, 3);
  const StepTable table = make_table(2, 3, 0);
  SamplerState state = runner.state;
  state.x = runner.add(2 * kCount);
  state.history[0] = runner.add(2 * kCount);
  state.noise = runner.add(2 * 2 * kCount);
  runner.loop->begin(table, state, {runner.programs[0]->whole(), runner.programs[1]->whole()});
  const auto before = emulator::statistics;
  for (int row = 0; row < 3; row++) runner.loop->enqueue(false, nullptr);
  CHECK_EQ(emulator::statistics.launches, before.launches);
  CHECK_EQ(emulator::statistics.waits, before.waits);
  CHECK_EQ(emulator::statistics.allocations, before.allocations);
  CHECK_THROWS(runner.loop->enqueue(false, nullptr), ErrorCode::kInternal);
  CHECK_THROWS(runner.loop->wait(0), ErrorCode::kInternal);
  runner.loop->wait(2);
  CHECK(emulator::statistics.launches > before.launches);
}

TEST(quick_loop_checks_its_rows) {
  Runner runner(gpu(), 1, 2);
  CHECK_THROWS(runner.run(make_table(1, 3, 0), nullptr), ErrorCode::kInternal);  // two slices only
  const CancelFlag cancel = true;
  CHECK_THROWS(runner.loop->enqueue(false, &cancel), ErrorCode::kAborted);
  Runner reference(cpu(), 1, 2);
  check_equal(runner.run(make_table(1, 2, 0), nullptr),
              reference.run(make_table(1, 2, 0), nullptr));
}

// Both halves, one of them or none: each row leaves its output for later ones.
TEST(quick_loop_mixes_halves_and_predictions) {
  StepTable table = make_table(2, 10, 0);
  table.programs = {{},
                    {ProgramKey::Kind::full, -1, Halves::conditional},
                    {ProgramKey::Kind::full, -1, Halves::unconditional}};
  int row_count = 0;
  for (StepRow& row : table.rows) {
    if (row.program == kNoProgram) continue;
    row.program = row_count++ % 3;
    row.guided = row.program == 0;
    row.guidance_scale = row.x0_x;
    row.guidance_rescale = row.input_scale;
  }
  const Emulation emulation(3, emulator::Async::late, 2);
  Runner on_gpu(gpu(), 2, 10, 2), on_cpu(cpu(), 2, 10, 2);
  const Reads each = [](int) { return true; };
  check_equal(on_gpu.run(table, each), on_cpu.run(table, each));
}

// Slices of stepped tensors are those of calls: rows without one have none.
TEST(quick_loop_counts_calls) {
  StepTable table = make_table(2, 6, 0);
  for (const int row : {1, 2, 4}) {
    table.rows[size_t(row)].program = kNoProgram;
    table.rows[size_t(row)].predict = {};
  }
  table.count_calls();
  const Emulation emulation(3, emulator::Async::late, 2);
  Runner on_gpu(gpu(), 2, 3), on_cpu(cpu(), 2, 3);
  const auto x = on_cpu.run(table, nullptr);
  check_equal(on_gpu.run(table, nullptr), x);
  // What the last row reads.
  std::vector<float> other(kChannels, 5);
  on_cpu.buffers[5]->upload(other.data(), kChannels * sizeof(float), 2 * kChannels * sizeof(float));
  CHECK(on_cpu.run(table, nullptr) != x);
}

// Rows that may skip: none do, some, or as many as may.
TEST(quick_loop_skips_what_has_not_changed) {
  constexpr int kRows = 8;
  const auto run = [](Runner& runner, float threshold, bool predicts) {
    StepTable table = make_table(2, kRows, 0);
    for (StepRow& row : table.rows) {
      if (predicts != (row.program == kNoProgram)) row = table.rows[predicts ? 3 : 0];
      row.program = 0;
      row.max_skips = 2;
      row.skip_below = threshold;
      row.instead = predicts ? kNoProgram : 1;
    }
    std::vector<StepReport> reports;
    const Reads even = [](int row) { return row % 2 == 0; };
    const auto x =
        runner.run(table, even, [&](const StepReport& report) { reports.push_back(report); });
    return std::pair(x, reports);
  };
  const Emulation emulation(3, emulator::Async::late, 2);
  Runner on_gpu(gpu(), 2, kRows), on_cpu(cpu(), 2, kRows);
  for (const bool predicts : {false, true}) {
    const int instead = predicts ? kNoProgram : 1;
    for (const float threshold : {0.0f, 0.4f, INFINITY}) {
      const auto [x, ran] = run(on_gpu, threshold, predicts);
      const auto [expected_x, expected] = run(on_cpu, threshold, predicts);
      check_equal(x, expected_x);
      CHECK_EQ(ran.size(), size_t(kRows));
      int skipped = 0;
      for (size_t i = 0; i < ran.size(); i++) {
        CHECK_EQ(ran[i].row, int(i));
        CHECK_EQ(ran[i].program, expected[i].program);
        CHECK_EQ(std::isnan(ran[i].change), std::isnan(expected[i].change));
        if (!std::isnan(ran[i].change)) CHECK_NEAR(ran[i].change, expected[i].change, 1e-5);
        if (threshold == INFINITY) CHECK_EQ(ran[i].program, i % 3 ? instead : 0);
        skipped += ran[i].program == instead;
      }
      CHECK_EQ(skipped > 0, threshold > 0);
      if (threshold == 0.4f) CHECK(skipped < 5);
    }
  }
}

// 1,000 runs, of which each brings its own buffers.
TEST(all_loop_leaks_nothing) {
  const Emulation emulation(1, emulator::Async::late);
  Runner runner(gpu(), 1, 2);
  const StepTable table = make_table(1, 2, 0);
  runner.run(table, nullptr);
  const size_t before = emulator::allocated_bytes();
  for (int i = 0; i < 1000; i++) runner.run(table, nullptr);
  CHECK_EQ(emulator::allocated_bytes(), before);
}

}  // namespace deepcache::test
