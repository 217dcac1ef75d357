#pragma once

// Work in a process of its own: a kernel's fault takes the GPU away from the process that it
// happened in, and a hang can only be ended from outside.

#include <functional>
#include <string>

namespace deepcache::bench {

// What a worker tells the process that started it: single lines of a kind.
class Messages {
 public:
  explicit Messages(int pipe) : pipe_(pipe) {}
  void send(char kind, const std::string& line) const;

 private:
  int pipe_;
};

// Throw it in a worker to end it before its work is done: WorkerEnd::gave_up.
struct GiveUp {};

struct WorkerEnd {
  enum { finished, gave_up, failed } how = failed;
  std::string problem;  // of one that failed: a signal, or that it was silent for too long
};

// Runs `work` in a fork of this process, which must not have threads or a GPU of its own, and hands
// on its messages as they come. A worker that sends none for `patience` seconds is killed.
WorkerEnd run_worker(double patience, const std::function<void(const Messages&)>& work,
                     const std::function<void(char kind, const std::string& line)>& receive);

}  // namespace deepcache::bench
