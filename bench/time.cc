#include "time.h"

#include <algorithm>
#include <cstdio>

#include "../native/runtime/error.h"
#include "cpu_peak.h"

namespace deepcache::bench {
namespace {

bool contains(const std::vector<std::string>& list, const char* word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// y = x over values that no cache holds.
Plan copy_plan(int rows, int columns) {
  Plan plan;
  Elementwise copy;
  copy.x = plan.temporary({1, 1, rows, columns});
  copy.y = plan.temporary(copy.x.shape);
  plan.add(copy);
  plan.finish();
  return plan;
}

}  // namespace

Plan product_plan(int size) {
  Plan plan;
  Conv op;
  op.x = plan.temporary({1, 1, size, size});
  op.y = plan.temporary(op.x.shape);
  op.weight = plan.weight({Recipe::matrix, {"weight"}, size, size});
  plan.add(op);
  plan.finish();
  return plan;
}

Timing time_program(const Device& device, RandomProgram& program, double budget) {
  // Rows enough that starting a measurement is nothing beside it.
  constexpr double kSeconds = 5e-3;
  const auto enqueue = [&] { program.enqueue(); };
  double once = kSeconds;
  for (int i = 0; budget > 0 && i < 2; i++) {
    program.begin(1);
    once = device.seconds(enqueue);
  }
  const int rows =
      device.gpu ? int(std::clamp(kSeconds / once, 1.0, double(RandomProgram::kMostRows))) : 1;
  Timing timing = measure(
      device, budget, [&] { program.begin(rows); }, enqueue);
  timing.change([&](double time) { return time / rows; });
  return timing;
}

Timings::Timings(const Device& device, const TimeOptions& options)
    : device_(device),
      options_(options),
      start_(std::chrono::steady_clock::now()),
      report_(options.json, describe(device,
                                     "time: synthetic weights; medians and the spread "
                                     "without a tenth on each side, by the device's clock")) {
  ceilings_ = measure_ceilings();
  JsonObject row;
  row.add("name", "ceilings." + device.type)
      .add("tflops", 1e-12 * ceilings_.flops)
      .add("gbs", 1e-9 * ceilings_.bytes)
      .add("row_overhead_ms", 1e3 * row_overhead_);
  report_.add(row);
  std::printf("%s %s: %.1f TFLOP/s in a product of %d, copies at %.0f GB/s\n", device.name.c_str(),
              device.type.c_str(), 1e-12 * ceilings_.flops, options.ceiling,
              1e-9 * ceilings_.bytes);
  std::printf("%-64s %10s %8s %9s %8s %8s\n", "", "ms", "spread", "TFLOP/s", "GB/s", "of bound");
}

Timing Timings::time_without_overhead(RandomProgram& program) const {
  Timing timing = time_program(device_, program, options_.budget);
  timing.change([&](double time) { return std::max(time - row_overhead_, 1e-9); });
  return timing;
}

Ceilings Timings::measure_ceilings() {
  Ceilings out;
  const int size = options_.ceiling;
  {
    RandomProgram nearly_nothing(copy_plan(1, 8), device_);
    if (device_.gpu) row_overhead_ = time_program(device_, nearly_nothing, options_.budget).median;
  }
  {
    RandomProgram copy(copy_plan(4 * size, size), device_);
    const double bytes = 2.0 * 4 * size * size * double(device_.activation_bytes());
    out.bytes = bytes / time_without_overhead(copy).low;
  }
  if (!device_.gpu) {
    out.flops =
        1e9 * measure_cpu_peak(0, device_.type == "bf16" ? Products::bf16 : Products::fp32).gflops;
    return out;
  }
  RandomProgram product(product_plan(size), device_);
  out.flops = 2.0 * size * size * size / time_without_overhead(product).low;
  return out;
}

double Timings::seconds_so_far() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

bool Timings::wants(const std::string& name) {
  if (name.find(options_.filter) == std::string::npos) return false;
  if (!late()) return true;
  left_out_++;
  return false;
}

double Timings::measure_row(const std::string& name, const OpCost& cost, int passes,
                            RandomProgram& program, const JsonObject& extra) {
  Timing timing = time_without_overhead(program);
  timing.change([&](double time) { return time / passes; });
  const double flops = 2 * cost.macs / timing.median, bytes = cost.bytes / timing.median;
  // The device can be no faster than the slower of arithmetic and memory.
  const double bound = std::max(2 * cost.macs / ceilings_.flops, cost.bytes / ceilings_.bytes);
  JsonObject row;
  row.add("name", name);
  timing.add_to(row);
  row.add("tflops", 1e-12 * flops).add("gbs", 1e-9 * bytes).add("of_bound", bound / timing.median);
  report_.add(row.append(extra));
  std::printf("%-64s %10.4f %7.1f%% %9.2f %8.0f %7.1f%%\n", name.c_str(), 1e3 * timing.median,
              100 * (timing.high - timing.low) / timing.median, 1e-12 * flops, 1e-9 * bytes,
              100 * bound / timing.median);
  std::fflush(stdout);
  return timing.median;
}

void Timings::finish() {
  JsonObject end;
  end.add("seconds", seconds_so_far()).add("complete", !late()).add("rows_left_out", left_out_);
  if (device_.gpu)
    end.add("clocks_at_the_end", gpu_clocks(device_))
        .add("features_at_the_end", features_of(device_));
  report_.summary(end);
  if (left_out_) std::printf("time is up: %d rows were left out\n", left_out_);
}

void time_device(const Device& device, const TimeOptions& options) {
  for (const std::string& part : options.parts)
    if (part != "steps" && part != "images" && part != "ops" && part != "tiles")
      throw Error(ErrorCode::kInvalidArgument,
                  "--parts are steps, images, ops and tiles, got " + part);
  Timings timings(device, options);
  if (contains(options.parts, "steps") || contains(options.parts, "images"))
    for (const std::string& model : options.models)
      if (!timings.late()) time_model(timings, model);
  if (contains(options.parts, "ops"))
    for (const std::string& model : options.models)
      if (!timings.late()) time_ops(timings, model);
  if (contains(options.parts, "tiles")) time_tiles(timings);
  timings.finish();
}

}  // namespace deepcache::bench
