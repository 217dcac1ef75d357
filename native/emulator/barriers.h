#pragma once

namespace deepcache::emulator {

// Arrives at one of the block's 16 barriers, which opens when `threads` have; `sync` waits for
// that.
void barrier(int number, int threads, bool sync, const char* what, const char* file, int line);

// Waits for all threads of the cluster; what they wrote to global memory before is seen after it.
void cluster_barrier(const char* file, int line);

}  // namespace deepcache::emulator
