#include "previous_grid.h"

#include <vector>

#include "memory.h"
#include "scheduler.h"

namespace deepcache::emulator {

bool previous_grid_runs = false;

namespace {
std::vector<Fiber*> waiting;

void end_previous_grid() {
  previous_grid_runs = false;
  for (Fiber* fiber : waiting) wake(*fiber);
  waiting.clear();
}
}  // namespace

void wait_for_previous_grid(const char* file, int line) {
  Internal internal;
  current->block->waited = true;
  if (previous_grid_runs && !current->ordered) {
    waiting.push_back(current);
    wait("wait_for_previous_grid", file, line);
  }
  current->ordered = true;
}

void begin_overlap() {
  waiting.clear();
  previous_grid_runs = options.async != Async::at_issue;
  if (previous_grid_runs) add_async({AsyncOp::grid_end, end_previous_grid, &main_fiber});
}

void end_overlap() {
  previous_grid_runs = false;
  guard_memory();
}

void require_ordered(const void* data, const char* what, const char* file, int line) {
  if (!current->ordered && !is_constant(data))
    fail(file, line, "%s before the thread has waited for the grid before, or met one that has",
         what);
}

}  // namespace deepcache::emulator
