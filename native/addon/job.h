#pragma once

// Work on a thread of its own. libuv's four pool threads stay free: a run takes seconds to minutes,
// which would starve fs and dns. A job gets its thread when its turn comes (runner.h).

#include <napi.h>

#include <functional>
#include <memory>
#include <vector>

#include "runner.h"
#include "runtime/backend.h"
#include "runtime/error.h"

namespace deepcache::addon {

// Makes the promise's value on the JS thread.
using Finish = std::function<Napi::Value(Napi::Env)>;

// What the job's thread sees of the job.
class JobContext {
 public:
  using Arguments = std::function<std::vector<napi_value>(Napi::Env)>;

  virtual ~JobContext() = default;
  virtual const CancelFlag* cancel_flag() const = 0;
  // Lets the JS thread call the progress function soon, with what `arguments` makes there. Never
  // waits: when JavaScript is far behind, the oldest reports are dropped.
  virtual void report(Arguments arguments) = 0;
  // What gives these values to JavaScript, once. Many are copied here: the JS thread only makes the
  // array, for which this waits. Throws Error(kOutOfMemory), and when the job was cancelled.
  virtual Finish hand_over(std::vector<float> values) = 0;
};

// Runs on the job's thread and owns everything that it needs; destroyed there before the promise
// settles.
using Work = std::function<Finish(JobContext&)>;

// Stops a job at any time: a waiting one at once, a running one soon. For the JS thread.
class JobControl {
 public:
  virtual ~JobControl() = default;
  // The job rejects with Error(`code`): kAborted, or kDisposed.
  virtual void cancel(ErrorCode code = ErrorCode::kAborted) = 0;
};

struct JobOptions {
  std::shared_ptr<Line> line;  // jobs that wait for each other; null: it waits for none
  Napi::Function on_progress;  // may be empty; what it throws stops and rejects the job
};

struct StartedJob {
  Napi::Promise promise;
  std::shared_ptr<JobControl> control;

  // {promise, cancel}, the Job of lib/native/types.ts.
  Napi::Object object(Napi::Env env) const;
};

StartedJob start_job(Napi::Env env, Work work, const JobOptions& options = {});

}  // namespace deepcache::addon
