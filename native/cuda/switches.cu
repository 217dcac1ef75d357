#include <cstdlib>
#include <sstream>

#include "cuda/switches.h"

namespace deepcache::cuda {
namespace {

struct Feature {
  const char* name;
  bool gpu::Properties::*flag;
};
constexpr Feature kFeatures[] = {
    {"hopper", &gpu::Properties::hopper},      // TMA and wgmma; sm_80's kernels instead
    {"overlap", &gpu::Properties::overlap},    // grids that start before the one before them ends
    {"clusters", &gpu::Properties::clusters},  // of more than one block
    {"once", &gpu::Properties::once},          // group norms that read their input once
    {"folds", &gpu::Properties::folds},        // layer norms that the product behind them does
    // Hopper's blocks that go from one part of the work to the next.
    {"persistent", &gpu::Properties::persistent},
    // Attention whose transposed operand has other than whole 64s of columns.
    {"odd_v", &gpu::Properties::odd_transposed_v},
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

template <typename Body>
void for_each_name(const std::string& list, const Body& body) {
  std::istringstream names(list);
  for (std::string name; std::getline(names, name, ',');)
    if (!name.empty()) body(name);
}

const Feature& find_feature(const std::string& name) {
  std::string known;
  for (const Feature& feature : kFeatures) {
    if (name == feature.name) return feature;
    known += (known.empty() ? "" : ", ") + std::string(feature.name);
  }
  throw Error(ErrorCode::kInvalidArgument,
              "DEEPCACHE_CUDA_DISABLE names '" + name + "', but what it can disable is " + known);
}

}  // namespace

Switches Switches::from_environment() {
  Switches switches;
  switches.disabled = variable("DEEPCACHE_CUDA_DISABLE");
  for_each_name(switches.disabled, find_feature);
  const std::string synchronous = variable("DEEPCACHE_CUDA_SYNC");
  switches.synchronous = !synchronous.empty() && synchronous != "0";
  return switches;
}

bool Switches::allows(const std::string& feature) const {
  bool allowed = true;
  for_each_name(disabled, [&](const std::string& name) { allowed &= name != feature; });
  return allowed;
}

void Switches::apply(gpu::Properties& properties) const {
  for_each_name(disabled,
                [&](const std::string& name) { properties.*find_feature(name).flag = false; });
}

std::string features_in_use(const gpu::Properties& properties) {
  std::string used;
  for (const Feature& feature : kFeatures)
    if (properties.*feature.flag) used += (used.empty() ? "" : ", ") + std::string(feature.name);
  return used;
}

}  // namespace deepcache::cuda
