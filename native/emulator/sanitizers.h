#pragma once

// What sanitizers need to know about fibers. To ThreadSanitizer every CUDA thread is a thread of
// its own, and the only order between two of them is what barriers and other synchronisation
// establish (happens_before / happens_after): an ordering that just this schedule had does not
// count.

#include <cstddef>

#include "fiber.h"
#include "memory.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
void __tsan_read16(void*);
void __tsan_write16(void*);
}
#endif

namespace deepcache::emulator {

#if defined(__SANITIZE_THREAD__)
extern int* ignore_depth;  // of the running fiber

// A function that a fiber's last switch leaves for good: ThreadSanitizer's call stack of the fiber,
// which is used again, must not keep it.
#define EMULATOR_UNTRACED __attribute__((no_sanitize("thread")))

// Hides the emulator's own state from ThreadSanitizer while it lives.
class Internal {
 public:
  Internal() {
    AnnotateIgnoreReadsBegin("", 0);
    AnnotateIgnoreWritesBegin("", 0);
    ++*ignore_depth;
  }
  ~Internal() {
    --*ignore_depth;
    AnnotateIgnoreWritesEnd("", 0);
    AnnotateIgnoreReadsEnd("", 0);
  }
};

inline void happens_before(const void* token) { __tsan_release(const_cast<void*>(token)); }
inline void happens_after(const void* token) { __tsan_acquire(const_cast<void*>(token)); }

// While it lives, what runs is the chip's asynchronous work: a fiber of its own to ThreadSanitizer,
// though it uses the running thread's stack. Only the accesses that are noted count.
class Engine {
 public:
  Engine() : before_(__tsan_get_current_fiber()), outer_(!active) {
    if (!outer_) return;
    if (!fiber_) fiber_ = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(fiber_, 1);
    ignore(true);
    active = true;
  }
  ~Engine() {
    if (!outer_) return;
    active = false;
    ignore(false);
    __tsan_switch_to_fiber(before_, 1);
  }
  static void ignore(bool begin) {
    if (begin) {
      AnnotateIgnoreReadsBegin("", 0);
      AnnotateIgnoreWritesBegin("", 0);
    } else {
      AnnotateIgnoreWritesEnd("", 0);
      AnnotateIgnoreReadsEnd("", 0);
    }
  }
  static inline bool active = false;

 private:
  static inline void* fiber_ = nullptr;
  void* before_;
  bool outer_;
};

// An access that the emulator makes for a thread, or the engine.
inline void note_read(const void* data, size_t bytes) {
  if (Engine::active) Engine::ignore(false);
  for (size_t i = 0; i < bytes; i += 16) __tsan_read16((char*)data + i);
  if (Engine::active) Engine::ignore(true);
}
inline void note_write(const void* data, size_t bytes) {
  if (Engine::active) Engine::ignore(false);
  for (size_t i = 0; i < bytes; i += 16) __tsan_write16((char*)data + i);
  if (Engine::active) Engine::ignore(true);
}
#else
#define EMULATOR_UNTRACED
// Around the emulator's own work for a thread: at its end memory is as the thread may access it.
class Internal {
 public:
  Internal() {}
  ~Internal() {
    if (current->ordered == memory_closed) guard_memory();
  }
};
class Engine {
 public:
  Engine() {}
  ~Engine() {}
};
inline void happens_before(const void*) {}
inline void happens_after(const void*) {}
inline void note_read(const void*, size_t) {}
inline void note_write(const void*, size_t) {}
#endif

}  // namespace deepcache::emulator
