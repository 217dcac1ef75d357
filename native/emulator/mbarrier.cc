#include "mbarrier.h"

#include "cluster.h"
#include "scheduler.h"
#include "shared_memory.h"

namespace deepcache::emulator {
namespace {

// What an mbarrier's 8 bytes hold, to see that nothing else is stored there.
constexpr uint64_t kMagic = 0x6d62617272696572;
constexpr int64_t kMostBytes = (1 << 20) - 1;

Mbarrier& find(Block& block, void* barrier, const char* file, int line) {
  const auto found = block.mbarriers.find(barrier);
  const long offset = long(static_cast<char*>(barrier) - block.shared);
  if (found == block.mbarriers.end())
    fail(file, line, "mbarrier at offset %ld was never initialised", offset);
  if (*static_cast<uint64_t*>(barrier) != kMagic)
    fail(file, line, "mbarrier at offset %ld was overwritten by an ordinary store", offset);
  return found->second;
}

void end_phase_if_complete(Mbarrier& m, const char* file, int line) {
  if (m.pending < 0)
    fail(file, line, "mbarrier: more arrivals in one phase than the %d it was initialised with",
         m.expected);
  if (m.bytes > kMostBytes || m.bytes < -kMostBytes)
    fail(file, line, "mbarrier: more bytes in one phase than it can count (%ld)", long(m.bytes));
  if (m.pending || m.bytes) return;
  m.phase++;
  m.pending = m.expected;
  for (Fiber* fiber : m.waiting) wake(*fiber);
  m.waiting.clear();
}

void arrive(Mbarrier& m, int bytes, const char* file, int line) {
  release(m.tokens[m.phase & 1]);
  m.bytes += bytes;
  m.pending--;
  end_phase_if_complete(m, file, line);
}

}  // namespace

void mbarrier_init(void* barrier, int count, const char* file, int line) {
  Internal internal;
  require_shared(barrier, 8, 8, "mbarrier_init", file, line);
  if (count < 1 || count >= 1 << 20) fail(file, line, "mbarrier_init: count %d", count);
  *static_cast<uint64_t*>(barrier) = kMagic;
  Mbarrier m;
  m.expected = m.pending = count;
  m.initialiser = current;
  current->block->mbarriers[barrier] = m;
}

void mbarrier_init_fence() {
  Internal internal;
  for (auto& [address, m] : current->block->mbarriers)
    if (m.initialiser == current) m.fenced = true;
}

void mbarrier_arrive(void* barrier, int bytes, const char* file, int line) {
  Internal internal;
  arrive(find(*current->block, barrier, file, line), bytes, file, line);
}

void mbarrier_arrive_in_cluster(void* barrier, int rank, const char* file, int line) {
  Internal internal;
  Block& peer = cluster_block(rank, "mbarrier.arrive", file, line);
  Mbarrier& m = find(peer, same_place(peer, barrier), file, line);
  if (&peer != current->block) {
    m.remote = true;
    // The first barrier of the cluster that the thread has yet to arrive at.
    const unsigned next =
        current->arrived_at_cluster ? current->cluster_phase + 1 : current->block->cluster->phase;
    m.arrival = {true, m.phase, next + 1, file, line};
  }
  arrive(m, 0, file, line);
}

void mbarrier_wait(void* barrier, int parity, bool cluster, const char* file, int line) {
  Internal internal;
  Mbarrier& m = find(*current->block, barrier, file, line);
  while (int(m.phase & 1) == parity) {
    m.waiting.push_back(current);
    current->mbarrier = barrier;
    current->parity = unsigned(parity);
    wait("mbarrier_wait", file, line);
    current->mbarrier = nullptr;
  }
  if (m.remote && !cluster)
    fail(file, line,
         "mbarrier_wait: what other blocks did is seen only by a wait of cluster scope");
  acquire(m.tokens[parity]);
  if (m.arrival.phase != m.phase) m.arrival.open = false;
}

void require_no_open_arrivals(const Block& block) {
  for (const auto& [address, m] : block.mbarriers)
    if (m.arrival.open && block.met < m.arrival.met)
      fail(m.arrival.file, m.arrival.line,
           "mbarrier.arrive: only by chance it comes before the other block of the cluster has "
           "ended");
}

void mbarrier_require_fenced(Block& block, void* barrier, const char* file, int line) {
  if (!find(block, barrier, file, line).fenced)
    fail(file, line, "a copy's mbarrier: its initialisation was not fenced");
}

void mbarrier_complete(Block& block, void* barrier, int64_t bytes, const char* file, int line) {
  Internal internal;
  Mbarrier& m = find(block, barrier, file, line);
  happens_before(&m.tokens[m.phase & 1]);
  m.bytes -= bytes;
  end_phase_if_complete(m, file, line);
}

}  // namespace deepcache::emulator
