#include <algorithm>
#include <cmath>

#include "models.h"
#include "time.h"

namespace deepcache::bench {
namespace {

// More than the caches of the devices hold: an op's weights come from memory, as in a model.
constexpr double kWeightBytes = 64e6;
constexpr int kFewest = 8, kMost = 32;

}  // namespace

void time_ops(Timings& timings, const std::string& model) {
  const UnetConfig config = UnetConfig::parse(model_part(model, "unet"));
  const int side = timings.options().side ? timings.options().side : config.sample_height;
  const size_t bytes = timings.device().activation_bytes();
  for (const int images : timings.options().batches) {
    const Plan plan = plan_unet(config, {2 * images, side, side, 77, 1}, {0});
    for (const DistinctOp& distinct : distinct_ops(plan)) {
      const std::string name = timings.name("op." + model + "." + distinct.name, images);
      if (!timings.wants(name)) continue;
      const OpCost cost = cost_of(plan, *distinct.op, bytes);
      // The CPU's ops are long, and its clock is read around all of them.
      const bool is_measured = timings.options().budget > 0;
      int copies = 1;
      if (timings.device().gpu && is_measured)
        copies = int(std::clamp(std::ceil(kWeightBytes / std::max(cost.weight_bytes, 1.0)),
                                double(kFewest), double(kMost)));
      RandomProgram program(isolate(plan, *distinct.op, copies), timings.device());
      const std::vector<std::string> kernels = program.kernels();
      JsonObject extra;
      extra.add("count", distinct.count);
      if (!kernels.empty()) extra.add("kernel", kernels[0]);
      timings.measure_row(name, cost, copies, program, extra);
    }
  }
}

}  // namespace deepcache::bench
