#pragma once

// What the CUDA documentation asks of a launch, on a given GPU.

#include <string>
#include <vector>

#include "emulator/dry_run.h"
#include "kernels.h"

namespace deepcache::launches {

// Everything that is wrong with it, in words.
std::vector<std::string> broken_rules(const emulator::Launch& launch, const Kernel& kernel,
                                      const emulator::Chip& chip);

// Blocks of such a launch that a multiprocessor holds at once.
int blocks_of_multiprocessor(const emulator::Launch& launch, const Kernel& kernel,
                             const emulator::Chip& chip);

// Tries each rule (rules_check.cc), prints "N passed, N failed" and returns an exit code.
int check_rules();

}  // namespace deepcache::launches
