#include "turns.h"

#include <algorithm>

#include "runtime/error.h"

namespace deepcache::addon {

Turns::Turn Turns::enter() {
  std::lock_guard lock(mutex_);
  line_.push_back(next_);
  return next_++;
}

void Turns::wait(Turn turn, const CancelFlag& cancel) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return line_.front() == turn || cancel; });
  if (cancel) throw Error(ErrorCode::kAborted, "the job was aborted before it began");
}

void Turns::leave(Turn turn) {
  std::lock_guard lock(mutex_);
  line_.erase(std::find(line_.begin(), line_.end(), turn));
  changed_.notify_all();
}

void Turns::wake() {
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

bool Turns::idle() const {
  std::lock_guard lock(mutex_);
  return line_.empty();
}

}  // namespace deepcache::addon
