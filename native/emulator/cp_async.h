#pragma once

#include <cstddef>

namespace deepcache::emulator {

// Copies `valid` of `bytes` from global to shared memory and zeros behind them. The target holds
// NaN until the copy is done: at issue, at random, or when the thread waits for its group.
void cp_async(void* to, const void* from, int bytes, int valid, const char* file, int line);
void cp_async_commit();
// Until at most `keep` groups are in flight.
void cp_async_wait(size_t keep);

}  // namespace deepcache::emulator
