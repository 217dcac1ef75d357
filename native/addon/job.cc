#include "job.h"

#include <atomic>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "classes.h"
#include "cpu/thread_pool.h"
#include "errors.h"
#include "runtime/error.h"

namespace deepcache::addon {
namespace {

// A 1024x1024 image's latents 256 times are 64 MB.
constexpr size_t kMaxReports = 256;

class Job;

// process.exit() on the main thread runs no cleanup hooks, but destructors of static objects: they
// must not find threads at work, and what a thread has half written wants to be tidied up.
class LiveJobs {
 public:
  ~LiveJobs();
  void add(Job* job);
  void remove(Job* job);
  bool exiting() const { return exiting_; }

 private:
  std::mutex mutex_;
  std::set<Job*> jobs_;
  std::atomic<bool> exiting_{false};
};

LiveJobs live_jobs;

// What outlives the job: JavaScript may cancel it long after its end.
class Control : public JobControl {
 public:
  void cancel(ErrorCode code) override;
  const CancelFlag& flag() const { return cancelled_; }
  // What stopped the job, for its promise.
  Error reason() const {
    return code_ == ErrorCode::kDisposed
               ? Error(ErrorCode::kDisposed,
                       "the model was disposed of while the job waited or ran")
               : Error(ErrorCode::kAborted, "the job was aborted");
  }
  void detach() { job_ = nullptr; }
  void attach(Job* job) { job_ = job; }

 private:
  Job* job_ = nullptr;  // until its promise has settled
  std::atomic<ErrorCode> code_{ErrorCode::kAborted};
  CancelFlag cancelled_{false};
};

// Owned by its thread-safe function, which only wakes the JS thread up: reports and the result
// wait in the job itself, so that no queue of Node.js can be full.
//
// When the environment goes away during a job (worker.terminate()), the cleanup hook stops and
// joins the thread first: Node.js does not let other threads use a thread-safe function that it is
// finalizing (nodejs/node#55706).
class Job : public JobContext, public Runnable {
 public:
  static StartedJob start(Napi::Env env, Work work, const JobOptions& options) {
    auto* job = new Job(env, std::move(work), options);
    const StartedJob started{job->deferred_.Promise(), job->control_};
    try {
      job->waker_ = Waker::New(
          env, "deepcache job", 0, 1, job,
          [job](Napi::Env env, void*, Job*) {
            napi_remove_env_cleanup_hook(env, stop_hook, job);
            job->stop();
            live_jobs.remove(job);
            delete job;
          },
          static_cast<void*>(nullptr));
    } catch (...) {
      delete job;
      throw;
    }
    // After the function was made: hooks run in reverse order.
    napi_add_env_cleanup_hook(env, stop_hook, job);
    live_jobs.add(job);
    job->control_->attach(job);
    runner().submit(*job);
    return started;
  }

  ~Job() override { control_->detach(); }

  // Stops it and joins the thread.
  void stop() {
    control_->cancel(ErrorCode::kAborted);
    if (thread_.joinable()) thread_.join();
  }

  // It is cancelled: when it waits, it need not wait on.
  void withdraw() {
    if (runner().withdraw(*this)) reject(std::make_exception_ptr(control_->reason()));
  }

  const CancelFlag* cancel_flag() const override { return &control_->flag(); }

  void report(Arguments arguments) override {
    if (!reports_wanted_) return;
    wake_after([&] {
      if (reports_.size() == kMaxReports) reports_.pop_front();
      reports_.push_back(std::move(arguments));
    });
  }

 private:
  static void on_wake(Napi::Env env, Napi::Function, Job* job, void*) {
    if (static_cast<napi_env>(env) != nullptr) job->deliver(env);
  }
  using Waker = Napi::TypedThreadSafeFunction<Job, void, &Job::on_wake>;

  Job(Napi::Env env, Work work, const JobOptions& options)
      : Runnable(options.line.get()),
        line_(options.line),
        control_(std::make_shared<Control>()),
        work_(std::move(work)),
        reservation_(Classes::of(env).reservation),
        deferred_(Napi::Promise::Deferred::New(env)),
        reports_wanted_(!options.on_progress.IsEmpty()) {
    if (reports_wanted_) on_progress_ = Napi::Persistent(options.on_progress);
  }

  static void stop_hook(void* job) { static_cast<Job*>(job)->stop(); }

  // --- on any thread

  void begin() override {
    try {
      thread_ = std::thread([this] { main(); });
    } catch (const std::system_error& error) {
      throw Error(ErrorCode::kOutOfMemory,
                  std::string("the system gives no thread to the job: ") + error.what());
    }
  }

