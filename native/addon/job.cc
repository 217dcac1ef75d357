#include "job.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "classes.h"
#include "doorbell.h"
#include "errors.h"
#include "runtime/error.h"
#include "runtime/thread_priority.h"
#include "values.h"

namespace deepcache::addon {
namespace {

// A 1024x1024 image's latents 256 times are 64 MB.
constexpr size_t kMaxReports = 256;

// A copy of fewer takes less than a turn of the event loop, for which the job would wait.
constexpr size_t kManyValues = size_t(1) << 15;

class Job;

// An array of JavaScript's that a job's thread fills. JavaScript does not see it before: nothing
// can detach its buffer.
struct Handover {
  explicit Handover(size_t values) : count(values) {}

  const size_t count;
  float* data = nullptr;
  std::exception_ptr error;     // instead of the data
  Napi::ObjectReference array;  // of the JS thread
};

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

// Reports and the result wait in it for the JS thread, which the doorbell only wakes up: no queue
// of Node.js can be full.
class Job : public JobContext, public Runnable, public Caller {
 public:
  static StartedJob start(Napi::Env env, Work work, const JobOptions& options) {
    Doorbell& doorbell = Doorbell::of(env);
    auto* job = new Job(env, doorbell, std::move(work), options);
    const StartedJob started{job->deferred_.Promise(), job->control_};
    doorbell.add(env, *job);
    job->control_->attach(job);
    runner().submit(*job);
    return started;
  }

  ~Job() override {
    control_->detach();
    if (thread_.joinable()) thread_.join();
  }

  void stop() override {
    control_->cancel(ErrorCode::kAborted);
    if (thread_.joinable()) thread_.join();
  }

  // It is cancelled: when it waits, it need not wait on.
  void withdraw() {
    {
      const std::lock_guard lock(mutex_);  // or it might just be about to wait
      array_made_.notify_all();
    }
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

  Finish hand_over(std::vector<float> values) override {
    if (values.size() < kManyValues)
      return [values = std::move(values)](Napi::Env env) { return to_js(env, values); };
    const auto handover = std::make_shared<Handover>(values.size());
    wake_after([&] { wanted_ = handover; });
    {
      std::unique_lock lock(mutex_);
      array_made_.wait(lock, [&] { return handover->data || handover->error || control_->flag(); });
      wanted_ = nullptr;
      if (handover->error) std::rethrow_exception(handover->error);
      if (control_->flag()) throw control_->reason();
    }
    std::memcpy(handover->data, values.data(), values.size() * sizeof(float));
    return [handover](Napi::Env) {
      const Napi::Value array = handover->array.Value();
      handover->array.Reset();
      return array;
    };
  }

 private:
  Job(Napi::Env env, Doorbell& doorbell, Work work, const JobOptions& options)
      : Runnable(options.line.get()),
        line_(options.line),
        control_(std::make_shared<Control>()),
        work_(std::move(work)),
        reservation_(Classes::of(env).reservation),
        doorbell_(doorbell),
        deferred_(Napi::Promise::Deferred::New(env)),
        reports_wanted_(!options.on_progress.IsEmpty()) {
    if (!reports_wanted_) return;
    on_progress_ = Napi::Persistent(options.on_progress);
    // A context only watches the object given to it. Node.js 20 keeps the store of an
    // AsyncLocalStorage on that object: the next garbage collection would take it.
    const Napi::Object resource = Napi::Object::New(env);
    resource_ = Napi::Persistent(resource);
    context_.emplace(env, "deepcache job", resource);
  }

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
    lower_thread_priority();  // the event loop goes first
    doorbell_.sweep();
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
      if (awake_ || is_exiting()) return;
      awake_ = true;
    }
    doorbell_.ring(*this);
  }

  // --- on the JS thread

  void deliver(Napi::Env env) override {
    std::deque<Arguments> reports;
    std::shared_ptr<Handover> wanted;
    bool done;
    {
      std::lock_guard lock(mutex_);
      reports.swap(reports_);
      wanted = std::move(wanted_);
      done = done_;
      awake_ = false;
    }
    for (const Arguments& arguments : reports) call_progress(env, arguments);
    // What was handed over is JavaScript's now.
    std::erase_if(handovers_, [](const auto& handover) { return handover->array.IsEmpty(); });
    if (wanted) make_array(env, wanted);
    if (done) settle(env);
  }

  void make_array(Napi::Env env, const std::shared_ptr<Handover>& wanted) {
    const Napi::HandleScope scope(env);
    float* data = nullptr;
    std::exception_ptr error;
    try {
      auto array = new_array<float>(env, wanted->count);
      wanted->array = Napi::Persistent(array.As<Napi::Object>());
      handovers_.push_back(wanted);
      data = array.Data();
    } catch (const Error&) {
      error = std::current_exception();
    } catch (const Napi::Error&) {  // must not leave this thread
      error = std::make_exception_ptr(Error(ErrorCode::kInternal, "no array could be made"));
    }
    const std::lock_guard lock(mutex_);
    wanted->data = data;
    wanted->error = error;
    array_made_.notify_all();
  }

  void call_progress(Napi::Env env, const Arguments& arguments) {
    if (progress_error_) return;
    const Napi::HandleScope scope(env);
    try {
      on_progress_.MakeCallback(env.Global(), arguments(env), *context_);
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
    // Whoever deletes it may be on another thread.
    finish_ = nullptr;
    handovers_.clear();
    on_progress_.Reset();
    context_.reset();
    resource_.Reset();
    progress_error_.reset();
    control_->detach();
    doorbell_.retire(env, *this);
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
  Doorbell& doorbell_;

  // Of the JS thread.
  Napi::Promise::Deferred deferred_;
  Napi::FunctionReference on_progress_;
  Napi::ObjectReference resource_;
  std::optional<Napi::AsyncContext> context_;  // of on_progress_: what the caller's async hooks see
  std::optional<Napi::Error> progress_error_;
  const bool reports_wanted_;
  // Those that JavaScript has not got yet: the job's thread must not be the last to hold one.
  std::vector<std::shared_ptr<Handover>> handovers_;

  std::mutex mutex_;
  std::condition_variable array_made_;
  std::shared_ptr<Handover> wanted_;  // whose array the job's thread waits for
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
