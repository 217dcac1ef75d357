#pragma once

// The whole surface between models and devices.

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "error.h"
#include "ledger.h"
#include "plan.h"
#include "table.h"

namespace deepcache {

// Device memory, freed with the object.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes) {}
  virtual ~Buffer() = default;
  size_t bytes() const { return bytes_; }
  // Throw Error(kInternal) outside of the buffer. The source may be changed at once.
  void upload(const void* source, size_t bytes, size_t offset = 0);
  // Waits for work in flight.
  void download(void* target, size_t bytes, size_t offset = 0) const;
  // Enqueues a copy from another buffer of the same backend, or from another part of this one.
  void copy(const Buffer& source, size_t bytes, size_t offset = 0, size_t source_offset = 0);

 protected:
  virtual void write(const void* source, size_t bytes, size_t offset) = 0;
  virtual void read(void* target, size_t bytes, size_t offset) const = 0;
  virtual void take(const Buffer& source, size_t bytes, size_t offset, size_t source_offset) = 0;

 private:
  size_t bytes_;
};

struct Binding {
  Buffer* buffer = nullptr;
  size_t offset = 0;  // bytes
  size_t step = 0;    // bytes between the slices of a stepped external; 0: the tensor's own size
};

using CancelFlag = std::atomic<bool>;
// Throws Error(kAborted) when there is a flag and it is true.
void check_cancelled(const CancelFlag* cancel);

// Called after the op that wrote a labelled value, with the value in NHWC order.
using Tap = std::function<void(const std::string& label, const Shape& shape, const float* values)>;

class Program;

// What a row of a step table runs: segments of one network or of several, in order.
struct Segment {
  Program* program = nullptr;
  OpRange ops;
};
using Segments = std::vector<Segment>;

// A plan made executable: weights packed, buffers bound.
class Program {
 public:
  explicit Program(const Plan& plan) : ops_(plan.all()) {}
  virtual ~Program() = default;
  // Enqueues a segment of the plan (the CPU computes it at once). `step` picks the slice of stepped
  // externals. Throws Error(kAborted) soon after `cancel` became true.
  void run(OpRange ops, int step, const CancelFlag* cancel, const Tap* tap);
  void run(int step, const CancelFlag* cancel, const Tap* tap) { run(ops_, step, cancel, tap); }
  Segments whole() { return {{this, ops_}}; }
  // What serves each op, in words; empty where there is no choice of kernels.
  virtual std::vector<std::string> kernels() const { return {}; }

 protected:
  virtual void run_ops(OpRange ops, int step, const CancelFlag* cancel, const Tap* tap) = 0;

 private:
  OpRange ops_;
};

// One pass.
void run_segments(const Segments& segments, int step, const CancelFlag* cancel, const Tap* tap);

// Runs step tables (table.h): each row builds the U-Net's input, runs a program and applies the row
// to the state. Made once for programs that alternate, and kept as long as they are: what a backend
// prepares for a program serves all later runs.
class Loop {
 public:
  virtual ~Loop() = default;
  // Takes a run; what it points to must live until its last row has been waited for. `programs`
  // belong to table.programs, in order. All that the rows need is allocated here.
  virtual void begin(const StepTable& table, const SamplerState& state,
                     const std::vector<Segments>& programs) = 0;
  // How much the next row's scaled input differs from the one kept by the last full row, relative
  // to that, in L1 norms; of the sample that differs most. Waits for the rows before.
  virtual float change() = 0;
  // Enqueues the next row (the CPU computes it at once), with what it runs `instead` of its program
  // where it `skips` that. Throws Error(kAborted) soon after `cancel` became true.
  virtual void enqueue(bool skips, const CancelFlag* cancel) = 0;
  // The next row in two parts, where somebody else runs the program between them: builds the
  // model's input, and applies its output. The row must have a program.
  virtual void input(bool skips) = 0;
  virtual void apply(bool skips) = 0;
  // Until the row has been computed.
  virtual void wait(int row) = 0;
  // How many rows may be enqueued that have not been waited for: with 2, the device never idles.
  virtual int rows_in_flight() const = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  // How values that layers pass on are stored: f32, f16 or bf16.
  virtual Type activation_type() const = 0;
  virtual Execution execution() const { return Execution::op_by_op; }
  // What a program of the plan needs.
  size_t arena_bytes(const Plan& plan) const {
    return plan.arena_bytes(activation_type(), execution());
  }
  // Whether products whose weights say so (WeightSpec::fp8) are of e4m3.
  virtual bool fp8() const { return false; }
  // Bytes that the device can still give.
  virtual size_t available_memory() const = 0;
  // The same without what others were promised.
  size_t free_memory() const;
  // Hold it until the memory is allocated, and as long as it is when it belongs to a run. Throws
  // Error(kOutOfMemory) naming `what`, the need and what there is.
  std::shared_ptr<Reservation> reserve(size_t bytes, const std::string& what) const;
  // Zero-filled. Throws Error(kOutOfMemory).
  virtual std::unique_ptr<Buffer> allocate(size_t bytes) = 0;
  virtual std::unique_ptr<PackedWeight> pack(const WeightSpec& spec,
                                             const std::vector<const SourceTensor*>& sources) = 0;
  // Puts other values into what pack() made for the same spec, where programs find them.
  virtual void repack(PackedWeight& /*target*/, const WeightSpec& /*spec*/,
                      const std::vector<const SourceTensor*>& /*sources*/) {
    throw Error(ErrorCode::kUnsupported, name() + ": packed weights cannot be replaced");
  }
  // What programs of the plan get of its weights, one for each of plan.weights(): other specs where
  // the backend folds ops into them.
  virtual std::vector<WeightSpec> weights_of(const Plan& plan) const { return plan.weights(); }
  // Bytes that pack() will keep for the spec.
  virtual size_t packed_bytes(const WeightSpec& spec) const = 0;
  // `bindings` in the order of plan.externals(); buffers outlive the program. Programs that never
  // run at the same time, nor between another's segments, may share the arena. Those of equal plans
  // find each other's values there.
  virtual std::unique_ptr<Program> compile(const Plan& plan, Weights& weights, Buffer& arena,
                                           std::vector<Binding> bindings) = 0;
  virtual std::unique_ptr<Loop> make_loop() = 0;
  virtual void synchronize() = 0;
};

// What the CPU's products are of; all else is fp32. bf16: all matrices but those that want full
// precision (WeightSpec::full), and attention. fp8: see Backend::fp8.
enum class Products : uint8_t { fp32, bf16, fp8 };
const char* to_string(Products products);
// `threads` 0: one for each core that the process may use.
std::unique_ptr<Backend> make_cpu_backend(int threads, Products products = Products::fp32);

}  // namespace deepcache
