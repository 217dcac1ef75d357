#include "fiber.h"

#include <sys/mman.h>

#include <bit>
#include <utility>

#include "sanitizers.h"

namespace deepcache::emulator {

Fiber main_fiber;
Fiber* current = &main_fiber;
ReadyQueue ready;
#if defined(__SANITIZE_THREAD__)
int* ignore_depth = &main_fiber.tsan_ignores;
#endif

namespace {
uint64_t random_state = 1;
}  // namespace

void seed_random(uint64_t seed) {
  random_state = seed * 0x9E3779B97F4A7C15ull | 1;
  for (int i = 0; i < 4; i++) random_number();
}

uint32_t random_number() {  // xorshift
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return uint32_t(random_state >> 32);
}

#if !defined(__x86_64__)
#error "the emulator's fiber switch is written for x86-64; add one for this processor"
#endif

// Saves the registers that a function must keep, swaps stacks, and returns on the other one.
extern "C" void deepcache_emulator_switch(void** save, void* load);
asm(".type deepcache_emulator_switch,@function\n"
    "deepcache_emulator_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

void prepare(Fiber& fiber, void (*entry)()) {
  if (!fiber.stack)
    fiber.stack = static_cast<char*>(
        mmap(nullptr, options.stack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(fiber.stack, options.stack);
#endif
#if defined(__SANITIZE_THREAD__)
  // To make one is slow; one that was left in the middle of something can't be used again.
  if (!fiber.tsan_ended) {
    if (fiber.tsan_fiber) __tsan_destroy_fiber(fiber.tsan_fiber);
    fiber.tsan_fiber = __tsan_create_fiber(0);
  }
  fiber.tsan_ended = false;
#endif
  void** top = reinterpret_cast<void**>(fiber.stack + options.stack - 64);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  fiber.stack_pointer = top;
  fiber.done = false;
  fiber.file = "?";
  fiber.line = 0;
  fiber.mbarrier = nullptr;
  fiber.arrived_at_cluster = fiber.met_cluster = false;
  fiber.open_copies.clear();
  fiber.copy_groups.clear();
  fiber.wgmma_issued = fiber.wgmma_done = 0;
  fiber.wgmma_groups.clear();
  fiber.wgmma_fenced = false;
  fiber.accumulators.clear();
  fiber.register_changes = 0;
}

EMULATOR_UNTRACED void switch_to(Fiber& to) {
  Fiber& from = *current;
  if (&to == &from) return;
  statistics.switches++;
  current = &to;
#if defined(__SANITIZE_THREAD__)
  ignore_depth = &to.tsan_ignores;
  if (from.done && &from != &main_fiber)
    for (int n = std::exchange(from.tsan_ignores, 0); n; n--) {
      AnnotateIgnoreWritesEnd("", 0);
      AnnotateIgnoreReadsEnd("", 0);
    }
  __tsan_switch_to_fiber(to.tsan_fiber, 1);
#endif
#if defined(__SANITIZE_ADDRESS__)
  const bool ends = from.done && &from != &main_fiber;
  __sanitizer_start_switch_fiber(ends ? nullptr : &from.asan_fake_stack, to.stack, options.stack);
#endif
  deepcache_emulator_switch(&from.stack_pointer, to.stack_pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(current->asan_fake_stack, nullptr, nullptr);
#endif
}

void ReadyQueue::reset(size_t warps_per_block, size_t threads_per_block, size_t blocks,
                       std::vector<Fiber*>* pool) {
  warps_per_block_ = warps_per_block;
  threads_per_block_ = threads_per_block;
  pool_ = pool;
  lanes_.assign(warps_per_block * blocks, 0);
  place_.assign(lanes_.size(), 0);
  list_.clear();
  last_ = -1;
}

void ReadyQueue::push(Fiber& fiber) { push(fiber, 1u << (fiber.index & 31)); }

void ReadyQueue::push(const Fiber& fiber, uint32_t lanes) {
  const int warp = int(fiber.slot * warps_per_block_ + fiber.index / 32);
  if (!lanes_[warp]) {
    place_[warp] = int(list_.size());
    list_.push_back(warp);
  }
  lanes_[warp] |= lanes;
}

Fiber& ReadyQueue::pop() {
  const uint32_t r = random_number();
  int warp = last_;
  if (warp < 0 || !lanes_[warp] || (r & 63) == 0) warp = list_[(r >> 6) % list_.size()];
  last_ = warp;
  const int turn = int(r >> 27);
  const int lane = (std::countr_zero(std::rotr(lanes_[warp], turn)) + turn) & 31;
  lanes_[warp] &= ~(1u << lane);
  if (!lanes_[warp]) {
    const int at = place_[warp];
    list_[at] = list_.back();
    place_[list_[at]] = at;
    list_.pop_back();
  }
  const size_t block = warp / warps_per_block_, inner = warp % warps_per_block_;
  return *(*pool_)[block * threads_per_block_ + inner * 32 + lane];
}

}  // namespace deepcache::emulator
