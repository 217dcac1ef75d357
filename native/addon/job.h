#pragma once

// Work on a thread of its own. libuv's four pool threads stay free: a run takes seconds to minutes,
// which would starve fs and dns.

#include <napi.h>

#include <functional>
#include <memory>
#include <vector>

#include "runtime/backend.h"
#include "turns.h"

namespace deepcache::addon {

// What the job's thread sees of the job.
class JobContext {
 public:
  using Arguments = std::function<std::vector<napi_value>(Napi::Env)>;

  virtual ~JobContext() = default;
  virtual const CancelFlag* cancel_flag() const = 0;
  // Lets the JS thread call the progress function soon, with what `arguments` makes there. Never
  // waits: when JavaScript is far behind, the oldest reports are dropped.
  virtual void report(Arguments arguments) = 0;
};

// Makes the promise's value on the JS thread.
using Finish = std::function<Napi::Value(Napi::Env)>;
// Runs on the job's thread and owns everything that it needs; destroyed there before the promise
// settles.
using Work = std::function<Finish(JobContext&)>;

// Stops a job from any thread, at any time.
class JobControl {
 public:
  explicit JobControl(std::shared_ptr<Turns> turns) : turns_(std::move(turns)) {}

  void cancel();
  const CancelFlag& flag() const { return cancelled_; }
  Turns* turns() const { return turns_.get(); }

 private:
  CancelFlag cancelled_{false};
  std::shared_ptr<Turns> turns_;
};

struct JobOptions {
  std::shared_ptr<Turns> turns;  // jobs that wait for each other; null: the job begins at once
  Napi::Function on_progress;    // may be empty; what it throws stops and rejects the job
};

struct StartedJob {
  Napi::Promise promise;
  std::shared_ptr<JobControl> control;

  // {promise, cancel}, the Job of lib/native/types.ts.
  Napi::Object object(Napi::Env env) const;
};

StartedJob start_job(Napi::Env env, Work work, const JobOptions& options = {});

}  // namespace deepcache::addon
