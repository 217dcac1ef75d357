#pragma once

#include <cstddef>
#include <functional>

namespace deepcache {

// Calls task(index, worker) for every index below `count`, on up to `workers` threads (0: one for
// each CPU) of which the caller is worker 0. After an exception no further index is begun, and
// the first one is rethrown. For work on files; backends have thread pools of their own.
void parallel_for(size_t count, int workers,
                  const std::function<void(size_t index, int worker)>& task);

}  // namespace deepcache
