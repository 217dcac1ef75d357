#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "job.h"
#include "runner.h"
#include "runtime/error.h"

namespace deepcache::addon {

// A loaded model in the hands of JavaScript: its jobs run one after the other, and dispose() may
// come while they do. All members are for the JS thread.
template <typename Model>
class ModelSlot {
 public:
  explicit ModelSlot(std::shared_ptr<Model> model) : model_(std::move(model)) {}

  // Throws Error(kDisposed). Only constant data may be used while a job runs. Hold it as long as
  // you use it: whatever JavaScript runs meanwhile, such as a getter, may dispose of the model.
  std::shared_ptr<Model> model() const {
    if (!model_) throw Error(ErrorCode::kDisposed, "the model was disposed of; load it again");
    return model_;
  }

  // No job runs or waits: the JS thread may use all of the model.
  bool idle() const { return runner().is_idle(*line_) && joined_.use_count() == 1; }

  // A job that `joins` waits for no other one: the model shares itself out.
  StartedJob start(Napi::Env env, std::function<Finish(Model&, JobContext&)> work,
                   Napi::Function on_progress = {}, bool joins = false) {
    StartedJob job =
        start_job(env,
                  [model = model(), work = std::move(work), mark = joins ? joined_ : nullptr](
                      JobContext& context) { return work(*model, context); },
                  {joins ? nullptr : line_, on_progress});
    // Now and then: a line of thousands of jobs is not to be looked through for each of them.
    if (jobs_.size() >= next_clearing_) {
      std::erase_if(jobs_, [](const std::weak_ptr<JobControl>& job) { return job.expired(); });
      next_clearing_ = 2 * jobs_.size() + 16;
    }
    jobs_.push_back(job.control);
    return job;
  }

  // Jobs are cancelled, waiting ones at once; the last one frees the model, at once when there is
  // none.
  void dispose() {
    const std::shared_ptr<Model> model = std::move(model_);
    // Last to first: none that waits is to begin.
    for (auto job = jobs_.rbegin(); job != jobs_.rend(); ++job)
      if (const auto control = job->lock()) control->cancel(ErrorCode::kDisposed);
    jobs_.clear();
  }

 private:
  std::shared_ptr<Model> model_;
  std::shared_ptr<Line> line_ = std::make_shared<Line>();
  std::shared_ptr<char> joined_ = std::make_shared<char>();  // jobs that joined hold it, too
  std::vector<std::weak_ptr<JobControl>> jobs_;
  size_t next_clearing_ = 16;
};

}  // namespace deepcache::addon
