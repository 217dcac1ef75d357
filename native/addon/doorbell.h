#pragma once

// How jobs' threads get the JS thread of their environment to hear them.
//
// Node.js holds a lock while it wakes a thread up, and the JS thread wants that lock at once. So
// the one who calls Node.js must go as soon as the JS thread does. A job's thread goes behind
// others: it would be stopped in the call by the thread that it wakes, which then waits for it
// until it has a core again, milliseconds where all of them compute. The call is therefore made by
// a thread of the doorbell's own, which has the priority of the process.

#include <napi.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <semaphore>
#include <set>
#include <thread>
#include <vector>

namespace deepcache::addon {

// What has something to say to JavaScript. The doorbell's from add() on.
class Caller {
 public:
  virtual ~Caller() = default;
  // On the JS thread, after it rang. Throws nothing.
  virtual void deliver(Napi::Env env) = 0;
  // The environment or the process ends: it rings no more after this.
  virtual void stop() = 0;
};

// One for each environment.
//
// When the environment goes away (worker.terminate()), a cleanup hook stops the callers and joins
// the thread first: Node.js does not let other threads use a thread-safe function that it is
// finalizing (nodejs/node#55706).
class Doorbell {
 public:
  // For the JS thread, as all but ring() is.
  static Doorbell& of(Napi::Env env);

  // May ring from now on; while there is one, the process stays alive.
  void add(Napi::Env env, Caller& caller);
  // It has said everything, and may be deleted on any thread. Not here, as that waits for its
  // thread: which is about to end, but goes behind others.
  void retire(Napi::Env env, Caller& caller);

  // On any thread. Once until deliver() was called. Waits for nothing that the JS thread does, and
  // is done with the caller before it is delivered.
  void ring(Caller& caller);
  // Deletes those that are retired. For jobs' threads.
  void sweep();

 private:
  friend class Doorbells;
  explicit Doorbell(Napi::Env env);
  ~Doorbell();
  static void on_ring(Napi::Env env, Napi::Function, Doorbell* bell, void*);
  using Function = Napi::TypedThreadSafeFunction<Doorbell, void, &Doorbell::on_ring>;

  void main();
  void answer(Napi::Env env);
  void stop();

  Function function_;
  std::set<Caller*> callers_;  // of the JS thread

  std::mutex mutex_;
  std::vector<Caller*> ringing_;
  std::vector<std::unique_ptr<Caller>> retired_;

  std::atomic<bool> rung_{false};
  std::atomic<bool> stopped_{false};
  std::counting_semaphore<> rings_{0};
  std::thread thread_;
};

// process.exit() is under way: Node.js is being taken apart.
bool is_exiting();

}  // namespace deepcache::addon
