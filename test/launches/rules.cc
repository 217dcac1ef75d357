#include "rules.h"

#include <algorithm>

namespace deepcache::launches {
namespace {

using emulator::Chip;
using emulator::Launch;

constexpr int kWarp = 32, kRegisters = 64 << 10;  // of a multiprocessor, and of a block

// Registers are given to warps in units of 256.
int registers_of_warp(const Kernel& kernel) { return (kernel.registers * kWarp + 255) / 256 * 256; }

int warps_of(const Launch& launch) {
  return int((launch.size.block.x * launch.size.block.y * launch.size.block.z + kWarp - 1) / kWarp);
}

class Rules {
 public:
  Rules(const Launch& launch, const Kernel& kernel, const Chip& chip)
      : launch_(launch), kernel_(kernel), chip_(chip) {}

  std::vector<std::string> check() {
    check_sizes();
    check_shared();
    check_registers();
    check_attributes();
    if (broken_.empty()) check_residency();
    return std::move(broken_);
  }

 private:
  void require(bool met, const std::string& otherwise) {
    if (!met) broken_.push_back(otherwise);
  }
  static std::string text(size_t n) { return std::to_string(n); }

  // CUDA C++ programming guide, technical specifications: grids and blocks.
  void check_sizes() {
    const dim3 &grid = launch_.size.grid, &block = launch_.size.block;
    const uint64_t threads = uint64_t(block.x) * block.y * block.z;
    require(grid.x && grid.y && grid.z, "a grid without blocks");
    require(grid.x <= 0x7fffffff, text(grid.x) + " blocks along x, 2^31 - 1 are possible");
    require(grid.y <= 65535 && grid.z <= 65535,
            text(std::max(grid.y, grid.z)) + " blocks along y or z, 65535 are possible");
    require(threads >= 1 && threads <= emulator::kMostThreads,
            text(threads) + " threads in a block, 1 to 1024 are possible");
    require(block.x <= 1024 && block.y <= 1024 && block.z <= 64,
            "a block is longer than 1024, 1024, 64 threads");
    // 4 KiB up to CUDA 12.0, whatever the GPU.
    require(launch_.parameter_bytes <= 4096,
            text(launch_.parameter_bytes) + " bytes of arguments, 4096 are possible");
  }

  // cuda.h, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: it and the static arrays together must
  // fit what a block may ask for; without it, 48 KiB.
  void check_shared() {
    const size_t both = kernel_.static_bytes + launch_.size.shared_bytes;
    require(launch_.size.shared_limit <= chip_.block_shared_bytes,
            text(launch_.size.shared_limit) + " bytes of shared memory were allowed to the kernel, " +
                text(chip_.block_shared_bytes) + " are possible");
    require(both <= launch_.size.shared_limit,
            text(kernel_.static_bytes) + " bytes of static and " + text(launch_.size.shared_bytes) +
                " of dynamic shared memory, the kernel's launches may have " +
                text(launch_.size.shared_limit));
  }

  void check_registers() {
    const int registers = registers_of_warp(kernel_) * warps_of(launch_);
    require(kernel_.registers <= emulator::kMostThreadRegisters, "more than 255 registers a thread");
    require(registers <= kRegisters,
            text(registers) + " registers in a block, " + text(kRegisters) + " are possible");
  }

  // Clusters and programmatic dependent launch: compute capability 9.0 and newer; clusters of more
  // than 8 blocks need another attribute.
  void check_attributes() {
    const unsigned cluster = launch_.size.cluster;
    require(!launch_.overlaps || chip_.major >= 9, "a launch that overlaps before sm_90");
    require(cluster == 1 || chip_.gpc_multiprocessors > 0, "a cluster on a GPU that has none");
    require(cluster >= 1 && cluster <= unsigned(emulator::kMostCluster),
            "a cluster of " + text(cluster) + " blocks, 1 to 8 are portable");
    require(cluster == 0 || launch_.size.grid.x % cluster == 0,
            "a grid of " + text(launch_.size.grid.x) + " blocks in clusters of " + text(cluster));
  }

  void check_residency() {
    const int blocks = blocks_of_multiprocessor(launch_, kernel_, chip_);
    require(blocks >= 1, "no block fits a multiprocessor");
    require(launch_.size.cluster == 1 ||
                blocks * chip_.gpc_multiprocessors >= int(launch_.size.cluster),
            "no cluster of " + text(launch_.size.cluster) + " blocks fits the multiprocessors of a GPC");
  }

  const Launch& launch_;
  const Kernel& kernel_;
  const Chip& chip_;
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> broken_rules(const Launch& launch, const Kernel& kernel,
                                      const Chip& chip) {
  return Rules(launch, kernel, chip).check();
}

int blocks_of_multiprocessor(const Launch& launch, const Kernel& kernel, const Chip& chip) {
  const int warps = warps_of(launch);
  const size_t shared = kernel.static_bytes + launch.size.shared_bytes + emulator::kSharedOfSystem;
  int blocks = std::min(chip.blocks, chip.threads / kWarp / warps);
  blocks = std::min(blocks, int(chip.shared_bytes / shared));
  if (kernel.registers > 0)
    blocks = std::min(blocks, kRegisters / registers_of_warp(kernel) / warps);
  return blocks;
}

}  // namespace deepcache::launches
