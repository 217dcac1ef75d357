#include "cp_async.h"

#include <cstring>
#include <utility>

#include "memory.h"
#include "previous_grid.h"
#include "scheduler.h"
#include "shared_memory.h"

namespace deepcache::emulator {
namespace {

void copy(const CopyOp& op) {
  note_write(op.to, op.bytes);
  std::memcpy(op.to, op.from, op.valid);
  std::memset(op.to + op.valid, 0, op.bytes - op.valid);
}

}  // namespace

void cp_async(void* to, const void* from, int bytes, int valid, const char* file, int line) {
  Internal internal;
  require_shared(to, bytes, bytes, "cp.async", file, line);
  if (valid && !in_global(from, valid))
    fail(file, line, "cp.async: global source %p (+%d) lies outside every buffer", from, valid);
  if (reinterpret_cast<uintptr_t>(from) % bytes)
    fail(file, line, "cp.async: source not aligned to %d", bytes);
  if (valid) require_ordered(from, "cp.async", file, line);
  statistics.cp_async_bytes += valid;
  const CopyOp op{static_cast<char*>(to), static_cast<const char*>(from), bytes, valid};
  note_write(to, bytes);
  std::memset(to, 0xff, bytes);
  const bool now = options.async == Async::at_issue ||
                   (options.async == Async::random && random_number() % 2 == 0);
  if (now)
    copy(op);
  else
    current->open_copies.push_back(op);
}

void cp_async_commit() {
  Internal internal;
  current->copy_groups.push_back(std::move(current->open_copies));
  current->open_copies.clear();
}

void cp_async_wait(size_t keep) {
  while (current->copy_groups.size() > keep) {
    for (const CopyOp& op : current->copy_groups.front()) copy(op);
    Internal internal;
    current->copy_groups.pop_front();
  }
}

}  // namespace deepcache::emulator
