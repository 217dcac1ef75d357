#include "scheduler.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>

#include "mbarrier.h"
#include "memory.h"
#include "registers.h"

namespace deepcache::emulator {

std::vector<AsyncOp> async_ops;
std::vector<Fiber*> pool;
std::function<void()> body;
std::string failure;
int live = 0;
char engine_token, launch_token, done_token;

namespace {

std::string name_of(const Block& block) {
  return "(" + std::to_string(block.index.x) + "," + std::to_string(block.index.y) + "," +
         std::to_string(block.index.z) + ")";
}

// "0-31,64".
std::string ranges(std::vector<int> numbers) {
  std::string out;
  std::sort(numbers.begin(), numbers.end());
  for (size_t i = 0; i < numbers.size();) {
    size_t j = i;
    while (j + 1 < numbers.size() && numbers[j + 1] == numbers[j] + 1) j++;
    out += (out.empty() ? "" : ",") + std::to_string(numbers[i]);
    if (j > i) out += "-" + std::to_string(numbers[j]);
    i = j + 1;
  }
  return out;
}

[[noreturn]] void leave() {
  current->done = true;
  happens_before(&done_token);
  switch_to(main_fiber);
  std::abort();
}

std::string place_of(const Fiber& fiber) {
  std::string place =
      std::string(fiber.what) + " at " + fiber.file + ":" + std::to_string(fiber.line);
  if (!fiber.mbarrier) return place;
  const Mbarrier& m = fiber.block->mbarriers.at(fiber.mbarrier);
  return place + " (offset " + std::to_string((char*)fiber.mbarrier - fiber.block->shared) +
         ", parity " + std::to_string(fiber.parity) + ", phase " + std::to_string(m.phase) + ", " +
         std::to_string(m.pending) + " of " + std::to_string(m.expected) + " arrivals and " +
         std::to_string(m.bytes) + " bytes outstanding)";
}

[[noreturn]] void deadlock() {
  const Block* block = nullptr;
  for (const Fiber* fiber : pool)
    if (!block && fiber->block && !fiber->done) block = fiber->block;
  std::map<std::string, std::vector<int>> waiting;
  std::vector<int> returned;
  for (const Fiber* fiber : block->fibers)
    if (fiber->done)
      returned.push_back(fiber->index);
    else
      waiting[place_of(*fiber)].push_back(fiber->index);
  failure = "hung: no thread of block " + name_of(*block) + " can run.";
  for (const auto& [place, threads] : waiting)
    failure += "\n    threads " + ranges(threads) + " wait in " + place;
  if (!returned.empty()) failure += "\n    threads " + ranges(returned) + " have returned";
  leave();
}

}  // namespace

void fail(const char* file, int line, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  failure = std::string(file) + ":" + std::to_string(line) + ": ";
  if (current != &main_fiber)
    failure +=
        "block " + name_of(*current->block) + " thread " + std::to_string(current->index) + ": ";
  failure += text;
  if (current == &main_fiber) throw std::runtime_error(failure);
  leave();
}

void run_async(size_t index) {
  open_memory();  // who asked for it was allowed to
  AsyncOp op = std::move(async_ops[index]);
  async_ops[index] = std::move(async_ops.back());
  async_ops.pop_back();
  const Engine engine;
  happens_after(&engine_token);
  happens_after(&launch_token);
  op.run();
  happens_before(&done_token);
  happens_before(&op.issuer->store_token);
}

void add_async(AsyncOp op) {
  op.late =
      options.async == Async::late || (options.async == Async::random && random_number() % 2 == 0);
  async_ops.push_back(std::move(op));
  if (options.async == Async::at_issue) run_async(async_ops.size() - 1);
}

namespace {

// The asynchronous work to do next, or -1. While threads can run: now and then something that is
// not late. When none can: loads and products before the rest, since it may be those only that
// threads wait for.
int pick_async() {
  if (async_ops.empty() || (!ready.empty() && random_number() % 16)) return -1;
  std::vector<int> early, awaited;
  for (size_t i = 0; i < async_ops.size(); i++) {
    if (!async_ops[i].late) early.push_back(int(i));
    if (async_ops[i].kind <= AsyncOp::product) awaited.push_back(int(i));
  }
  const auto any = [](const std::vector<int>& ops) { return ops[random_number() % ops.size()]; };
  if (!early.empty()) return any(early);
  if (!ready.empty()) return -1;
  return awaited.empty() ? int(random_number() % async_ops.size()) : any(awaited);
}

}  // namespace

EMULATOR_UNTRACED void schedule() {
  for (;;) {
    const int op = pick_async();
    if (op >= 0) {
      run_async(size_t(op));
      continue;
    }
    if (!ready.empty()) return switch_to(ready.pop());
    if (live == 0) return switch_to(main_fiber);
    deadlock();
  }
}

void wait(const char* what, const char* file, int line) {
  current->what = what;
  current->file = file;
  current->line = line;
  schedule();
}

void wake(Fiber& fiber) { ready.push(fiber); }

void yield() {
  Internal internal;
  ready.push(*current);
  schedule();
}

EMULATOR_UNTRACED void fiber_main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  happens_after(&launch_token);
  happens_after(current->block->slot_token);
  if (current->ordered == memory_closed) guard_memory();
  body();
  happens_before(&done_token);
  happens_before(current->block->slot_token);
  Internal internal;
  Fiber& fiber = *current;
  bool copies = !fiber.open_copies.empty();
  for (const auto& group : fiber.copy_groups) copies |= !group.empty();
  if (copies) fail(fiber.file, fiber.line, "the thread returns with cp.async still in flight");
  for (const auto& [registers, accumulator] : fiber.accumulators)
    if (accumulator.outstanding)
      fail(fiber.file, fiber.line, "the thread returns with wgmma still in flight");
  for (const AsyncOp& op : async_ops) {
    if (op.kind == AsyncOp::store_read && op.issuer == current)
      fail(fiber.file, fiber.line, "the thread returns before its TMA stores read shared memory");
    if (op.target != fiber.block || fiber.block->live > 1) continue;
    if (op.kind == AsyncOp::load)
      fail(fiber.file, fiber.line, "the block ends with TMA loads still in flight");
    else
      fail(fiber.file, fiber.line, "the block ends with its cluster's stores to it in flight");
  }
  // On a GPU the grids may overlap.
  if (fiber.block->live == 1 && !fiber.block->waited)
    fail(fiber.file, fiber.line, "the block ends without having waited for the previous grid");
  if (fiber.block->live == 1) {
    require_whole_changes(*fiber.block);
    require_no_open_arrivals(*fiber.block);
  }
  fiber.done = true;
  fiber.tsan_ended = true;
  fiber.block->live--;
  live--;
  schedule();
  std::abort();
}

}  // namespace deepcache::emulator
