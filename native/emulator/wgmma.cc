#include "wgmma.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "matrix.h"
#include "runtime/e4m3.h"
#include "scheduler.h"
#include "shared_memory.h"
#include "swizzle.h"

namespace deepcache::emulator {
namespace {

constexpr int kRows = 64, kMostDepth = 32, kThreads = 128;
constexpr int kRowBytes = 32;  // of an operand's values of k
constexpr unsigned kAllWarps = 0xf;

Warpgroup& warpgroup() { return current->block->warpgroups[current->index / kThreads]; }

// Row and first column of a thread's values 4 j to 4 j + 3 of accumulators, but for 8 j; of a in
// registers alike. Values 2 and 3 are 8 rows below.
struct Place {
  explicit Place(int thread) : row(thread / 32 * 16 + thread % 32 / 4), column(thread % 4 * 2) {}
  int row, column;
};

// A shared-memory matrix descriptor, by the table of its bits in the PTX manual.
struct Operand {
  Operand(uint64_t descriptor, const char* file, int line)
      : start(uint32_t(descriptor & 0x3fff) << 4),
        leading(uint32_t(descriptor >> 16 & 0x3fff) << 4),
        stride(uint32_t(descriptor >> 32 & 0x3fff) << 4) {
    constexpr uint64_t kUnused = 0x3ff1c000c000c000;
    constexpr const char* kSwizzles[] = {"no", "the 128-byte", "the 64-byte", "the 32-byte"};
    if (descriptor >> 62 != 1)
      fail(file, line, "wgmma: a descriptor says %s swizzle, only the 128-byte one is emulated",
           kSwizzles[descriptor >> 62]);
    if (descriptor & kUnused)
      fail(file, line, "wgmma: a descriptor has bits set that mean nothing (%llx)",
           (unsigned long long)(descriptor & kUnused));
    // The swizzle's pattern repeats every 1024 bytes: 0 says that the matrix begins with it.
    if ((descriptor >> 49 & 7) != 0 || start / 128 % 8)
      fail(file, line,
           "wgmma: a matrix begins in row %u of the swizzle's pattern, its base offset is %u: only "
           "0 and 0 are emulated",
           start / 128 % 8, unsigned(descriptor >> 49 & 7));
  }

  // Of the 16 bytes from a byte on (0 or 16) of the values of k in a row; rows lie along m or n.
  uint32_t chunk(int row, int byte) const {
    return swizzled(start + row / 8 * stride + row % 8 * 128 + byte, 3);
  }
  // Transposed: of 8 columns from `column` on of row k.
  uint32_t transposed_chunk(int column, int k) const {
    return swizzled(start + column / 64 * leading + column % 64 * 2 + k / 8 * stride + k % 8 * 128,
                    3);
  }

  uint32_t start, leading, stride;
};

// The rows of some of the four warps (a bit for each).
class Execution {
 public:
  Execution(Block& block, WgmmaOp& op, unsigned warps)
      : block_(block), op_(op), warps_(warps), depth_(op.shape.type == kE4m3 ? 32 : 16) {}

  void run() {
    statistics.wgmma++;
    fetch_a();
    fetch_b();
    float* const d = op_.d->values.data();
    const int columns = op_.shape.columns;
    for (int m = 0; m < kRows; m++) {
      if (!has_row(m)) continue;
      float* const row = d + m * columns;
      if (!op_.shape.accumulate) std::fill_n(row, columns, 0.0f);
      for (int k = 0; k < depth_; k++) {
        const float factor = a_[m][k], *const values = b_[k];
        for (int n = 0; n < columns; n++) row[n] += factor * values[n];
      }
    }
    op_.warps_done |= warps_;
  }

 private:
  bool has_row(int row) const { return warps_ >> row / 16 & 1; }

  void fetch_a() {
    if (!op_.a_registers[0]) {
      const Operand operand(op_.a, op_.file, op_.line);
      for (int m = 0; m < kRows; m++)
        for (int byte = 0; has_row(m) && byte < kRowBytes; byte += 16)
          fetch(operand.chunk(m, byte), &a_[m][byte * depth_ / kRowBytes]);
      return;
    }
    for (int t = 0; t < kThreads; t++) {
      const Place at(t);
      if (!has_row(at.row)) continue;
      float v[8];
      widen8(op_.a_registers[t], op_.shape.type, v);
      for (int i = 0; i < 8; i++) a_[at.row + i / 2 % 2 * 8][at.column + i / 4 * 8 + i % 2] = v[i];
    }
  }

