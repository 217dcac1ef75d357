#include "types.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include "../native/models/vae.h"
#include "../native/runtime/error.h"
#include "cpu_peak.h"
#include "models.h"
#include "ops.h"

namespace deepcache::bench {
namespace {

constexpr Products kTypes[] = {Products::fp32, Products::bf16};
constexpr int kTokens = 77;

double processor_seconds() {
  rusage use;
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + 1e-6 * double(t.tv_usec); };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class TypesComparison {
 public:
  explicit TypesComparison(const TypesOptions& options)
      : options_(options),
        devices_{open_device("cpu", "fp32", options.threads),
                 open_device("cpu", "bf16", options.threads)},
        report_(options.json, describe(devices_[0],
                                       "fp32 and bf16 on the CPU in turns: synthetic "
                                       "weights, medians")) {
    for (int i = 0; i < 2; i++) {
      const CpuPeak peak = measure_cpu_peak(options.threads, kTypes[i]);
      peaks_[i] = 1e9 * peak.gflops;
      std::printf("peak of %s: %.0f GFLOP/s (%s, %d threads)\n", devices_[i].type.c_str(),
                  peak.gflops, peak.isa, peak.threads);
      report_.add(JsonObject()
                      .add("name", "peak." + devices_[i].type)
                      .add("isa", peak.isa)
                      .add("threads", peak.threads)
                      .add("gflops", peak.gflops));
    }
    std::fflush(stdout);
    std::printf("%-60s %6s %9s %9s %8s %8s %8s %8s\n", "ms, processor ms, GFLOP/s, of peak", "",
                "fp32", "bf16", "ratio", "cpu", "fp32", "bf16");
  }

  const Device& device(int type) const { return devices_[type]; }
  bool wants(const std::string& name) const {
    return name.find(options_.filter) != std::string::npos;
  }

  // `macs` of one run of each program.
  void measure(const std::string& name, double macs, RandomProgram* const (&programs)[2],
               int count = 1) {
    std::vector<double> wall[2], processor[2];
    for (int round = -1; round < options_.rounds; round++)
      for (int i = 0; i < 2; i++) {
        const double before = processor_seconds();
        const double seconds = devices_[i].seconds([&] { programs[i]->run(); });
        if (round < 0) continue;  // the first one touches its memory for the first time
        wall[i].push_back(seconds);
        processor[i].push_back(processor_seconds() - before);
      }
    JsonObject row;
    row.add("name", name).add("count", count).add("gmacs", 1e-9 * macs, 9);
    double times[2], used[2], rates[2];
    for (int i = 0; i < 2; i++) {
      times[i] = median(wall[i]);
      used[i] = median(processor[i]);
      rates[i] = 2 * macs / times[i];
      const std::string type = devices_[i].type;
      row.add(type + "_ms", 1e3 * times[i])
          .add(type + "_processor_ms", 1e3 * used[i])
          .add(type + "_gflops", 1e-9 * rates[i])
          .add(type + "_of_peak", rates[i] / peaks_[i]);
    }
    row.add("ratio", times[0] / times[1]).add("processor_ratio", used[0] / used[1]);
    report_.add(row);
    std::printf("%-60s %5dx %9.2f %9.2f %8.2f %8.2f %7.0f%% %7.0f%%\n", name.c_str(), count,
                1e3 * times[0], 1e3 * times[1], times[0] / times[1], used[0] / used[1],
                100 * rates[0] / peaks_[0], 100 * rates[1] / peaks_[1]);
    std::fflush(stdout);
  }

 private:
  const TypesOptions& options_;
  const Device devices_[2];
  Report report_;
  double peaks_[2];
};

void compare_calls(TypesComparison& types, const std::string& model, int side) {
  std::unique_ptr<Unet> unets[2];
  for (int i = 0; i < 2; i++)
    unets[i] = synthetic_unet(model_part(model, "unet"), types.device(i).backend);
  const UnetConfig& config = unets[0]->config();
  if (!side) side = config.sample_height;
  const Plan plan = plan_unet(config, {2, side, side, kTokens, 1}, {0});
  const std::pair<std::string, OpRanges> parts[] = {{".full", {plan.all()}},
                                                    {".retrieve0", retrieve_segments(plan, 0)}};
  for (const auto& [part, segments] : parts) {
    if (!types.wants(model + part)) continue;
    double macs = 0;
    for (const OpRange& range : segments)
      for (int op = range.first; op < range.last; op++)
        macs += plan.ops()[size_t(op)].macs(plan.weights());
    std::unique_ptr<RandomProgram> programs[2];
    for (int i = 0; i < 2; i++)
      programs[i] =
          std::make_unique<RandomProgram>(plan, types.device(i), &unets[i]->weights(), segments);
    types.measure(model + part, macs, {programs[0].get(), programs[1].get()});
  }
}

void compare_decoders(TypesComparison& types, const std::string& model, int side) {
  const std::string json = model_part(model, "vae");
  if (json.empty() || !types.wants(model + ".decode")) return;
  if (!side) side = UnetConfig::parse(model_part(model, "unet")).sample_height;
  std::unique_ptr<Autoencoder> vaes[2];
  std::unique_ptr<RandomProgram> programs[2];
  double macs = 0;
  for (int i = 0; i < 2; i++) {
    vaes[i] = synthetic_vae(json, types.device(i).backend);
    const Plan plan = plan_vae_decode(vaes[i]->config(), 1, side, side);
    macs = plan.executed_macs();
    programs[i] = std::make_unique<RandomProgram>(plan, types.device(i), &vaes[i]->weights());
  }
  types.measure(model + ".decode", macs, {programs[0].get(), programs[1].get()});
}

void compare_ops(TypesComparison& types, const std::string& model, int side) {
  const UnetConfig config = UnetConfig::parse(model_part(model, "unet"));
  if (!side) side = config.sample_height;
  const Plan plan = plan_unet(config, {2, side, side, kTokens, 1}, {0});
  for (const DistinctOp& distinct : distinct_ops(plan)) {
    if (!types.wants(distinct.name)) continue;
    RandomProgram fp32(isolate(plan, *distinct.op, 1), types.device(0));
    RandomProgram bf16(isolate(plan, *distinct.op, 1), types.device(1));
    types.measure(distinct.name, distinct.op->macs(plan.weights()), {&fp32, &bf16}, distinct.count);
  }
}

}  // namespace

void compare_types(const TypesOptions& options) {
  for (const std::string& part : options.parts)
    if (part != "calls" && part != "decode" && part != "ops")
      throw Error(ErrorCode::kInvalidArgument, "--parts are calls, decode and ops, got " + part);
  TypesComparison types(options);
  for (const std::string& model : options.models)
    for (const std::string& part : options.parts) {
      if (part == "calls") compare_calls(types, model, options.side);
      if (part == "decode") compare_decoders(types, model, options.side);
      if (part == "ops") compare_ops(types, model, options.side);
    }
}

}  // namespace deepcache::bench
