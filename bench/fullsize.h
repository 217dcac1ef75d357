#pragma once

#include <string>

#include "../native/runtime/backend.h"

namespace deepcache::bench {

// Runs a real architecture on synthetic weights and holds its outputs against reference outputs of
// the same (tensors "b2_32x32.full_t601", "b2_32x32.shallow_b0_t601_from641", ...). Prints a line
// for each and returns how many differ by more than `tolerance` in relative L2.
int check_fullsize(const std::string& config_file, const std::string& outputs_file,
                   double tolerance, std::shared_ptr<Backend> backend);

// Writes outputs of that backend for it: a full call's of two samples, and a retrieve call's.
void write_fullsize(const std::string& config_file, const std::string& outputs_file, int side,
                    std::shared_ptr<Backend> backend);

}  // namespace deepcache::bench
