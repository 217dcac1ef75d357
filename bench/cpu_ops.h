#pragma once

#include <string>

namespace deepcache::bench {

// Times the CPU backend's ops at the shapes of Stable Diffusion 1.5 (64x64 latents, batch 2) and of
// its autoencoder, and prints each one's share of the machine's fp32 peak. `filter`: part of the
// names; `threads` 0: as the backend chooses.
void bench_cpu_ops(const std::string& filter, int threads);

}  // namespace deepcache::bench
