#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

#include "runtime/backend.h"

namespace deepcache::addon {

// Lets the jobs of one object run one at a time, in the order in which they were started.
class Turns {
 public:
  using Turn = uint64_t;

  // Gets in line; whoever enters must leave.
  Turn enter();
  // Returns when all earlier turns have left. Throws Error(kAborted) when `cancel` becomes true
  // (and wake() is called) meanwhile.
  void wait(Turn turn, const CancelFlag& cancel);
  void leave(Turn turn);
  // Makes waiters look at their cancel flags.
  void wake();
  bool idle() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Turn> line_;
  Turn next_ = 0;
};

}  // namespace deepcache::addon