  void reject(std::exception_ptr error) override {
    work_ = nullptr;
    wake_after([&] {
      error_ = std::move(error);
      done_ = true;
    });
  }

  // --- on the job's thread

  void main() {
    cpu::lower_thread_priority();  // the event loop goes first
    reservation_of_run() = reservation_;
    Finish finish;
    std::exception_ptr error;
    try {
      finish = work_(*this);
    } catch (const Error& known) {
      error = known.code() == ErrorCode::kAborted && control_->flag()
                  ? std::make_exception_ptr(control_->reason())
                  : std::current_exception();
    } catch (...) {
      error = std::current_exception();
    }
    work_ = nullptr;
    runner().leave(*this);
    wake_after([&] {
      finish_ = std::move(finish);
      error_ = std::move(error);
      done_ = true;
    });
  }

  // Changes what deliver() reads and sees to it that it is called. Both under one lock: a call that
  // is already on its way must not find the change before it is clear who wakes for it, or the job
  // would be delivered, and its promise settled, twice.
  template <typename Change>
  void wake_after(const Change& change) {
    {
      std::lock_guard lock(mutex_);
      change();
      if (awake_ || live_jobs.exiting()) return;  // exiting: Node.js is being taken apart
      awake_ = true;
    }
    waker_.NonBlockingCall();  // when the environment is closing, nobody waits for anything
  }

  // --- on the JS thread

  void deliver(Napi::Env env) {
    std::deque<Arguments> reports;
    bool done;
    {
      std::lock_guard lock(mutex_);
      reports.swap(reports_);
      done = done_;
      awake_ = false;
    }
    for (const Arguments& arguments : reports) call_progress(env, arguments);
    if (done) settle(env);
  }

  void call_progress(Napi::Env env, const Arguments& arguments) {
    if (progress_error_) return;
    const Napi::HandleScope scope(env);
    try {
      on_progress_.Call(arguments(env));
    } catch (...) {
      progress_error_ = to_js_error(env, std::current_exception());
      control_->cancel(ErrorCode::kAborted);
    }
  }

  void settle(Napi::Env env) {
    const Napi::HandleScope scope(env);
    try {
      if (progress_error_) {
        deferred_.Reject(progress_error_->Value());
      } else if (error_) {
        deferred_.Reject(to_js_error(env, error_).Value());
      } else {
        resolve(env);
      }
    } catch (const Napi::Error&) {
      // The environment is being torn down: nobody waits.
    }
    finish_ = nullptr;
    waker_.Release();
  }

  void resolve(Napi::Env env) {
    Napi::Value value;
    try {
      value = finish_(env);
    } catch (...) {
      deferred_.Reject(to_js_error(env, std::current_exception()).Value());
      return;
    }
    deferred_.Resolve(value);
  }

  const std::shared_ptr<Line> line_;
  const std::shared_ptr<Control> control_;
  Work work_;
  const std::shared_ptr<Reservation> reservation_;
  std::thread thread_;
  Waker waker_;

  // Of the JS thread.
  Napi::Promise::Deferred deferred_;
  Napi::FunctionReference on_progress_;
  std::optional<Napi::Error> progress_error_;
  const bool reports_wanted_;

  std::mutex mutex_;
  std::deque<Arguments> reports_;
  Finish finish_;
  std::exception_ptr error_;
  bool done_ = false;
  bool awake_ = false;  // a call of deliver() is on its way
};

void Control::cancel(ErrorCode code) {
  if (!cancelled_) code_ = code;
  cancelled_ = true;
  if (job_) job_->withdraw();
}

LiveJobs::~LiveJobs() {
  std::lock_guard lock(mutex_);
  exiting_ = true;
  for (Job* job : jobs_) job->stop();
}

void LiveJobs::add(Job* job) {
  std::lock_guard lock(mutex_);
  jobs_.insert(job);
}

void LiveJobs::remove(Job* job) {
  std::lock_guard lock(mutex_);
  jobs_.erase(job);
}

}  // namespace

Napi::Object StartedJob::object(Napi::Env env) const {
  Napi::Object out = Napi::Object::New(env);
  out["promise"] = promise;
  out["cancel"] = Napi::Function::New(
      env, [control = control](const Napi::CallbackInfo&) { control->cancel(); });
  return out;
}

StartedJob start_job(Napi::Env env, Work work, const JobOptions& options) {
  return Job::start(env, std::move(work), options);
}

}  // namespace deepcache::addon
