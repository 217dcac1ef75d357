#include "time.h"

namespace deepcache::bench {
namespace {

constexpr const char* kTiles[] = {"sm90_128x256",       "sm90_256x160",      "sm90_128x160",
                                  "sm90_128x128",       "sm90_64x160",       "sm90_128x256_pairs",
                                  "sm90_128x160_pairs", "sm90_64x160_pairs", "sm80_128x160",
                                  "sm80_128x128",       "sm80_64x64"};

}  // namespace

void time_tiles(Timings& timings) {
  const int size = timings.options().ceiling;
  cuda::CudaBackend* const gpu = timings.device().gpu;
  if (!gpu) return;
  const std::string width = std::to_string(size), table = gpu->tuning();
  // The product's line in a table of measured tiles: tuning_key() of native/cuda/tuning.h.
  const std::string key = "1x1x" + width + "x" + width + ",1x1/1:" + width + "+0,act0 ";
  for (const std::string tile : kTiles) {
    const std::string name = timings.name("product" + width + "." + tile, 1);
    if (!timings.wants(name)) continue;
    gpu->set_tuning(key + tile + " 1", false);
    RandomProgram program(product_plan(size), timings.device());
    const std::string kernel = program.kernels()[0];
    if (kernel.find(tile.substr(tile.find('_') + 1)) == std::string::npos)
      continue;  // another GPU's
    const OpCost cost =
        cost_of(program.plan(), program.plan().ops()[0], timings.device().activation_bytes());
    timings.measure_row(name, cost, 1, program, JsonObject().add("kernel", kernel));
  }
  gpu->set_tuning(table, false);
}

}  // namespace deepcache::bench
