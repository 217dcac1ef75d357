#pragma once

// What sanitizers need to know about fibers. To ThreadSanitizer every CUDA thread is a thread of
// its own, and the only order between two of them is what barriers and other synchronisation
// establish (happens_before / happens_after): an ordering that just this schedule had does not
// count.

#include <cstddef>

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
// An access that the emulator makes for a thread.
inline void note_read(const void* data, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 16) __tsan_read16((char*)data + i);
}
inline void note_write(const void* data, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 16) __tsan_write16((char*)data + i);
}
#else
class Internal {
 public:
  Internal() {}
  ~Internal() {}
};
inline void happens_before(const void*) {}
inline void happens_after(const void*) {}
inline void note_read(const void*, size_t) {}
inline void note_write(const void*, size_t) {}
#endif

}  // namespace deepcache::emulator
