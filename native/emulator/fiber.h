#pragma once

// A CUDA thread as a fiber: a stack, and the state that belongs to one thread alone.

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "options.h"
#include "types.h"

namespace deepcache::emulator {

struct Block;

// A copy of cp.async that has been issued: `valid` bytes of the source, then zeros.
struct CopyOp {
  char* to;
  const char* from;
  int bytes, valid;
};

// The accumulators of wgmma instructions in flight: 64 rows of all threads of a warpgroup.
struct Accumulators {
  int columns;
  std::vector<float> values;
};
// A thread's registers of them.
struct AccumulatorRegisters {
  std::shared_ptr<Accumulators> all;
  int outstanding = 0;  // instructions
};

struct Fiber {
  void* stack_pointer = nullptr;
  char* stack = nullptr;
  void* asan_fake_stack = nullptr;
  void* tsan_fiber = nullptr;
  bool tsan_ended = false;  // its last CUDA thread came to its end
  int tsan_ignores = 0;

  uint3 thread;   // threadIdx
  int index = 0;  // linear, in its block
  int slot = 0;   // which of the resident blocks
  Block* block = nullptr;
  bool done = true;

  // Where it waits, for messages.
  const char* what = "";
  const char* file = "?";
  int line = 0;
  void* mbarrier = nullptr;  // that it waits on
  unsigned parity = 0;

  std::vector<CopyOp> open_copies;              // issued, not committed
  std::deque<std::vector<CopyOp>> copy_groups;  // committed
  uint64_t wgmma_issued = 0, wgmma_done = 0, wgmma_awaited = 0;
  std::deque<uint64_t> wgmma_groups;  // wgmma_issued at each commit
  bool wgmma_fenced = false;
  std::unordered_map<float*, AccumulatorRegisters> accumulators;
  char store_token = 0;
  int registers = 0, register_changes = 0;
  bool ordered = true;  // behind the grid before; see previous_grid.h
  // Of the cluster's barrier: arrived and not yet waited, in which phase; waited at least once.
  bool arrived_at_cluster = false, met_cluster = false;
  unsigned cluster_phase = 0;
};

extern Fiber main_fiber;
extern Fiber* current;

// Prepares the fiber to run fiber_main (scheduler.cc) when it is switched to.
void prepare(Fiber& fiber, void (*entry)());
void switch_to(Fiber& to);

// Runnable threads. It mostly stays within a warp (whose stacks are in the cache) and picks lanes
// at random; now and then, and when a warp has nothing to run, another one.
class ReadyQueue {
 public:
  void reset(size_t warps_per_block, size_t threads_per_block, size_t blocks,
             std::vector<Fiber*>* pool);
  bool empty() const { return list_.empty(); }
  void push(Fiber& fiber);
  // Several lanes of the fiber's warp.
  void push(const Fiber& fiber, uint32_t lanes);
  Fiber& pop();

 private:
  std::vector<uint32_t> lanes_;    // of each warp
  std::vector<int> list_, place_;  // warps with runnable lanes; each warp's place in the list
  std::vector<Fiber*>* pool_ = nullptr;
  size_t warps_per_block_ = 0, threads_per_block_ = 0;
  int last_ = -1;
};

extern ReadyQueue ready;

void seed_random(uint64_t seed);
uint32_t random_number();

}  // namespace deepcache::emulator
