#include "tune.h"

#include <chrono>
#include <cstdio>

#include "../native/runtime/error.h"
#include "models.h"
#include "time.h"

namespace deepcache::bench {
namespace {

constexpr int kCopies = 8;
constexpr double kBudget = 0.02;  // seconds for each time

struct Choice {
  std::string kernel;
  double seconds = 0;  // of one product, in a graph of several
};

Choice choice_of(const Device& device, const Plan& plan, const Op& op) {
  RandomProgram program(isolate(plan, op, kCopies), device);
  return {program.kernels()[0], time_program(device, program, kBudget).median / kCopies};
}

}  // namespace

void tune(const Device& device, const std::vector<std::string>& models,
          const std::vector<int>& batches, int side, double limit, const std::string& filter,
          const std::string& json) {
  if (!device.gpu)
    throw Error(ErrorCode::kInvalidArgument, "tune: the CPU has no tiles to choose; --device cuda");
  const auto start = std::chrono::steady_clock::now();
  const auto late = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > limit;
  };
  Report report(json, describe(device, "tune: tiles by the model of the time, and as measured"));
  std::string table = device.gpu->tuning();
  double model_total = 0, tuned_total = 0;
  int changed = 0, products = 0;
  std::printf("%-64s %10s %10s  %s\n", "", "model ms", "tuned ms", "tile");
  for (const std::string& model : models) {
    const UnetConfig config = UnetConfig::parse(model_part(model, "unet"));
    const int latents = side ? side : config.sample_height;
    for (const int images : batches) {
      const Plan plan = plan_unet(config, {2 * images, latents, latents, 77, 1}, {0});
      for (const DistinctOp& distinct : distinct_ops(plan)) {
        const std::string name =
            model + "." + distinct.name + ".b" + std::to_string(images) + "." + device.type;
        if (distinct.op->kind != OpKind::conv || name.find(filter) == std::string::npos || late())
          continue;
        device.gpu->set_tuning("", false);
        const Choice guess = choice_of(device, plan, *distinct.op);
        device.gpu->set_tuning(table, true);
        const Choice best = choice_of(device, plan, *distinct.op);
        table = device.gpu->tuning();
        model_total += distinct.count * guess.seconds;
        tuned_total += distinct.count * best.seconds;
        products++;
        if (best.kernel != guess.kernel) changed++;
        std::printf("%-64s %10.4f %10.4f  %s%s\n", name.c_str(), 1e3 * guess.seconds,
                    1e3 * best.seconds, guess.kernel.c_str(),
                    best.kernel == guess.kernel ? "" : (" -> " + best.kernel).c_str());
        std::fflush(stdout);
        report.add(JsonObject()
                       .add("name", name)
                       .add("count", distinct.count)
                       .add("model", guess.kernel)
                       .add("model_ms", 1e3 * guess.seconds)
                       .add("tuned", best.kernel)
                       .add("tuned_ms", 1e3 * best.seconds));
      }
    }
  }
  report.summary(JsonObject()
                     .add("model_ms", 1e3 * model_total)
                     .add("tuned_ms", 1e3 * tuned_total)
                     .add("complete", !late()));
  std::printf("%d of %d products have another tile; all of them %.3f ms, tuned %.3f ms%s\n",
              changed, products, 1e3 * model_total, 1e3 * tuned_total,
              late() ? "; time was up" : "");
}

}  // namespace deepcache::bench
