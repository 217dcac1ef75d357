#pragma once

// What the threads of a block share.

#include <bitset>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "fiber.h"
#include "ordering.h"
#include "wgmma.h"

namespace deepcache::emulator {

// A warp on its way into a barrier: the lanes that have come, until all have.
struct ArrivingWarp {
  uint32_t lanes = 0;
  const char* file = "";
  int line = 0;
};

// __syncthreads (number 0) or a named barrier. It counts whole warps.
struct Barrier {
  int arrived = 0, expected = 0, coming = 0;  // warps; coming: in part
  unsigned phase = 0;
  std::vector<ArrivingWarp> warps;
  std::vector<Fiber*> waiting;
  const char* file = "";  // of the first arrival, for messages
  int line = 0, thread = 0;
  Token tokens[2];
};

// Something that the lanes of a mask do together.
struct WarpOp {
  uint32_t mask = 0, arrived = 0;
  const char* name = "";
  void* arguments[32];
  Token token;
  const char* file = "";
  int line = 0;
};

// The last arrival of another block of the cluster at an mbarrier.
struct RemoteArrival {
  bool open = false;   // the mbarrier's block has not waited for its phase
  unsigned phase = 0;  // of the mbarrier
  unsigned met = 0;    // so many barriers of the cluster put it before what comes behind them
  const char* file = "";
  int line = 0;
};

struct Mbarrier {
  int expected = 0, pending = 0;
  int64_t bytes = 0;  // of copies that are outstanding
  unsigned phase = 0;
  Fiber* initialiser = nullptr;
  bool fenced = false;  // its initialisation
  bool remote = false;  // another block of the cluster completes it
  RemoteArrival arrival;
  std::vector<Fiber*> waiting;
  Token tokens[2];
};

// A wgmma instruction, from its first issue to its execution.
struct WgmmaOp {
  WgmmaShape shape;
  uint64_t a = 0, b = 0;  // descriptors
  std::shared_ptr<Accumulators> d;
  const uint32_t* a_registers[128] = {};  // of each thread, or null
  float* d_registers[128] = {};
  int issued = 0;           // threads
  unsigned warps_done = 0;  // a bit for each: a warp's rows are done when it needs them
  const char* file = "";
  int line = 0;
};

// A setmaxnreg of a warpgroup.
struct RegisterChange {
  int count;
  bool grow;
  const char* file;
  int line;
  int threads = 0;  // that have come to it
};

struct Warpgroup {
  std::vector<RegisterChange> register_changes;
  std::deque<WgmmaOp> ops;
  uint64_t first = 0;           // number of ops.front()
  uint64_t completing[4] = {};  // of each warp: the ops before it are done or about to be
  std::vector<Fiber*> waiting;
};

constexpr size_t kProxyPage = 1 << 10;  // see async_proxy.h

struct Block {
  uint3 index;  // blockIdx
  unsigned threads = 0, live = 0;
  bool waited = false;  // for the grid before its own
  char* slot_token = nullptr;
  char* shared = nullptr;  // dynamic shared memory; static lies below it
  char* shadow = nullptr;  // the same bytes as the async proxy (TMA stores, wgmma) sees them
  size_t shared_bytes = 0, static_bytes = 0, shared_limit = 0;
  size_t static_extent = 0;       // with what lies between static arrays
  std::bitset<256> loaded_pages;  // see async_proxy.h
  std::vector<Fiber*> fibers;
  Barrier barriers[16];
  Barrier* cluster = nullptr;  // of all blocks of its cluster
  unsigned met = 0;            // barriers of the cluster that one of its threads has waited for
  Block* peers = nullptr;      // these blocks
  std::vector<std::vector<WarpOp>> warps;
  std::vector<Warpgroup> warpgroups;
  std::map<void*, Mbarrier> mbarriers;
  int free_registers = 0;
  std::vector<Fiber*> waiting_for_registers;
  std::map<std::pair<const char*, int>, char*> statics;  // by place in the source
};

}  // namespace deepcache::emulator
