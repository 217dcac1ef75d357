#include "barriers.h"

#include <algorithm>
#include <cstring>

#include "launch.h"
#include "scheduler.h"
#include "warp.h"

namespace deepcache::emulator {
namespace {

int warps_of(int threads) { return (threads + 31) / 32; }

uint32_t lanes_of_warp() {
  const unsigned lanes = current->block->threads - (current->index & ~31u);
  return lanes < 32 ? (1u << lanes) - 1 : ~0u;
}

// Counts a warp. The last one opens the barrier; who came for the next phase goes on to wait.
void count_warp(Barrier& b) {
  if (++b.arrived != b.expected) return;
  b.arrived = 0;
  b.phase++;
  std::vector<Fiber*> stay;
  for (Fiber* fiber : b.waiting)
    if (b.coming && b.warps[size_t(fiber->index) / 32].lanes)
      stay.push_back(fiber);
    else
      wake(*fiber);
  b.waiting = std::move(stay);
}

// Arrives with the lanes of the warp, and waits until the barrier is open.
void arrive_and_wait(Barrier& b, const char* what, const char* file, int line) {
  const size_t place = size_t(current->index) / 32;
  if (b.warps.size() <= place) b.warps.resize(place + 1);
  ArrivingWarp& warp = b.warps[place];
  if (!warp.lanes) {
    b.coming++;
    warp.file = file;
    warp.line = line;
  } else if (warp.line != line || std::strcmp(warp.file, file)) {
    fail(file, line, "%s: other lanes of the warp wait at %s:%d", what, warp.file, warp.line);
  }
  warp.lanes |= 1u << (current->index & 31);
  const unsigned phase = b.phase;
  release(b.tokens[phase & 1]);
  statistics.barriers++;
  if (warp.lanes == lanes_of_warp()) {
    warp.lanes = 0;
    b.coming--;
    count_warp(b);
  }
  if (b.phase == phase) {
    b.waiting.push_back(current);
    wait(what, file, line);
  } else if (options.seed & 1) {  // the last to arrive need not be the first to go on
    ready.push(*current);
    schedule();
  }
  acquire(b.tokens[phase & 1]);
}

// Of a phase, what its first arrival says.
void expect(Barrier& b, int number, int threads, const char* file, int line) {
  if (b.arrived == 0 && b.coming == 0) {
    b.expected = warps_of(threads);
    b.file = file;
    b.line = line;
    b.thread = current->index;
  } else if (b.expected != warps_of(threads)) {
    fail(file, line, "barrier %d: %d warps expected here, %d by thread %d at %s:%d", number,
         warps_of(threads), b.expected, b.thread, b.file, b.line);
  } else if (number == 0 && (b.line != line || std::strcmp(b.file, file))) {
    fail(file, line, "divergent __syncthreads: thread %d waits at %s:%d", b.thread, b.file, b.line);
  }
}

Barrier& named(int number, int threads, const char* what, const char* file, int line) {
  if (number < 1 || number > 15) fail(file, line, "%s: number %d is not 1 to 15", what, number);
  if (threads < 32 || threads % 32)
    fail(file, line, "%s: %d threads are no multiple of 32", what, threads);
  Barrier& b = current->block->barriers[number];
  expect(b, number, threads, file, line);
  return b;
}

}  // namespace

void sync_threads(const char* file, int line) {
  Internal internal;
  Barrier& b = current->block->barriers[0];
  expect(b, 0, int(current->block->threads), file, line);
  arrive_and_wait(b, "__syncthreads", file, line);
}

void named_barrier(int number, int threads, const char* file, int line) {
  Internal internal;
  arrive_and_wait(named(number, threads, "named_barrier", file, line), "named_barrier", file, line);
}

void named_barrier_arrive(int number, int threads, const char* file, int line) {
  Internal internal;
  release(named(number, threads, "named_barrier_arrive", file, line).tokens[0]);
  release(current->block->barriers[number].tokens[1]);
  struct Arrival {
    int number, threads;
    const char* file;
    int line;
  } arrival{number, threads, file, line};
  warp_op("named_barrier_arrive", ~0u, &arrival, file, line, [](void** arguments, uint32_t) {
    const auto& a = *static_cast<Arrival*>(arguments[current->index & 31]);
    statistics.barriers++;
    count_warp(named(a.number, a.threads, "named_barrier_arrive", a.file, a.line));
  });
}

void cluster_arrive(const char* file, int line) {
  Internal internal;
  if (current->arrived_at_cluster)
    fail(file, line, "barrier.cluster.arrive a second time without a wait");
  Barrier& b = *current->block->cluster;
  b.expected = warps_of(int(current->block->threads)) * int(cluster_size);
  current->arrived_at_cluster = true;
  current->cluster_phase = b.phase;
  release(b.tokens[b.phase & 1]);
  warp_op("barrier.cluster.arrive", ~0u, nullptr, file, line, [](void**, uint32_t) {
    statistics.barriers++;
    count_warp(*current->block->cluster);
  });
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
  acquire(b.tokens[current->cluster_phase & 1]);
  current->arrived_at_cluster = false;
  current->met_cluster = true;
  current->block->met = std::max(current->block->met, current->cluster_phase + 1);
}

}  // namespace deepcache::emulator
