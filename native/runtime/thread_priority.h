#pragma once

namespace deepcache {

// Both are for the calling thread, and are wishes: they do nothing but on Linux, and nothing where
// the system refuses.

// Lets other threads of the process (a JavaScript event loop) go first on a shared core. Of lower
// priority, for when both compute, and of long slices, for the moment when the other one wakes up:
// Linux 6.12 and later then puts a thread of shorter slices on the core at once. Otherwise it would
// wait for the clock's next tick, which is up to 4 milliseconds away.
void lower_thread_priority();

// The opposite, for a thread that computes next to nothing: it goes at once, and is not stopped by
// the thread that it wakes.
void shorten_thread_slices();

}  // namespace deepcache
