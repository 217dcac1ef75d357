#pragma once

namespace deepcache::emulator {

// setmaxnreg: gives registers of the thread to the block's pool, or takes some from it, which waits
// until they are there. A block starts with the most that its number of threads allows.
void change_registers(int count, bool grow, const char* file, int line);

}  // namespace deepcache::emulator
