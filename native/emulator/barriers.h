#pragma once

// A block's 16 barriers and those of clusters. Hardware counts warps, and the instructions are
// "aligned": a warp arrives when all of its lanes have come to the same one.

namespace deepcache::emulator {

// Number 0: all threads of the block.
void sync_threads(const char* file, int line);
// Numbers 1 to 15; opens when as many threads as `threads`, a multiple of 32, have arrived.
void named_barrier(int number, int threads, const char* file, int line);
// Does not wait for the others.
void named_barrier_arrive(int number, int threads, const char* file, int line);

// barrier.cluster.arrive and wait: all threads of the cluster arrive, and wait for the others
// later.
void cluster_arrive(const char* file, int line);
void cluster_wait(const char* file, int line);

}  // namespace deepcache::emulator
