#include "doorbell.h"

#include "classes.h"
#include "runtime/thread_priority.h"

namespace deepcache::addon {

// process.exit() on the main thread runs no cleanup hooks, but destructors of static objects: they
// must not find threads at work, and what a thread has half written wants to be tidied up.
class Doorbells {
 public:
  ~Doorbells() {
    const std::lock_guard lock(mutex_);
    exiting_ = true;
    for (Doorbell* bell : all_) bell->stop();
  }
  void add(Doorbell* bell) {
    const std::lock_guard lock(mutex_);
    all_.insert(bell);
  }
  void remove(Doorbell* bell) {
    const std::lock_guard lock(mutex_);
    all_.erase(bell);
  }
  bool exiting() const { return exiting_; }

 private:
  std::mutex mutex_;
  std::set<Doorbell*> all_;
  std::atomic<bool> exiting_{false};
};

namespace {

Doorbells doorbells;

}  // namespace

bool is_exiting() { return doorbells.exiting(); }

Doorbell& Doorbell::of(Napi::Env env) {
  Classes& classes = Classes::of(env);
  if (!classes.doorbell) classes.doorbell = new Doorbell(env);
  return *classes.doorbell;
}

Doorbell::Doorbell(Napi::Env env)
    : function_(Function::New(
          env, "deepcache jobs", 0, 1, this, [](Napi::Env, void*, Doorbell* bell) { delete bell; },
          static_cast<void*>(nullptr))),
      thread_([this] { main(); }) {
  function_.Unref(env);
  doorbells.add(this);
  // After the function was made: hooks run in reverse order.
  const auto hook = [](void* data) {
    auto* bell = static_cast<Doorbell*>(data);
    doorbells.remove(bell);
    bell->stop();
  };
  napi_add_env_cleanup_hook(env, hook, this);
}

Doorbell::~Doorbell() {
  for (Caller* caller : callers_) delete caller;
}

void Doorbell::add(Napi::Env env, Caller& caller) {
  if (callers_.empty()) function_.Ref(env);
  callers_.insert(&caller);
}

void Doorbell::retire(Napi::Env env, Caller& caller) {
  callers_.erase(&caller);
  if (callers_.empty()) function_.Unref(env);
  const std::lock_guard lock(mutex_);
  retired_.emplace_back(&caller);
}

void Doorbell::ring(Caller& caller) {
  {
    const std::lock_guard lock(mutex_);
    ringing_.push_back(&caller);
  }
  if (!rung_.exchange(true)) rings_.release();
}

void Doorbell::sweep() {
  std::vector<std::unique_ptr<Caller>> retired;
  const std::lock_guard lock(mutex_);
  retired.swap(retired_);
}

void Doorbell::main() {
  shorten_thread_slices();
  for (;;) {
    rings_.acquire();
    if (stopped_) return;
    function_.NonBlockingCall();  // when the environment is closing, nobody waits for anything
  }
}

void Doorbell::on_ring(Napi::Env env, Napi::Function, Doorbell* bell, void*) {
  if (static_cast<napi_env>(env) != nullptr) bell->answer(env);
}

void Doorbell::answer(Napi::Env env) {
  rung_ = false;  // first: who rings from now on may be too late for this time
  std::vector<Caller*> ringing;
  {
    const std::lock_guard lock(mutex_);
    ringing.swap(ringing_);
  }
  for (Caller* caller : ringing) caller->deliver(env);
}

void Doorbell::stop() {
  for (Caller* caller : callers_) caller->stop();
  stopped_ = true;
  rings_.release();
  if (thread_.joinable()) thread_.join();
  sweep();
}

}  // namespace deepcache::addon
