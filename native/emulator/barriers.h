#pragma once

namespace deepcache::emulator {

// Arrives at one of the block's 16 barriers, which opens when `threads` have; `sync` waits for
// that.
void barrier(int number, int threads, bool sync, const char* what, const char* file, int line);

// barrier.cluster.arrive and wait: all threads of the cluster arrive, and wait for the others
// later.
void cluster_arrive(const char* file, int line);
void cluster_wait(const char* file, int line);

// A grid runs after the one before it has ended, but some thread of each block must call this.
void wait_for_previous_grid();

}  // namespace deepcache::emulator
