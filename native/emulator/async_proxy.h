#pragma once

// TMA and wgmma access shared memory through another path than loads and stores (the async proxy):
// it sees an ordinary store only after the storing thread's fence. Block::shadow is shared memory
// as that path sees it.

#include <cstddef>

namespace deepcache::emulator {

struct Block;

// fence.proxy.async. It publishes the stores of the whole block, not of the caller alone: a partial
// check. Pages that TMA loads into are left out, since rings of tiles are large and every thread
// fences, but for those that it also stores from.
void fence_async_proxy();

// What TMA writes is in both views.
void write_both(Block& block, char* to, const char* from, size_t bytes);
void fill_both(Block& block, char* to, int byte, size_t bytes);
void mark_loaded(Block& block, const char* data, size_t bytes);
// A launch's first store from a page that is loaded into publishes it; fences do from there on.
void mark_stored(Block& block, const char* data, size_t bytes);
// At the start of a launch.
void forget_stored_pages();

}  // namespace deepcache::emulator
