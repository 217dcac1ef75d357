#include "chip.h"

namespace deepcache::emulator {
namespace {

// Multiprocessors, and how many a GPC has at most: NVIDIA's architecture papers on Hopper ("H100
// Tensor Core GPU Architecture": 132 on SXM boards, 114 on PCIe ones, GPCs of up to 18), Ampere
// ("A100 Tensor Core GPU Architecture": 108), Ada ("Ada GPU Architecture", RTX 4090: 128; the
// L40S' data sheet: 18,176 CUDA cores, 128 in each) and Blackwell ("RTX Blackwell GPU
// Architecture", RTX 5090: 170, GPCs of up to 16). The H200 is an H100 SXM with other memory (its
// data sheet); therefore the H100 here is the one on PCIe boards.
//
// Threads, blocks and shared memory: CUDA C++ programming guide, compute capabilities, table
// "technical specifications per compute capability".
constexpr Chip kChips[] = {
    {"H200", 9, 0, "90a", 132, 18, 2048, 32, 228 << 10, 227 << 10},
    {"H100 PCIe", 9, 0, "90a", 114, 18, 2048, 32, 228 << 10, 227 << 10},
    {"A100", 8, 0, "80", 108, 0, 2048, 32, 164 << 10, 163 << 10},
    {"RTX 4090", 8, 9, "89", 128, 0, 1536, 24, 100 << 10, 99 << 10},
    {"RTX 5090", 12, 0, "120", 170, 16, 1536, 24, 100 << 10, 99 << 10},
    {"L40S", 8, 9, "89", 142, 0, 1536, 24, 100 << 10, 99 << 10},
};

}  // namespace

const Chip* find_chip(const std::string& name) {
  for (const Chip& chip : kChips)
    if (name == chip.name) return &chip;
  return nullptr;
}

const Chip* chip_at(size_t index) { return index < std::size(kChips) ? &kChips[index] : nullptr; }

}  // namespace deepcache::emulator
