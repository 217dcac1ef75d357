#include "time.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "../native/runtime/error.h"
#include "cpu_peak.h"
#include "models.h"

namespace deepcache::bench {
namespace {

// Messages of a worker.
constexpr char kDevice = 'D', kBegin = 'B', kCeilings = 'C', kSeconds = 'S', kRow = 'R',
               kProblem = 'P', kEnd = 'E';

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

Timings::Timings(const Device& device, const TimeOptions& options, const Found& found,
                 const Messages& messages)
    : device_(device),
      options_(options),
      found_(found),
      messages_(messages),
      ceilings_(found.ceilings),
      row_overhead_(found.row_overhead) {
  messages_.send(kDevice, describe(device,
                                   "time: synthetic weights; medians and the spread without a "
                                   "tenth on each side, by the device's clock")
                              .members());
  if (begins("ceilings." + device.type)) measure_ceilings();
}

Timing Timings::time_without_overhead(RandomProgram& program) const {
  Timing timing = time_program(device_, program, options_.budget);
  timing.change([&](double time) { return std::max(time - row_overhead_, 1e-9); });
  return timing;
}

void Timings::measure_ceilings() {
  const int size = options_.ceiling;
  {
    RandomProgram nearly_nothing(copy_plan(1, 8), device_);
    if (device_.gpu) row_overhead_ = time_program(device_, nearly_nothing, options_.budget).median;
  }
  {
    RandomProgram copy(copy_plan(4 * size, size), device_);
    const double bytes = 2.0 * 4 * size * size * double(device_.activation_bytes());
    ceilings_.bytes = bytes / time_without_overhead(copy).low;
  }
  if (device_.gpu) {
    RandomProgram product(product_plan(size), device_);
    ceilings_.flops = 2.0 * size * size * size / time_without_overhead(product).low;
  } else {
    const Products products = device_.type == "bf16" ? Products::bf16 : Products::fp32;
    ceilings_.flops = 1e9 * measure_cpu_peak(0, products).gflops;
  }
  char text[96];
  std::snprintf(text, sizeof text, "%.17g %.17g %.17g", ceilings_.flops, ceilings_.bytes,
                row_overhead_);
  messages_.send(kCeilings, text);
  JsonObject row;
  row.add("name", "ceilings." + device_.type)
      .add("tflops", 1e-12 * ceilings_.flops)
      .add("gbs", 1e-9 * ceilings_.bytes)
      .add("row_overhead_ms", 1e3 * row_overhead_);
  add(0, row);
  std::printf("%s %s: %.1f TFLOP/s in a product of %d, copies at %.0f GB/s\n", device_.name.c_str(),
              device_.type.c_str(), 1e-12 * ceilings_.flops, size, 1e-9 * ceilings_.bytes);
  std::printf("%-64s %10s %8s %9s %8s %8s\n", "", "ms", "spread", "TFLOP/s", "GB/s", "of bound");
  std::fflush(stdout);
}

double Timings::seconds_so_far() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - found_.start).count();
}

bool Timings::begins(const std::string& what) const {
  if (found_.seconds.contains(what)) return false;
  messages_.send(kBegin, what);
  return true;
}

bool Timings::wants(const std::string& name) {
  if (name.find(options_.filter) == std::string::npos) return false;
  if (!late()) return begins(name);
  left_out_++;
  return false;
}

double Timings::found(const std::string& name) const {
  const auto row = found_.seconds.find(name);
  return row == found_.seconds.end() ? 0 : row->second;
}

void Timings::add(double seconds, const JsonObject& row) const {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", seconds);
  messages_.send(kSeconds, text);
  messages_.send(kRow, row.str());
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
  add(timing.median, row.append(extra));
  std::printf("%-64s %10.4f %7.1f%% %9.2f %8.0f %7.1f%%\n", name.c_str(), 1e3 * timing.median,
              100 * (timing.high - timing.low) / timing.median, 1e-12 * flops, 1e-9 * bytes,
              100 * bound / timing.median);
  std::fflush(stdout);
  return timing.median;
}

void Timings::finish() const {
  JsonObject end;
  end.add("seconds", seconds_so_far()).add("complete", !late()).add("rows_left_out", left_out_);
  if (device_.gpu)
    end.add("clocks_at_the_end", gpu_clocks(device_))
        .add("features_at_the_end", features_of(device_));
  messages_.send(kEnd, end.members());
  if (left_out_) std::printf("time is up: %d rows were left out\n", left_out_);
}

namespace {

void work(const TimeOptions& options, const Found& found, const Messages& messages) {
  try {
    const Device device = options.open();
    Timings timings(device, options, found, messages);
    if (contains(options.parts, "steps") || contains(options.parts, "images"))
      for (const std::string& model : options.models)
        if (!timings.late() && timings.begins(model)) time_model(timings, model);
    if (contains(options.parts, "ops"))
      for (const std::string& model : options.models)
        if (!timings.late()) time_ops(timings, model);
    if (contains(options.parts, "tiles")) time_tiles(timings);
    timings.finish();
  } catch (const Error& error) {
    messages.send(kProblem, error.what());
    throw GiveUp();
  }
}

}  // namespace

bool time_device(const TimeOptions& options) {
  constexpr int kMostFaults = 16;  // each costs a new process, which has to open the device
  for (const std::string& part : options.parts)
    if (part != "steps" && part != "images" && part != "ops" && part != "tiles")
      throw Error(ErrorCode::kInvalidArgument,
                  "--parts are steps, images, ops and tiles, got " + part);
  for (const std::string& model : options.models) model_part(model, "unet");  // or a refusal
  Report report(options.json);
  Found found;
  std::string running, problem;
  const auto receive = [&](char kind, const std::string& line) {
    if (kind == kDevice) report.begin(line);
    if (kind == kBegin) running = line;
    if (kind == kCeilings)
      std::sscanf(line.c_str(), "%lf %lf %lf", &found.ceilings.flops, &found.ceilings.bytes,
                  &found.row_overhead);
    if (kind == kSeconds) found.seconds[running] = std::strtod(line.c_str(), nullptr);
    if (kind == kRow) report.add(line), running.clear();
    if (kind == kProblem) problem = line;
    if (kind == kEnd) report.end(line);
  };
  int faults = 0;
  for (bool more = true; more;) {
    running.clear(), problem.clear();
    const size_t before = found.seconds.size();
    const WorkerEnd end = run_worker(
        options.patience, [&](const Messages& m) { work(options, found, m); }, receive);
    if (end.how == WorkerEnd::finished) break;
    if (problem.empty()) problem = end.problem;
    if (running.empty() && found.seconds.size() == before)
      throw Error(ErrorCode::kInvalidArgument, problem);
    if (running.empty())
      running = "between two rows";
    else
      found.seconds[running] = 0;
    std::printf("%-64s FAILED  %s\n", running.c_str(), problem.c_str());
    report.add(JsonObject().add("name", running).add("problem", problem));
    more = ++faults < kMostFaults;
    if (!more) std::printf("too many faults: the other rows are left out\n");
  }
  return faults > 0;
}

}  // namespace deepcache::bench
