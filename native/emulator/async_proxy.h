#pragma once

// TMA and wgmma access shared memory through another path than loads and stores (the async proxy):
// it sees an ordinary store only after the storing thread's fence. Block::shadow is shared memory
// as that path sees it.

#include <cstddef>

namespace deepcache::emulator {

struct Block;

// fence.proxy.async. It publishes the stores of the whole block, not of the caller alone: a partial
// check. Pages that TMA has loaded are left out, since rings of tiles are large and every thread
// fences.
void fence_async_proxy();

// What TMA writes is in both views.
void write_both(Block& block, char* to, const char* from, size_t bytes);
void fill_both(Block& block, char* to, int byte, size_t bytes);
// Of what TMA loads: fences leave it out from here on ...
void mark_loaded(Block& block, const char* data, size_t bytes);
// ... but for what it stores as well; that is published once here.
void mark_stored(Block& block, const char* data, size_t bytes);

}  // namespace deepcache::emulator
