#pragma once

// The order between threads that synchronisation establishes: to ThreadSanitizer, and as far as it
// concerns the grid before (previous_grid.h).

#include "fiber.h"
#include "sanitizers.h"

namespace deepcache::emulator {

// What one thread leaves for others to find: a phase of a barrier.
struct Token {
  bool ordered = false;  // a thread that is behind the grid before has left it
};

inline void release(Token& token) {
  token.ordered |= current->ordered;
  happens_before(&token);
}
inline void acquire(Token& token) {
  happens_after(&token);
  current->ordered |= token.ordered;
}

}  // namespace deepcache::emulator
