#include "launch.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>

#include "async_proxy.h"
#include "memory.h"
#include "previous_grid.h"
#include "registers.h"
#include "scheduler.h"

namespace deepcache::emulator {

dim3 grid_size, block_size;
std::mutex grid_mutex;
unsigned cluster_size = 1;

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kArena =
    256 << 10;  // a slot's shared memory: static below dynamic, which ends at a guard page

sigjmp_buf fault_return;

// A kernel's access outside of every buffer ends the launch, not the process.
[[maybe_unused]] void on_fault(int number, siginfo_t* info, void*) {
  if (current == &main_fiber) {  // not a kernel's: a bug of the host program
    ::signal(number, SIG_DFL);
    return;
  }
  char text[320];
  const uint3 b = current->block->index;
  const char* const what = number == SIGILL           ? "a misaligned access"
                           : is_closed(info->si_addr) ? "access before the thread has waited for "
                                                        "the grid before, or met one that has"
                                                      : "access outside every buffer";
  std::snprintf(text, sizeof text,
                "block (%u,%u,%u) thread %d: %s, address %p (after its last synchronisation at "
                "%s:%d)",
                b.x, b.y, b.z, current->index, what, info->si_addr, current->file, current->line);
  failure = text;
  current->done = true;
  siglongjmp(fault_return, 1);
}

void install_fault_handler() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  thread_local bool installed = false;
  if (installed) return;
  installed = true;
  thread_local char stack[64 << 10];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
  sigaction(SIGILL, &action, nullptr);  // the trap of -fsanitize=alignment
#endif
}

struct Slot {
  char* shared;
  char* shadow;
};

std::vector<Slot>& slots() {
  static std::vector<Slot> all;
  return all;
}

