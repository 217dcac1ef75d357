#pragma once

// How the emulator behaves, and what it counted.

#include <cstddef>
#include <cstdint>

#include "chip.h"

namespace deepcache::emulator {

// When asynchronous work (copies, matrix instructions in flight) completes.
enum class Async { at_issue, random, late };

struct Options {
  uint64_t seed = 1;          // of the order in which threads and blocks run
  Async async = Async::late;  // late: only when something waits for it
  int resident = 1;           // blocks that are interleaved
  size_t stack = 128 << 10;   // bytes of a thread's stack
  int gpus = 4;
  int compute_capability = 0;  // 75 for 7.5, of all GPUs; 0: each has its own
  // Whether wgmma reads what its transposed operand has of the last 64 columns, or nothing of them:
  // no documentation says.
  bool odd_transposed_columns = true;
  const Chip* chip = nullptr;             // all are such GPUs; null: small ones
  size_t memory_bytes = size_t(1) << 30;  // of each GPU, of which others have taken
  size_t taken_bytes = 0;
  uint64_t failing_allocation = UINT64_MAX;  // by number; see statistics.allocations
  unsigned largest_cluster = 8;              // blocks of a cluster that the GPUs have place for
  bool refuses_overlap = false;              // graphs cannot be recorded while grids may overlap
  bool faults_stay = false;  // as on a GPU: after a kernel's fault nothing works any more
  int planted_bug = 0;       // which of the kernels' planted bugs is active: a test of the tests
};
inline Options options;

struct Statistics {
  uint64_t allocations = 0, waits = 0;  // waits of the host for work that was not done
  uint64_t launches = 0, switches = 0, barriers = 0, mma = 0, wgmma = 0;
  // Shared-memory reads of ldmatrix: phases is the least that is possible, the rest bank conflicts.
  uint64_t ldmatrix_phases = 0, ldmatrix_wavefronts = 0;
  uint64_t cp_async_bytes = 0, tma_bytes = 0;
};
inline Statistics statistics;

}  // namespace deepcache::emulator
