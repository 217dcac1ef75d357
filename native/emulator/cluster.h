#pragma once

// Stores to the shared memory of other blocks of a cluster (st.async).

#include <cstdint>

namespace deepcache::emulator {

// Stores eight bytes where `to` is in block `rank` of the cluster, later; they count for the
// barrier there. All blocks must have started: the thread has waited for the cluster's barrier
// before.
void store_to_cluster(void* to, int rank, uint64_t value, void* barrier, const char* file,
                      int line);

}  // namespace deepcache::emulator
