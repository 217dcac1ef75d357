#pragma once

// What the lanes of a warp do together. The last lane to arrive does it for all of them.

#include <cstdint>
#include <cstring>

#include "scheduler.h"

namespace deepcache::emulator {

// `execute` gets the arguments of all lanes. `orders`: it is a barrier among them.
void warp_op(const char* name, uint32_t mask, void* argument, const char* file, int line,
             void (*execute)(void** arguments, uint32_t mask), bool orders = false);

struct Shuffle {
  uint64_t value, result;
  int source;  // lane, or -1 for the own value
};
void execute_shuffle(void** arguments, uint32_t mask);

template <typename T>
T shuffle(const char* name, uint32_t mask, T value, int source, const char* file, int line) {
  static_assert(sizeof(T) <= 8);
  Shuffle argument{0, 0, source};
  std::memcpy(&argument.value, &value, sizeof value);
  warp_op(name, mask, &argument, file, line, execute_shuffle);
  std::memcpy(&value, &argument.result, sizeof value);
  return value;
}

uint32_t ballot(uint32_t mask, bool vote, const char* file, int line);

}  // namespace deepcache::emulator
