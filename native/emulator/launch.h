#pragma once

#include <cstddef>
#include <functional>
#include <tuple>
#include <utility>

#include "launch_log.h"
#include "types.h"

namespace deepcache::emulator {

extern dim3 grid_size, block_size;
extern unsigned cluster_size;

// Runs a grid to its end: clusters of `cluster` blocks (neighbours in x) in random order,
// `options.resident` blocks interleaved. Throws std::runtime_error with what went wrong.
void run_grid(dim3 grid, dim3 block, size_t shared_bytes, unsigned cluster,
              std::function<void()> thread);

template <typename... P, typename... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, unsigned cluster,
            A&&... arguments) {
  log_launch(reinterpret_cast<const void*>(kernel), block, shared_bytes, cluster);
  std::tuple<std::decay_t<P>...> copies(std::forward<A>(arguments)...);
  run_grid(grid, block, shared_bytes, cluster, [kernel, &copies] { std::apply(kernel, copies); });
}

}  // namespace deepcache::emulator
