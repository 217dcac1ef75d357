#include "registers.h"

#include "scheduler.h"

namespace deepcache::emulator {
namespace {

constexpr int kThreads = 128;  // of a warpgroup

// All four warps of the warpgroup make the same change before any makes the next.
void change_together(int count, bool grow, const char* name, const char* file, int line) {
  Fiber& fiber = *current;
  const unsigned number = unsigned(fiber.index / kThreads);
  if (fiber.block->threads < (number + 1) * kThreads)
    fail(file, line, "%s: the warpgroup has less than four warps", name);
  auto& changes = fiber.block->warpgroups[number].register_changes;
  const size_t place = size_t(fiber.register_changes++);
  if (place == changes.size()) {
    if (place && changes.back().threads < kThreads)
      fail(file, line, "%s: only %d threads of the warpgroup made the change at %s:%d", name,
           changes.back().threads, changes.back().file, changes.back().line);
    changes.push_back({count, grow, file, line});
  }
  RegisterChange& change = changes[place];
  if (change.count != count || change.grow != grow || change.line != line)
    fail(file, line, "%s: to %d, while others of the warpgroup change to %d at %s:%d", name, count,
         change.count, change.file, change.line);
  change.threads++;
}

}  // namespace

void change_registers(int count, bool grow, const char* file, int line) {
  Internal internal;
  Fiber& fiber = *current;
  Block& block = *fiber.block;
  const char* const name = grow ? "registers_grow" : "registers_shrink";
  if (count % 8 || count < 24 || count > 256)
    fail(file, line, "%s: %d is not a multiple of 8 from 24 to 256", name, count);
  if (grow ? count < fiber.registers : count > fiber.registers)
    fail(file, line, "%s: to %d, the thread has %d", name, count, fiber.registers);
  change_together(count, grow, name, file, line);
  while (count - fiber.registers > block.free_registers) {
    block.waiting_for_registers.push_back(&fiber);
    wait(name, file, line);
  }
  block.free_registers -= count - fiber.registers;
  fiber.registers = count;
  if (grow) return;
  for (Fiber* waiting : block.waiting_for_registers) wake(*waiting);
  block.waiting_for_registers.clear();
}

void require_whole_changes(const Block& block) {
  for (const Warpgroup& group : block.warpgroups)
    for (const RegisterChange& change : group.register_changes)
      if (change.threads != kThreads)
        fail(change.file, change.line,
             "setmaxnreg to %d by %d threads of a warpgroup, all 128 have to", change.count,
             change.threads);
}

}  // namespace deepcache::emulator