  void fetch_b() {
    const Operand operand(op_.b, op_.file, op_.line);
    if (op_.shape.transposed_b) return fetch_transposed_b(operand);
    float v[kMostDepth];
    for (int n = 0; n < op_.shape.columns; n++) {
      for (int byte = 0; byte < kRowBytes; byte += 16)
        fetch(operand.chunk(n, byte), &v[byte * depth_ / kRowBytes]);
      for (int k = 0; k < depth_; k++) b_[k][n] = v[k];
    }
  }

  void fetch_transposed_b(const Operand& operand) {
    const int whole = op_.shape.columns / 64 * 64;
    const int columns = options.odd_transposed_columns ? op_.shape.columns : whole;
    for (int n = 0; n < op_.shape.columns; n += 8)
      for (int k = 0; k < depth_; k++)
        if (n >= columns)
          std::fill_n(&b_[k][n], 8, std::numeric_limits<float>::quiet_NaN());
        else
          fetch(operand.transposed_chunk(n, k), &b_[k][n]);
  }

  // 16 bytes of shared memory: 8 values, or 16 of e4m3.
  void fetch(uint32_t address, float* out) {
    if (address + 16 > block_.shared_bytes)
      fail(op_.file, op_.line, "wgmma: an operand reaches outside of shared memory (offset %u)",
           address);
    note_read(block_.shared + address, 16);
    const char* const bytes = block_.shadow + address;
    if (op_.shape.type != kE4m3) return widen8(bytes, op_.shape.type, out);
    for (int i = 0; i < 16; i++) out[i] = e4m3_to_float(uint8_t(bytes[i]));
  }

