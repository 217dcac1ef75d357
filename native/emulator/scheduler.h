#pragma once

// Which thread runs next, what happens asynchronously, and how a kernel fails. A failure ends the
// launch with a std::runtime_error that names the source line, the block and the thread.

#include <functional>
#include <string>

#include "block.h"
#include "sanitizers.h"

// A call's place in the source: the last parameters of whatever synchronises.
#define EMULATOR_AT const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace deepcache::emulator {

// Work that is done by the chip, not by a thread.
struct AsyncOp {
  enum Kind { load, cluster_store, product, store_read, store_write, grid_end } kind;
  std::function<void()> run;
  Fiber* issuer;
  bool committed = false;   // a store
  bool late = false;        // not before something waits for it
  Block* target = nullptr;  // of a load or cluster_store
};

extern std::vector<AsyncOp> async_ops;
extern std::vector<Fiber*> pool;  // the threads of the resident blocks
extern std::function<void()> body;
extern std::string failure;
extern int live;  // threads that have not returned
extern char engine_token, launch_token, done_token;

[[noreturn]] void fail(const char* file, int line, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

// Leaves the running thread until wake() was called for it.
void wait(const char* what, const char* file, int line);
void wake(Fiber& fiber);
// Lets others run: loops that wait for global memory must call it.
void yield();
void schedule();
void add_async(AsyncOp op);
void run_async(size_t index);
void fiber_main();

}  // namespace deepcache::emulator
