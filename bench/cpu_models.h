#pragma once

#include <string>

namespace deepcache::bench {

// Times Stable Diffusion 1.5 on the CPU backend (synthetic weights): a full forward pass and a
// retrieve step of branch 0 at 64x64 latents with batch 2, and the decoding of a 512x512 image;
// each with its share of the fp32 peak that the same process measures before and after. Prints a
// table, and writes JSON when `json_file` is not empty. `filter`: part of the names.
void bench_cpu_models(int threads, int repeat, const std::string& filter,
                      const std::string& json_file);

}  // namespace deepcache::bench
