// launches --gpu NAME --kernels FILE [--models NAME,NAME] [--batches N,N] [--plant N]: every pass of
// the published models (passes.h) on a GPU that is not there. Prints the kernels that were chosen,
// what is wrong, and "N passed, N failed" passes; exit code 1 with any failure. `launches --list`
// names the GPUs, `launches --rules` tries the rules. --plant switches on a planted bug (gpu.h).

#include <cstdio>
#include <cstring>
#include <sstream>

#include "emulator/options.h"
#include "passes.h"
#include "rules.h"

namespace deepcache::launches {
namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  std::stringstream in(list);
  for (std::string part; std::getline(in, part, ',');) out.push_back(part);
  return out;
}

struct Options {
  std::string gpu, kernels;
  std::vector<std::string> models = published_models();
  std::vector<int> batches = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  int planted_bug = 0;
};

Options parse(int argc, char** argv) {
  Options out;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--gpu") {
      out.gpu = value;
    } else if (name == "--kernels") {
      out.kernels = value;
    } else if (name == "--models") {
      out.models = split(value);
    } else if (name == "--batches") {
      out.batches.clear();
      for (const std::string& batch : split(value)) out.batches.push_back(std::stoi(batch));
    } else if (name == "--plant") {
      out.planted_bug = std::stoi(value);
    } else {
      throw Error(ErrorCode::kInvalidArgument, "there is no option " + name);
    }
  }
  return out;
}

// How many ops of a model each kernel served, in all its passes.
class KernelTable {
 public:
  void add(const std::string& model, const std::map<std::string, int>& kernels) {
    models_.push_back(model);
    for (const auto& [kernel, count] : kernels) counts_[kernel][model] += count;
  }
  void print(const char* head) const {
    std::printf("%-30s", head);
    for (const std::string& model : models_) std::printf(" %12s", model.c_str());
    std::printf("\n");
    for (const auto& [kernel, counts] : counts_) {
      std::printf("%-30s", kernel.c_str());
      for (const std::string& model : models_) {
        const auto found = counts.find(model);
        std::printf(" %12s", found == counts.end() ? "" : std::to_string(found->second).c_str());
      }
      std::printf("\n");
    }
  }

 private:
  std::vector<std::string> models_;
  std::map<std::string, std::map<std::string, int>> counts_;
};

// Products of e4m3: compute capability 8.9 and newer.
bool has_fp8(const emulator::Chip& chip) { return 10 * chip.major + chip.minor >= 89; }

int run(const Options& options) {
  const emulator::Chip* chip = emulator::find_chip(options.gpu);
  if (!chip) throw Error(ErrorCode::kInvalidArgument, "there is no GPU \"" + options.gpu + "\"");
  const Kernels kernels(options.kernels);
  DryGpu gpu(*chip, kernels);
  emulator::options.planted_bug = options.planted_bug;
  KernelTable table;
  for (const std::string& model : options.models) {
    const auto backend = std::make_shared<DryBackend>(gpu, ActivationType::fp16);
    check_model(gpu, backend, model, options.batches, true);
    table.add(model, backend->take_kernels());
  }
  // Sizes do not depend on the type, so that other kernels than the usual ones are launched in a few
  // only: bf16's, and those of a part of a GPU that lacks what Hopper's kernels ask it for (gpu.h).
  const std::vector<int> few = {1, 4};
  for (const bool whole : {true, false})
    for (const ActivationType type : {ActivationType::fp16, ActivationType::bf16}) {
      if (whole && type == ActivationType::fp16) continue;
      emulator::options.odd_transposed_columns = whole;
      emulator::options.largest_cluster = whole ? 8 : 4;
      for (const std::string& model : options.models)
        check_model(gpu, std::make_shared<DryBackend>(gpu, type), model, few, false);
    }
  table.print(chip->name);
  if (has_fp8(*chip)) {
    emulator::options.odd_transposed_columns = true;
    emulator::options.largest_cluster = 8;
    KernelTable of_fp8;
    for (const std::string& model : options.models) {
      if (model != "sd15" && model != "sdxl") continue;
      const auto backend = std::make_shared<DryBackend>(gpu, ActivationType::fp16, true);
      check_model(gpu, backend, model, options.batches, false);
      check_model(gpu, backend, model, {1}, true);
      of_fp8.add(model, backend->take_kernels());
    }
    of_fp8.print("fp8");
  }
  std::printf("%s: %zu launches, %zu of them different\n", chip->name, gpu.launches(),
              gpu.different());
  for (const Failure& failure : gpu.failures())
    std::printf("FAILED %s: %s%s%s (%s%s)\n", chip->name, failure.what.c_str(),
                failure.op.empty() ? "" : "; ", failure.op.c_str(), failure.first_pass.c_str(),
                failure.passes > 1
                    ? (" and " + std::to_string(failure.passes - 1) + " more").c_str()
                    : "");
  std::printf("%d passed, %d failed\n", gpu.passed(), gpu.failed());
  return gpu.failed() > 0 || gpu.passed() == 0;
}

}  // namespace
}  // namespace deepcache::launches

int main(int argc, char** argv) {
  using namespace deepcache;
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (size_t i = 0; const emulator::Chip* chip = emulator::chip_at(i); i++)
      std::printf("%s\t%s\n", chip->code, chip->name);
    return 0;
  }
  if (argc == 2 && std::strcmp(argv[1], "--rules") == 0) return launches::check_rules();
  try {
    return launches::run(launches::parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "launches: %s\n", error.what());
    return 2;
  }
}
