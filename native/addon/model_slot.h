#pragma once

#include <napi.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "job.h"
#include "runtime/error.h"
#include "turns.h"

namespace deepcache::addon {

// A loaded model in the hands of JavaScript: its jobs run one after the other, and dispose() may
// come while they do. All members are for the JS thread.
template <typename Model>
class ModelSlot {
 public:
  explicit ModelSlot(std::shared_ptr<Model> model) : model_(std::move(model)) {}

  // Throws Error(kDisposed). Only constant data may be used while a job runs.
  Model& model() const {
    if (!model_) throw Error(ErrorCode::kDisposed, "the model was disposed of; load it again");
    return *model_;
  }

  // No job runs or waits: the JS thread may use all of the model.
  bool idle() const { return turns_->idle(); }

  StartedJob start(Napi::Env env, std::function<Finish(Model&, JobContext&)> work,
                   Napi::Function on_progress = {}) {
    model();
    const auto ended = [](const std::weak_ptr<JobControl>& job) { return job.expired(); };
    jobs_.erase(std::remove_if(jobs_.begin(), jobs_.end(), ended), jobs_.end());
    StartedJob job = start_job(env,
                               [model = model_, work = std::move(work)](JobContext& context) {
                                 return work(*model, context);
                               },
                               {turns_, on_progress});
    jobs_.push_back(job.control);
    return job;
  }

  // Jobs are cancelled; the last one frees the model, at once when there is none.
  void dispose() {
    for (const auto& job : jobs_)
      if (const auto control = job.lock()) control->cancel();
    jobs_.clear();
    model_.reset();
  }

 private:
  std::shared_ptr<Model> model_;
  std::shared_ptr<Turns> turns_ = std::make_shared<Turns>();
  std::vector<std::weak_ptr<JobControl>> jobs_;
};

}  // namespace deepcache::addon
