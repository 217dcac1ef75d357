#pragma once

#include <string>
#include <vector>

namespace deepcache::bench {

struct TypesOptions {
  std::vector<std::string> parts;  // calls, decode, ops
  std::vector<std::string> models;
  int side = 0;  // latents; 0: the model's own
  int rounds = 5;
  int threads = 0;
  std::string filter, json;
};

// fp32 and bf16 on the CPU in turns, so that whatever else the machine does meets both alike: wall
// and processor time of a guided call, full and retrieved, of a decoded picture, or of each op.
void compare_types(const TypesOptions& options);

}  // namespace deepcache::bench
