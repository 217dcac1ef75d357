#pragma once

// gpu.h under nvcc: the instructions of Hopper (sm_90a) that kernels use: mbarriers, the tensor
// memory accelerator (TMA), and the products of a warpgroup (wgmma.h). A kernel keeps what calls
// them under `#if DEEPCACHE_SM90A`, so that it compiles, empty, for other architectures too;
// mbarriers and clusters, which newer GPUs have as well, under `#if DEEPCACHE_SM90`.

#include <cuda.h>  // types only: the driver is not linked

#include "cuda/wgmma.h"

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define DEEPCACHE_SM90 1
#else
#define DEEPCACHE_SM90 0
#endif
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDA_ARCH__)
#define DEEPCACHE_SM90A 1
#else
#define DEEPCACHE_SM90A 0
#endif

namespace deepcache::cuda {

// A tensor in global memory as TMA sees it (tensor_map.h); a kernel's `const __grid_constant__`
// parameter.
using TensorMap = CUtensorMap;

// An mbarrier's phase ends with `count` arrivals and when all bytes that were announced have come.
DEVICE void mbarrier_init(uint64_t* barrier, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count)
               : "memory");
}
// Between the initialisations and the barrier that publishes them to the block's other threads.
DEVICE void mbarrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
DEVICE void mbarrier_arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
               : "memory");
}
// At the barrier that lies in the same place in the shared memory of a block of the cluster.
DEVICE void mbarrier_arrive_in_cluster(uint64_t* barrier, int block) {
  asm volatile(
      "{\n.reg .b32 there;\n"
      "mapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there];\n}" ::"r"(
          shared_address(barrier)),
      "r"(block)
      : "memory");
}
// Arrives, and announces bytes that TMA is going to write.
DEVICE void mbarrier_arrive_expect(uint64_t* barrier, int bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
}
// Traps after two to seven seconds, since a wait that never ends would take the GPU away without a
// word: a block waits for copies, for other warps, and for the grid before it, which take
// milliseconds. The clock's bit 31 changes every 2.1 seconds: one loop lasts until it is set, one
// until it is clear, one until it is set again. (To remember when the wait began would cost
// consumers a register that they do not have.)
#define DEEPCACHE_TRY(try_wait) \
  try_wait " p, [%0], %1;\n@p bra END;\nmov.u32 time, %%globaltimer_lo;\n"
#define DEEPCACHE_WAIT(try_wait, barrier, parity) \
  asm volatile(                                                                      \
      "{\n.reg .pred p;\n.reg .s32 time;\n"                                          \
      "CLEAR:\n" DEEPCACHE_TRY(try_wait) "setp.ge.s32 p, time, 0;\n@p bra CLEAR;\n"  \
      "SET:\n" DEEPCACHE_TRY(try_wait) "setp.lt.s32 p, time, 0;\n@p bra SET;\n"      \
      "AGAIN:\n" DEEPCACHE_TRY(try_wait) "setp.ge.s32 p, time, 0;\n@p bra AGAIN;\n"  \
      "trap;\nEND:\n}" ::"r"(shared_address(barrier)),                               \
      "r"(parity)                                                                    \
      : "memory")

// Until the phase of this parity has ended. The first phase has parity 0; to wait for parity 1 of a
// new barrier returns at once.
DEVICE void mbarrier_wait(uint64_t* barrier, int parity) {
  DEEPCACHE_WAIT("mbarrier.try_wait.parity.shared::cta.b64", barrier, parity);
}
// The same; what other blocks of the cluster stored for the phase is seen after it too.
DEVICE void mbarrier_wait_cluster(uint64_t* barrier, int parity) {
  DEEPCACHE_WAIT("mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64", barrier, parity);
}
#undef DEEPCACHE_TRY
#undef DEEPCACHE_WAIT

// All threads of the cluster arrive, and later wait for the others: then all blocks have started,
// and initialisations of mbarriers that were fenced before are seen.
DEVICE void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
// Stores to the same place in the shared memory of another block of the cluster, asynchronously;
// the bytes count for the barrier there.
DEVICE void store_to_cluster(float2* to, int block, float2 value, uint64_t* barrier) {
  asm volatile(
      "{\n.reg .b32 there, bar;\n"
      "mapa.shared::cluster.u32 there, %0, %2;\n"
      "mapa.shared::cluster.u32 bar, %1, %2;\n"
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [there], {%3, %4}, "
      "[bar];\n}" ::"r"(shared_address(to)),
      "r"(shared_address(barrier)), "r"(block), "f"(value.x), "f"(value.y)
      : "memory");
}

// One box of the tensor from coordinates c0 (innermost), c1, ... to shared memory; its bytes count
// for the barrier. What lies outside of the tensor arrives as zeros. One thread asks for it.
DEVICE void tma_load_2d(void* to, const TensorMap* map, uint64_t* barrier, int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1)
      : "memory");
}
// To the same place in the shared memory of each block of the cluster whose bit is set; the bytes
// count for the barrier there.
DEVICE void tma_load_2d_to_cluster(void* to, const TensorMap* map, uint64_t* barrier,
                                   unsigned blocks, int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "h"(uint16_t(blocks))
      : "memory");
}
DEVICE void tma_load_4d(void* to, const TensorMap* map, uint64_t* barrier, int c0, int c1, int c2,
                        int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}
// A filter tap's channels of the map's number of pixels in a row, from base pixel (w, h) of image n
// on.
DEVICE void tma_load_im2col_4d(void* to, const TensorMap* map, uint64_t* barrier, int c, int w,
                               int h, int n, int offset_w, int offset_h) {
  asm volatile(
      "cp.async.bulk.tensor.4d.im2col.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(c), "r"(w), "r"(h), "r"(n),
      "h"(uint16_t(offset_w)), "h"(uint16_t(offset_h))
      : "memory");
}

// From shared memory to the tensor; what lies outside is not written. Kernels write shared memory,
// fence_async_proxy(), meet at a barrier, and then one thread stores and commits.
DEVICE void tma_store_2d(const TensorMap* map, const void* from, int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map),
      "r"(shared_address(from)), "r"(c0), "r"(c1)
      : "memory");
}
DEVICE void tma_store_4d(const TensorMap* map, const void* from, int c0, int c1, int c2, int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(
          map),
      "r"(shared_address(from)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}
DEVICE void tma_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// Until the thread's stores have read shared memory, which may then be written again.
DEVICE void tma_store_wait_read() { asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory"); }
// Until they have written.
DEVICE void tma_store_wait_all() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }
DEVICE void prefetch_map(const TensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// Makes the thread's writes of shared memory visible to TMA and wgmma.
DEVICE void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// bar.sync of barrier `id` (1 to 15; 0 is __syncthreads) among `threads`, a multiple of 32.
DEVICE void named_barrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// bar.arrive: counts for the barrier and does not wait.
DEVICE void named_barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// Gives registers of the warpgroup back, or takes some that another gave back: to kCount per
// thread, a multiple of 8. All threads of the warpgroup call it.
template <int kCount>
DEVICE void registers_shrink() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
DEVICE void registers_grow() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}

// Programmatic dependent launch: until the grids before this one have finished and their writes are
// visible; nothing that they write may be read, nor anything written, before. A no-op for a grid
// that was launched without the attribute, and on architectures before Hopper.
DEVICE void wait_for_previous_grid() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
// The next grid may be scheduled once all blocks of this one have come here or ended; it waits for
// this one's end all the same.
DEVICE void let_next_grid_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace deepcache::cuda
