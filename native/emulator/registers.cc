#include "registers.h"

#include "scheduler.h"

namespace deepcache::emulator {

void change_registers(int count, bool grow, const char* file, int line) {
  Internal internal;
  Fiber& fiber = *current;
  Block& block = *fiber.block;
  const char* const name = grow ? "registers_grow" : "registers_shrink";
  if (count % 8 || count < 24 || count > 256)
    fail(file, line, "%s: %d is not a multiple of 8 from 24 to 256", name, count);
  if (grow ? count < fiber.registers : count > fiber.registers)
    fail(file, line, "%s: to %d, the thread has %d", name, count, fiber.registers);
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

}  // namespace deepcache::emulator
