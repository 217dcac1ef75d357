#pragma once

// The tensor memory accelerator: asynchronous copies of boxes between tensors in global memory and
// shared memory (tensor_map.h).

#include <array>
#include <vector>

#include "types.h"

namespace deepcache::emulator {

// Coordinates are innermost first. The target holds NaN from the issue until the copy is done.
void tma_load(void* to, const CUtensorMap* map, void* barrier, std::vector<int> coordinates,
              const char* file, int line);
// The same to the blocks of the cluster whose bits `blocks` has, for the barrier of each.
void tma_load_to_cluster(void* to, const CUtensorMap* map, void* barrier, unsigned blocks,
                         std::vector<int> coordinates, const char* file, int line);
void tma_load_im2col(void* to, const CUtensorMap* map, void* barrier, std::vector<int> coordinates,
                     std::array<int, 2> offsets, const char* file, int line);
// Reads what the async proxy sees (async_proxy.h), at any time until it is waited for.
void tma_store(const CUtensorMap* map, const void* from, std::vector<int> coordinates,
               const char* file, int line);
void tma_store_commit();
// Until the thread's committed stores have read shared memory; `written`: until they are done.
void tma_store_wait(bool written);

}  // namespace deepcache::emulator
