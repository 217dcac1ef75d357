#pragma once

// Where values that live for a while lie in one block of memory.

#include <cstddef>
#include <vector>

namespace deepcache {

struct ArenaValue {
  size_t count = 0;           // values
  int first = -1, last = -1;  // ops that write it first and read it last; -1: it has no place
  // The value whose place it takes over, from its beginning on; -1: none. It is not the larger one.
  int over = -1;
};

struct Arena {
  std::vector<size_t> offsets;  // in values
  size_t count = 0;             // values in all
};

Arena place(const std::vector<ArenaValue>& values);

}  // namespace deepcache