void add_slot() {
  char* map = static_cast<char*>(mmap(nullptr, kArena + 2 * kPage, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  mprotect(map, kPage, PROT_NONE);
  mprotect(map + kPage + kArena, kPage, PROT_NONE);
  slots().push_back({map + kPage, static_cast<char*>(std::aligned_alloc(kPage, kArena))});
}

void begin_block(Block& block, size_t slot, uint32_t number, size_t threads, const LaunchSize& size,
                 Barrier& cluster) {
  const Slot& memory = slots()[slot];
  block = Block();
  block.peers = &block - slot % cluster_size;
  block.cluster = &cluster;
  block.slot_token = memory.shared;
  block.index = {number % grid_size.x, number / grid_size.x % grid_size.y,
                 number / grid_size.x / grid_size.y};
  block.threads = block.live = unsigned(threads);
  // The base is aligned to 1 KiB as on the chip, so the end is at most that far from the guard
  // page.
  block.shared_bytes = size.shared_bytes;
  block.shared_limit = size.shared_limit;
  block.shared = memory.shared + kArena - (size.shared_bytes + 1023) / 1024 * 1024;
  block.shadow = memory.shadow + (block.shared - memory.shared);
  std::memset(memory.shared, 0xff, kArena);
  std::memset(memory.shadow, 0xff, kArena);
  block.warps.resize((threads + 31) / 32);
  block.warpgroups.resize((threads + 127) / 128);
  const int registers = std::min(kMostRegisters, kRegisters / int(threads) / 8 * 8);
  for (size_t t = 0; t < threads; t++) {
    Fiber& fiber = *pool[slot * threads + t];
    fiber.block = &block;
    fiber.index = int(t);
    fiber.slot = int(slot);
    fiber.thread = {unsigned(t % block_size.x), unsigned(t / block_size.x % block_size.y),
                    unsigned(t / block_size.x / block_size.y)};
    prepare(fiber, fiber_main);
    fiber.registers = registers;
    fiber.ordered = !previous_grid_runs;
    block.fibers.push_back(&fiber);
    ready.push(fiber);
    live++;
  }
}

void end_fibers() {
  for (Fiber* fiber : pool) {
#if defined(__SANITIZE_THREAD__)
    if (fiber->block && !fiber->done) {  // stopped by another's failure
      void* me = __tsan_get_current_fiber();
      __tsan_switch_to_fiber(fiber->tsan_fiber, 1);
      for (; fiber->tsan_ignores; fiber->tsan_ignores--) {
        AnnotateIgnoreWritesEnd("", 0);
        AnnotateIgnoreReadsEnd("", 0);
      }
      happens_before(&done_token);
      __tsan_switch_to_fiber(me, 1);
    }
#endif
    fiber->block = nullptr;
    fiber->done = true;
  }
}

// Runs fibers until none is left or one failed.
void schedule_until_idle() {
  if (sigsetjmp(fault_return, 1))
    current = &main_fiber;
  else
    schedule();
}

}  // namespace

void check_launch(const LaunchSize& size) {
  const dim3 &grid = size.grid, &block = size.block;
  const size_t threads = size_t(block.x) * block.y * block.z;
  const size_t total = size_t(grid.x) * grid.y * grid.z;
  if (threads == 0 || threads > 1024 || total == 0 || grid.y > 65535 || grid.z > 65535)
    throw std::runtime_error("launch: grid or block size");
  if (size.cluster > options.largest_cluster)
    throw std::runtime_error("launch: the GPU has no place for such a cluster");
  if (size.cluster == 0 || size.cluster > 8 || grid.x % size.cluster)
    throw std::runtime_error("launch: a cluster has 1 to 8 blocks and divides the grid's x");
  if (size.shared_bytes > size.shared_limit)
    throw std::runtime_error("launch: " + std::to_string(size.shared_bytes) +
                             " bytes of dynamic shared memory, the kernel may have " +
                             std::to_string(size.shared_limit));
}

void run_grid(const LaunchSize& size, std::function<void()> thread) {
  const std::lock_guard lock(grid_mutex);
  happens_before(&launch_token);
  struct After {
    ~After() { happens_after(&done_token); }
  } after;
  Internal internal;
  const dim3 &grid = size.grid, &block = size.block;
  const size_t threads = size_t(block.x) * block.y * block.z;
  const size_t total = size_t(grid.x) * grid.y * grid.z;
  const unsigned cluster = size.cluster;
  grid_size = grid;
  block_size = block;
  cluster_size = cluster;
  body = std::move(thread);
  failure.clear();
  async_ops.clear();
  forget_stored_pages();
  live = 0;
  statistics.launches++;
  seed_random(options.seed);
#if defined(__SANITIZE_THREAD__)
  main_fiber.tsan_fiber = __tsan_get_current_fiber();
#endif
  install_fault_handler();
  if (size.overlaps) begin_overlap();

  std::vector<uint32_t> order(total / cluster);  // of the clusters
  for (size_t i = 0; i < order.size(); i++) order[i] = uint32_t(i);
  for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[random_number() % i]);
  // All blocks of a cluster are resident.
  const size_t resident = (options.resident + cluster - 1) / cluster * cluster;
  std::vector<Block> blocks(std::min<size_t>(resident, total));
  std::vector<Barrier> barriers(blocks.size() / cluster);
  while (pool.size() < blocks.size() * threads) pool.push_back(new Fiber);
  while (slots().size() < blocks.size()) add_slot();
  ready.reset((threads + 31) / 32, threads, blocks.size(), &pool);
  size_t next = 0;
  const auto begin_all = [&] {
    for (size_t slot = 0; slot < blocks.size() && next < total; slot++, next++)
      begin_block(blocks[slot], slot, order[next / cluster] * cluster + uint32_t(next % cluster),
                  threads, size, barriers[slot / cluster]);
  };
  begin_all();
  for (;;) {
    schedule_until_idle();
    if (!failure.empty()) break;
    if (live == 0 && async_ops.empty()) begin_all();
    if (live == 0 && async_ops.empty()) break;
  }
  end_fibers();
  end_overlap();
  body = nullptr;
  if (!failure.empty()) {
    async_ops.clear();
    throw std::runtime_error(failure);
  }
}

}  // namespace deepcache::emulator
