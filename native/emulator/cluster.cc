#include "cluster.h"

#include <cstring>

#include "async_proxy.h"
#include "launch.h"
#include "mbarrier.h"
#include "scheduler.h"
#include "shared_memory.h"

namespace deepcache::emulator {

Block& cluster_block(int rank, const char* what, const char* file, int line) {
  if (rank < 0 || unsigned(rank) >= cluster_size)
    fail(file, line, "%s: the cluster has no block %d", what, rank);
  if (cluster_size > 1 && !current->met_cluster)
    fail(file, line, "%s: the cluster's other blocks need not have started", what);
  Block& block = current->block->peers[rank];
  if (block.live == 0) fail(file, line, "%s: block %d of the cluster has ended", what, rank);
  return block;
}

char* same_place(const Block& block, void* own) {
  return block.shared + (static_cast<char*>(own) - current->block->shared);
}

void store_to_cluster(void* to, int rank, uint64_t value, void* barrier, const char* file,
                      int line) {
  Internal internal;
  constexpr size_t kBytes = sizeof value;
  require_shared(to, kBytes, kBytes, "st.async", file, line);
  Block& peer = cluster_block(rank, "st.async", file, line);
  char* const target = same_place(peer, to);
  char* const target_barrier = same_place(peer, barrier);
  mbarrier_require_fenced(peer, target_barrier, file, line);
  peer.mbarriers.at(target_barrier).remote = true;
  happens_before(&engine_token);
  const auto run = [=, &peer] {
    note_write(target, kBytes);
    write_both(peer, target, reinterpret_cast<const char*>(&value), kBytes);
    mbarrier_complete(peer, target_barrier, kBytes, file, line);
  };
  add_async({AsyncOp::cluster_store, run, current, false, false, &peer});
}

}  // namespace deepcache::emulator
