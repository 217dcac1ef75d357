#pragma once

// mbarriers: barriers in shared memory that count arrivals and the bytes of asynchronous copies.

#include <cstdint>

namespace deepcache::emulator {

struct Block;

// A phase ends when `count` threads have arrived and all announced bytes have come.
void mbarrier_init(void* barrier, int count, const char* file, int line);
// Without it the barriers that the thread has initialised must not be given to TMA.
void mbarrier_init_fence();
// `bytes` more are going to come in this phase.
void mbarrier_arrive(void* barrier, int bytes, const char* file, int line);
// At the barrier that lies in the same place in block `rank` of the cluster.
void mbarrier_arrive_in_cluster(void* barrier, int rank, const char* file, int line);
// Until the phase of this parity has ended. cluster: what other blocks stored is seen after it.
void mbarrier_wait(void* barrier, int parity, bool cluster, const char* file, int line);

// When a block ends: other blocks' arrivals at its mbarriers must have come before, by what orders
// them (a wait for the phase, or a barrier of the cluster), not by chance.
void require_no_open_arrivals(const Block& block);

// For copies: fails unless it is a barrier that they can count for; counts a copy's bytes.
void mbarrier_require_fenced(Block& block, void* barrier, const char* file, int line);
void mbarrier_complete(Block& block, void* barrier, int64_t bytes, const char* file, int line);

}  // namespace deepcache::emulator
