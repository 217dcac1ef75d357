#pragma once

// How ops that are bound by memory share their rows among threads.

#include <algorithm>

#include "cpu/op.h"

namespace deepcache::cpu {

constexpr size_t kItemFloats = 8 * 1024;  // about what an item should read

// Calls body(first, count) for parts of `count` rows of `width` floats.
template <typename Body>
void for_rows(const RunContext& context, size_t rows, size_t width, const Body& body) {
  const size_t each = std::max<size_t>(1, kItemFloats / std::max<size_t>(1, width));
  context.pool.run(
      int((rows + each - 1) / each),
      [&](int index, int) { body(index * each, std::min(each, rows - index * each)); },
      context.cancel);
}

}  // namespace deepcache::cpu
