#pragma once

// Runs that differ in all that runs may: sampler, length, guidance, prompt, noise, cache branch.
// For the CPU's tests and the emulated GPU's.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/unet_batch.h"
#include "runtime/synth.h"

namespace deepcache::test {

inline constexpr int kRunTokens = 5;

// What a request points into comes with it.
struct BatchRun {
  std::vector<std::vector<float>> arrays;
  UnetDenoise request;
  int drawn = 0;

  BatchRun(const Unet& unet, const std::string& name, int batch, int halves, int side)
      : name_(name) {
    const UnetConfig& config = unet.config();
    request.batch = batch;
    request.outputs = halves;
    request.height = request.width = side;
    request.latents = add("latents", {batch, config.out_channels, side, side});
    request.conditions.context = add("prompt", {batch * halves, kRunTokens, config.context_width});
    request.conditions.context_length = kRunTokens;
  }
  BatchRun(const BatchRun&) = delete;

  const float* add(const std::string& what, std::vector<int64_t> shape) {
    const SyntheticTensor tensor{name_ + "." + what, std::move(shape)};
    std::vector<float> values(tensor.count());
    synthetic_values(tensor, 0, values.size(), values.data());
    arrays.push_back(std::move(values));
    return arrays.back().data();
  }
  Coefficient number(float value) { return numbers({value}); }
  // One for each sample.
  Coefficient numbers(const std::vector<float>& each) {
    std::vector<float>& values = request.table.values;
    const Coefficient out{uint32_t(values.size()), each.size() > 1 ? 1u : 0u};
    values.insert(values.end(), each.begin(), each.end());
    return out;
  }
  StepRow row(int program, Coefficient timestep) {
    StepRow row;
    row.program = program;
    row.timestep = timestep;
    row.input_scale = number(0.875f);
    row.x0_x = number(1);
    row.x0_m = number(-0.75f);
    return row;
  }
  void guide(StepRow& row, float scale, float rescale) {
    row.guided = true;
    row.guidance_scale = number(scale);
    row.guidance_rescale = number(rescale);
  }
  void draws(int count) {
    request.draws = count;
    const size_t each = size_t(request.batch) * 4 * size_t(request.height * request.width);
    request.draw_noise = [this, each](float* out) {
      const SyntheticTensor tensor{name_ + ".draw" + std::to_string(drawn++), {int64_t(each)}};
      synthetic_values(tensor, 0, each, out);
    };
  }

 private:
  const std::string name_;
};

constexpr ProgramKey::Kind kFull = ProgramKey::Kind::full, kRetrieve = ProgramKey::Kind::retrieve;

// DDIM-like: ten steps, a full one every three.
inline std::unique_ptr<BatchRun> ten_steps(const Unet& unet, int side = 8) {
  auto run = std::make_unique<BatchRun>(unet, "ten", 1, 2, side);
  StepTable& table = run->request.table;
  table.programs = {{kFull}, {kRetrieve, 1}};
  for (int i = 0; i < 10; ++i) {
    StepRow row = run->row(i % 3 ? 1 : 0, run->number(float(951 - 90 * i)));
    run->guide(row, 4, 0);
    table.assign(row, Slot::x, {{Slot::x, run->number(0.97f)}, {Slot::m, run->number(-0.03f)}});
    table.rows.push_back(row);
  }
  return run;
}

// DPM++-like, ancestral: seven steps, a full one every two, history, fresh noise; the last two
// without guidance.
inline std::unique_ptr<BatchRun> seven_steps(const Unet& unet, int side = 8) {
  auto run = std::make_unique<BatchRun>(unet, "seven", 1, 2, side);
  StepTable& table = run->request.table;
  table.programs = {{kFull},
                    {kRetrieve, 1},
                    {kFull, -1, Halves::conditional},
                    {kRetrieve, 1, Halves::conditional}};
  run->draws(7);
  for (int i = 0; i < 7; ++i) {
    const bool guided = i < 5;
    StepRow row = run->row((guided ? 0 : 2) + i % 2, run->number(float(990 - 140 * i)));
    if (guided) run->guide(row, 2, 0.5f);
    row.has_noise = true;
    row.noise = run->number(float(i));
    table.assign(row, Slot::x,
                 {{Slot::x, run->number(0.9f)},
                  {Slot::x0, run->number(0.15f)},
                  {Slot::s0, run->number(-0.05f)},
                  {Slot::noise, run->number(0.02f)}});
    table.assign(row, Slot::s0, {{Slot::x0, run->number(1)}});
    table.rows.push_back(row);
  }
  return run;
}

// Two images without guidance, each with timesteps of its own; a row that runs no network, and one
// that skips it while the input changes little.
inline std::unique_ptr<BatchRun> two_images(const Unet& unet, int side = 8) {
  auto run = std::make_unique<BatchRun>(unet, "two", 2, 1, side);
  StepTable& table = run->request.table;
  table.programs = {{kFull}, {kRetrieve, 0}};
  for (int i = 0; i < 6; ++i) {
    StepRow row =
        run->row(i == 4 ? 1 : 0, run->numbers({float(900 - 150 * i), 850 - 110.5f * float(i)}));
    if (i == 2) {
      row.program = kNoProgram;
      table.predict(row, {{Slot::m, run->number(0.5f)}});
    } else if (i == 3) {
      row.max_skips = 1;
      row.instead = 1;
      row.skip_below = 0.5f;
    }
    table.assign(row, Slot::x,
                 {{Slot::x, run->numbers({0.98f, 0.96f})}, {Slot::m, run->number(-0.1f)}});
    table.rows.push_back(row);
  }
  return run;
}

using MakeRun = std::function<std::unique_ptr<BatchRun>()>;

// What a run makes: the latents after every row.
using Trace = std::vector<std::vector<float>>;

inline Trace trace_alone(Unet& unet, BatchRun& run) {
  Trace trace;
  run.request.reads = [](int) { return true; };
  const UnetRun out = unet.denoise(
      run.request, nullptr, [&](const UnetProgress& progress) { trace.push_back(progress.x()); });
  trace.push_back(out.latents);
  for (const auto& history : out.history)
    if (!history.empty()) trace.push_back(history);
  return trace;
}

// A run in a batch that a test drives row by row.
struct Driven {
  std::unique_ptr<BatchRun> run;
  Trace trace;
  std::unique_ptr<UnetSlot> slot;

  Driven(Unet& unet, std::unique_ptr<BatchRun> made, bool reads = true) : run(std::move(made)) {
    run->request.reads = [reads](int) { return reads; };
    const Engine::Turn turn(unet.engine());
    slot = std::make_unique<UnetSlot>(unet, run->request, nullptr,
                                      [this, reads](const UnetProgress& progress) {
                                        if (reads) trace.push_back(progress.x());
                                      });
  }
  bool has_next() const { return slot->rows().has_next(); }
  void finish() {
    const UnetRun out = slot->finish();
    trace.push_back(out.latents);
    for (const auto& history : out.history)
      if (!history.empty()) trace.push_back(history);
  }
};

inline void tick(Unet& unet, UnetBatch& batch, const std::vector<Driven*>& all) {
  std::vector<UnetSlot*> slots;
  for (Driven* one : all) slots.push_back(one->slot.get());
  {
    const Engine::Turn turn(unet.engine());
    batch.tick(slots);
  }
  for (UnetSlot* slot : slots)
    if (!slot->error) slot->rows().settle();
}

}  // namespace deepcache::test
