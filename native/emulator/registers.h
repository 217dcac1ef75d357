#pragma once

namespace deepcache::emulator {

struct Block;

// A multiprocessor's registers, and the most that a thread may have.
constexpr int kRegisters = 65536, kMostRegisters = 256;

// setmaxnreg: gives registers of the thread to the block's pool, or takes some from it, which waits
// until they are there. A block starts with as many for each thread as its number of threads
// allows, and none in the pool.
void change_registers(int count, bool grow, const char* file, int line);

// At a block's end: fails when a change was not made by all four warps of its warpgroup.
void require_whole_changes(const Block& block);

}  // namespace deepcache::emulator
