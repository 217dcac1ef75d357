#include "backend.h"

#include "memory.h"

namespace deepcache {
namespace {

void check_range(size_t offset, size_t bytes, size_t size) {
  if (offset > size || bytes > size - offset)
    throw Error(ErrorCode::kInternal, "buffer: bytes " + std::to_string(offset) + " to " +
                                          std::to_string(offset + bytes) + " of " +
                                          std::to_string(size));
}

}  // namespace

void check_cancelled(const CancelFlag* cancel) {
  if (cancel && *cancel) throw Error(ErrorCode::kAborted, "The run was aborted");
}

void Buffer::upload(const void* source, size_t bytes, size_t offset) {
  check_range(offset, bytes, bytes_);
  if (bytes) write(source, bytes, offset);
}

void Buffer::download(void* target, size_t bytes, size_t offset) const {
  check_range(offset, bytes, bytes_);
  if (bytes) read(target, bytes, offset);
}

void Buffer::copy(const Buffer& source, size_t bytes, size_t offset, size_t source_offset) {
  check_range(offset, bytes, bytes_);
  check_range(source_offset, bytes, source.bytes_);
  if (bytes) take(source, bytes, offset, source_offset);
}

void Program::run(OpRange ops, int step, const CancelFlag* cancel, const Tap* tap) {
  if (ops.first < 0 || ops.first > ops.last || ops.last > ops_.last)
    throw Error(ErrorCode::kInternal, "run: ops out of range");
  run_ops(ops, step, cancel, tap);
}

void run_segments(const Segments& segments, int step, const CancelFlag* cancel, const Tap* tap) {
  for (const Segment& segment : segments) segment.program->run(segment.ops, step, cancel, tap);
}

size_t Backend::free_memory() const { return Ledger::of(name()).left_of(available_memory()); }

std::shared_ptr<Reservation> Backend::reserve(size_t bytes, const std::string& what) const {
  std::shared_ptr<Reservation> reservation = Ledger::of(name()).reserve(
      bytes, [this] { return available_memory(); }, reservation_of_run());
  if (reservation) return reservation;
  throw Error(ErrorCode::kOutOfMemory, what + " needs about " + format_bytes(bytes) +
                                           " of memory, but only " + format_bytes(free_memory()) +
                                           " are available on " + name() +
                                           "; choose a smaller batch or size, or free memory");
}

}  // namespace deepcache
