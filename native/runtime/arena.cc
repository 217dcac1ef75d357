#include "arena.h"

#include <algorithm>
#include <cstdint>

namespace deepcache {
namespace {

constexpr size_t kAlignment = 64;  // values: a cache line and more, whatever their type

size_t aligned(size_t values) { return (values + kAlignment - 1) / kAlignment * kAlignment; }

// Part of the arena for some time.
struct Placed {
  int first, last;
  size_t begin, end;
};

// Offsets at which a value would meet another one: above begin, below end.
struct Blocked {
  ptrdiff_t begin, end;
};

// The lowest offset among those with the smallest gap that is free for the sizes of `lives`.
size_t find_place(const std::vector<ArenaValue>& lives, const std::vector<Placed>& placed) {
  std::vector<Blocked> blocked;
  for (const Placed& other : placed)
    for (const ArenaValue& life : lives)
      if (other.last >= life.first && other.first <= life.last)
        blocked.push_back(
            {ptrdiff_t(other.begin) - ptrdiff_t(aligned(life.count)), ptrdiff_t(other.end)});
  std::stable_sort(blocked.begin(), blocked.end(),
                   [](const Blocked& a, const Blocked& b) { return a.begin < b.begin; });
  ptrdiff_t offset = 0, best = -1, best_gap = PTRDIFF_MAX;
  for (const Blocked& other : blocked) {
    if (other.begin >= offset && other.begin - offset < best_gap) {
      best = offset;
      best_gap = other.begin - offset;
    }
    offset = std::max(offset, other.end);
  }
  return size_t(best < 0 ? offset : best);
}

}  // namespace

// Largest first, each at the lowest offset that is free while it lives: close to the lower
// bound (the most bytes that live at once) on plans' graphs.
Arena place(const std::vector<ArenaValue>& values) {
  Arena arena;
  arena.offsets.resize(values.size());
  // Values by the one that had their place first.
  std::vector<std::vector<int>> heirs(values.size());
  std::vector<int> order;
  for (int i = 0; i < int(values.size()); ++i) {
    if (values[i].first < 0) continue;
    int root = i;
    while (values[root].over >= 0) root = values[root].over;
    if (root == i) order.push_back(i);
    heirs[root].push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return values[a].count > values[b].count; });
  std::vector<Placed> placed;
  for (const int root : order) {
    std::vector<ArenaValue> lives;
    for (const int i : heirs[root]) lives.push_back(values[i]);
    const size_t offset = find_place(lives, placed);
    for (const int i : heirs[root]) {
      arena.offsets[i] = offset;
      const size_t end = offset + aligned(values[i].count);
      placed.push_back({values[i].first, values[i].last, offset, end});
      arena.count = std::max(arena.count, end);
    }
  }
  return arena;
}

}  // namespace deepcache
