#pragma once

// The other blocks of a cluster, and stores to their shared memory (st.async).

#include <cstdint>

namespace deepcache::emulator {

struct Block;

// Block `rank` of the running thread's cluster, for `what` to access. All blocks must have started
// (the thread has waited for the cluster's barrier before), and that one must not have ended.
Block& cluster_block(int rank, const char* what, const char* file, int line);

// Where the shared memory of another block of the cluster has what is at `own` in the running
// thread's block.
char* same_place(const Block& block, void* own);

// Stores eight bytes where `to` is in block `rank` of the cluster, later; they count for the
// barrier there.
void store_to_cluster(void* to, int rank, uint64_t value, void* barrier, const char* file,
                      int line);

}  // namespace deepcache::emulator