  Block& block_;
  WgmmaOp& op_;
  const unsigned warps_;
  const int depth_;
  float a_[kRows][kMostDepth], b_[kMostDepth][256];
};

// Runs some warps' parts of the ops before number `end`, which all threads have issued.
void run_until(Block& block, Warpgroup& group, uint64_t end, unsigned warps) {
  const Engine engine;
  happens_after(&group);
  for (size_t i = 0; i < group.ops.size() && group.first + i < end; i++) {
    WgmmaOp& op = group.ops[i];
    if (const unsigned left = warps & ~op.warps_done) Execution(block, op, left).run();
  }
  happens_before(&group);
}

// Calls `visit` with (register, value) of a thread's part.
template <typename Visit>
void for_registers(Accumulators& all, int thread, const Visit& visit) {
  const Place at(thread);
  for (int i = 0; i < all.columns / 2; i++)
    visit(i, all.values[(at.row + i / 2 % 2 * 8) * all.columns + i / 4 * 8 + at.column + i % 2]);
}

// The accumulators that belong to d's registers, which are given up until a wait.
std::shared_ptr<Accumulators> take(float* d, const WgmmaOp& op) {
  AccumulatorRegisters& registers = current->accumulators[d];
  if (!registers.all) {
    const int columns = op.shape.columns;
    registers.all = op.d ? op.d
                         : std::make_shared<Accumulators>(
                               Accumulators{columns, std::vector<float>(kRows * columns)});
    for_registers(*registers.all, current->index % kThreads,
                  [&](int i, float& value) { value = d[i]; });
    std::memset(d, 0xff, columns / 2 * sizeof(float));
  }
  registers.outstanding++;
  return registers.all;
}

void give_back(float* d) {
  const auto found = current->accumulators.find(d);
  if (--found->second.outstanding) return;
  for_registers(*found->second.all, current->index % kThreads,
                [&](int i, const float& value) { d[i] = value; });
  current->accumulators.erase(found);
}

int warp_of(const Fiber& fiber) { return fiber.index % kThreads / 32; }

// Lets the warp's part of the ops before number `end` complete, once all threads have issued them.
// It says nothing of the other warps' parts, which may still read shared memory.
void complete(Block& block, Warpgroup& group, int warp, uint64_t end) {
  const size_t last = size_t(end - group.first) - 1;
  if (group.completing[warp] >= end || last >= group.ops.size() ||
      group.ops[last].issued < kThreads)
    return;
  group.completing[warp] = end;
  const auto run = [&block, &group, warp, end] {
    run_until(block, group, end, 1u << warp);
    std::vector<Fiber*> others;
    for (Fiber* fiber : std::exchange(group.waiting, {}))
      if (warp_of(*fiber) == warp)
        wake(*fiber);
      else
        others.push_back(fiber);
    group.waiting = std::move(others);
  };
  add_async({AsyncOp::product, run, current});
}

}  // namespace

void wgmma(float* d, uint64_t a, const uint32_t* a_registers, uint64_t b, const WgmmaShape& shape,
           const char* file, int line) {
  Internal internal;
  if (shape.type == kE4m3 && (shape.transposed_b || a_registers))
    fail(file, line, "wgmma: operands of e4m3 are not transposed, and not emulated in registers");
  if (!current->wgmma_fenced)
    fail(file, line, "wgmma without wgmma_fence since its registers were last free");
  Warpgroup& group = warpgroup();
  const uint64_t number = current->wgmma_issued++;
  if (number - group.first >= group.ops.size()) {
    WgmmaOp op;
    op.shape = shape;
    op.a = a;
    op.b = b;
    op.file = file;
    op.line = line;
    group.ops.push_back(op);
  }
  WgmmaOp& op = group.ops[number - group.first];
  if (op.line != line || !(op.shape == shape) || op.a != a || op.b != b)
    fail(file, line, "wgmma differs among the threads of a warpgroup");
  const auto all = take(d, op);
  if (op.d && op.d != all)
    fail(file, line, "wgmma: other accumulators than other threads of the warpgroup have");
  op.d = all;
  op.d_registers[current->index % kThreads] = d;
  op.a_registers[current->index % kThreads] = a_registers;
  happens_before(&group);
  if (++op.issued < kThreads) return;
  const bool now = options.async == Async::at_issue ||
                   (options.async == Async::random && random_number() % 2 == 0);
  Block& block = *current->block;
  if (now) run_until(block, group, number + 1, kAllWarps);
  const std::vector<Fiber*> waiting = group.waiting;
  for (const Fiber* fiber : waiting) complete(block, group, warp_of(*fiber), fiber->wgmma_awaited);
}

void wgmma_fence() { current->wgmma_fenced = true; }

void wgmma_commit() {
  Internal internal;
  current->wgmma_groups.push_back(current->wgmma_issued);
}

void wgmma_wait(int keep, const char* file, int line) {
  Internal internal;
  Fiber& fiber = *current;
  Warpgroup& group = warpgroup();
  if (fiber.wgmma_groups.size() <= size_t(keep)) return;
  uint64_t end = 0;
  while (fiber.wgmma_groups.size() > size_t(keep)) {
    end = fiber.wgmma_groups.front();
    fiber.wgmma_groups.pop_front();
  }
  fiber.wgmma_awaited = end;
  const int warp = warp_of(fiber);
  const auto is_done = [&] {
    const size_t last = size_t(end - group.first) - 1;
    return last < group.ops.size() && group.ops[last].warps_done >> warp & 1;
  };
  while (end > group.first && !is_done()) {
    group.waiting.push_back(&fiber);
    complete(*fiber.block, group, warp, end);
    wait("wgmma_wait", file, line);
  }
  happens_after(&group);
  for (; fiber.wgmma_done < end; fiber.wgmma_done++) {
    give_back(group.ops[fiber.wgmma_done - group.first].d_registers[fiber.index % kThreads]);
    fiber.wgmma_fenced = false;
  }
  uint64_t done = std::numeric_limits<uint64_t>::max();
  const int first = fiber.index / kThreads * kThreads;
  for (int t = first; t < first + kThreads; t++)
    done = std::min(done, fiber.block->fibers[t]->wgmma_done);
  for (; group.first < done; group.first++) group.ops.pop_front();
}

uint32_t wgmma_operand(const void* data, const char* file, int line) {
  require_shared(data, 16, 16, "wgmma operand", file, line);
  const long offset = static_cast<const char*>(data) - current->block->shared;
  if (offset < 0) fail(file, line, "wgmma: operands in static shared memory are not emulated");
  return uint32_t(offset);
}

}  // namespace deepcache::emulator
