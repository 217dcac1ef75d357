#include "barriers.h"

#include <cstring>

#include "launch.h"
#include "scheduler.h"

namespace deepcache::emulator {
namespace {

// The last to arrive opens the barrier; `sync` waits until it is open.
void arrive(Barrier& b, bool sync, const char* what, const char* file, int line) {
  const char* token = &b.tokens[b.phase & 1];
  happens_before(token);
  statistics.barriers++;
  if (++b.arrived == b.expected) {
    b.arrived = 0;
    b.phase++;
    for (Fiber* fiber : b.waiting) wake(*fiber);
    b.waiting.clear();
    // With an odd seed the last to arrive need not be the first to go on.
    if (options.seed & 1) {
      ready.push(*current);
      schedule();
    }
  } else if (sync) {
    b.waiting.push_back(current);
    wait(what, file, line);
  }
  if (sync) happens_after(token);
}

}  // namespace

void barrier(int number, int threads, bool sync, const char* what, const char* file, int line) {
  Internal internal;
  Barrier& b = current->block->barriers[number];
  if (b.arrived == 0) {
    b.expected = threads;
    b.file = file;
    b.line = line;
    b.thread = current->index;
  } else if (b.expected != threads) {
    fail(file, line, "barrier %d: %d threads expected here, %d by thread %d at %s:%d", number,
         threads, b.expected, b.thread, b.file, b.line);
  } else if (number == 0 && (b.line != line || std::strcmp(b.file, file))) {
    fail(file, line, "divergent __syncthreads: thread %d waits at %s:%d", b.thread, b.file, b.line);
  }
  arrive(b, sync, what, file, line);
}

void cluster_arrive(const char* file, int line) {
  Internal internal;
  if (current->arrived_at_cluster)
    fail(file, line, "barrier.cluster.arrive a second time without a wait");
  Barrier& b = *current->block->cluster;
  b.expected = int(current->block->threads * cluster_size);
  current->arrived_at_cluster = true;
  current->cluster_phase = b.phase;
  arrive(b, false, "barrier.cluster.arrive", file, line);
}

void cluster_wait(const char* file, int line) {
  Internal internal;
  if (!current->arrived_at_cluster)
    fail(file, line, "barrier.cluster.wait without an arrival before it");
  Barrier& b = *current->block->cluster;
  while (b.phase == current->cluster_phase) {
    b.waiting.push_back(current);
    wait("barrier.cluster.wait", file, line);
  }
  happens_after(&b.tokens[current->cluster_phase & 1]);
  current->arrived_at_cluster = false;
  current->met_cluster = true;
}

void wait_for_previous_grid() {
  Internal internal;
  current->block->waited = true;
}

}  // namespace deepcache::emulator
