#pragma once

// hopper_device.h and wgmma.h without nvcc: the same names, on the emulator.

#include "cuda/matrix_descriptor.h"

#define DEEPCACHE_SM90 1
#define DEEPCACHE_SM90A 1

namespace deepcache::cuda {

using TensorMap = CUtensorMap;

DEVICE void mbarrier_init(uint64_t* barrier, int count, EMULATOR_AT) {
  emulator::mbarrier_init(barrier, count, file, line);
}
DEVICE void mbarrier_init_fence() { emulator::mbarrier_init_fence(); }
DEVICE void mbarrier_arrive(uint64_t* barrier, EMULATOR_AT) {
  emulator::mbarrier_arrive(barrier, 0, file, line);
}
DEVICE void mbarrier_arrive_in_cluster(uint64_t* barrier, int block, EMULATOR_AT) {
  emulator::mbarrier_arrive_in_cluster(barrier, block, file, line);
}
DEVICE void mbarrier_arrive_expect(uint64_t* barrier, int bytes, EMULATOR_AT) {
  emulator::mbarrier_arrive(barrier, bytes, file, line);
}
DEVICE void mbarrier_wait(uint64_t* barrier, int parity, EMULATOR_AT) {
  emulator::mbarrier_wait(barrier, parity, false, file, line);
}
DEVICE void mbarrier_wait_cluster(uint64_t* barrier, int parity, EMULATOR_AT) {
  emulator::mbarrier_wait(barrier, parity, true, file, line);
}
DEVICE void cluster_arrive(EMULATOR_AT) { emulator::cluster_arrive(file, line); }
DEVICE void cluster_wait(EMULATOR_AT) { emulator::cluster_wait(file, line); }
DEVICE void store_to_cluster(float2* to, int block, float2 value, uint64_t* barrier, EMULATOR_AT) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  emulator::store_to_cluster(to, block, bits, barrier, file, line);
}

DEVICE void tma_load_2d(void* to, const TensorMap* map, uint64_t* barrier, int c0, int c1,
                        EMULATOR_AT) {
  emulator::tma_load(to, map, barrier, {c0, c1}, file, line);
}
DEVICE void tma_load_2d_to_cluster(void* to, const TensorMap* map, uint64_t* barrier,
                                   unsigned blocks, int c0, int c1, EMULATOR_AT) {
  emulator::tma_load_to_cluster(to, map, barrier, blocks, {c0, c1}, file, line);
}
DEVICE void tma_load_4d(void* to, const TensorMap* map, uint64_t* barrier, int c0, int c1, int c2,
                        int c3, EMULATOR_AT) {
  emulator::tma_load(to, map, barrier, {c0, c1, c2, c3}, file, line);
}
DEVICE void tma_load_im2col_4d(void* to, const TensorMap* map, uint64_t* barrier, int c, int w,
                               int h, int n, int offset_w, int offset_h, EMULATOR_AT) {
  emulator::tma_load_im2col(to, map, barrier, {c, w, h, n}, {offset_w, offset_h}, file, line);
}
DEVICE void tma_store_2d(const TensorMap* map, const void* from, int c0, int c1, EMULATOR_AT) {
  emulator::tma_store(map, from, {c0, c1}, file, line);
}
DEVICE void tma_store_4d(const TensorMap* map, const void* from, int c0, int c1, int c2, int c3,
                         EMULATOR_AT) {
  emulator::tma_store(map, from, {c0, c1, c2, c3}, file, line);
}
DEVICE void tma_store_commit() { emulator::tma_store_commit(); }
DEVICE void tma_store_wait_read() { emulator::tma_store_wait(false); }
DEVICE void tma_store_wait_all() { emulator::tma_store_wait(true); }
DEVICE void prefetch_map(const TensorMap*) {}
DEVICE void fence_async_proxy() { emulator::fence_async_proxy(); }

DEVICE void named_barrier(int id, int threads, EMULATOR_AT) {
  emulator::named_barrier(id, threads, file, line);
}
DEVICE void named_barrier_arrive(int id, int threads, EMULATOR_AT) {
  emulator::named_barrier_arrive(id, threads, file, line);
}
template <int kCount>
DEVICE void registers_shrink(EMULATOR_AT) {
  emulator::change_registers(kCount, false, file, line);
}
template <int kCount>
DEVICE void registers_grow(EMULATOR_AT) {
  emulator::change_registers(kCount, true, file, line);
}
DEVICE void wait_for_previous_grid(EMULATOR_AT) { emulator::wait_for_previous_grid(file, line); }
DEVICE void let_next_grid_start() {}

template <typename T, int kColumns, int kTransposedB = 0>
DEVICE void wgmma(float (&d)[kColumns / 2], uint64_t a, uint64_t b, bool accumulate, EMULATOR_AT) {
  emulator::wgmma(d, a, nullptr, b, {kColumns, Number<T>::kType, kTransposedB != 0, accumulate},
                  file, line);
}
template <typename T, int kColumns, int kTransposedB = 0>
DEVICE void wgmma(float (&d)[kColumns / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate,
                  EMULATOR_AT) {
  emulator::wgmma(d, 0, a, b, {kColumns, Number<T>::kType, kTransposedB != 0, accumulate}, file,
                  line);
}
DEVICE void wgmma_fence() { emulator::wgmma_fence(); }
DEVICE void wgmma_commit() { emulator::wgmma_commit(); }
template <int kKeep>
DEVICE void wgmma_wait(EMULATOR_AT) {
  emulator::wgmma_wait(kKeep, file, line);
}
DEVICE void wgmma_hold(float value, EMULATOR_AT) {
  if (value < 0) emulator::fail(file, line, "wgmma_hold: a negative value traps");
}
template <int kCount>
DEVICE void wgmma_pin(float (&)[kCount]) {}
DEVICE uint64_t wgmma_descriptor(const void* data, int leading_bytes, int stride_bytes,
                                 EMULATOR_AT) {
  return matrix_descriptor(emulator::wgmma_operand(data, file, line), leading_bytes, stride_bytes);
}

}  // namespace deepcache::cuda
