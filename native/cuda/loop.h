#pragma once

// A run's step table on the device: each row launches one graph, the program (if it has one) with
// the sampler's kernels around it. Rows, coefficients and the row's number are in device memory, so
// that a graph is recorded once for a list of segments and serves all rows and all later runs.
//
// A row that may skip its program has a graph for either case. The number that decides is read back
// before one of them is launched, so the device is idle between the row before and this one, and
// between no others. Conditional nodes of one graph would save that wait, but a graph would then
// belong to a pair of lists instead of one, the host would have to ask what ran all the same, as
// it reports each row, and they need a newer driver than everything else here.

#include <map>
#include <tuple>
#include <vector>

#include "cuda/kernels/sampler.h"
#include "cuda/program.h"

namespace deepcache::cuda {

class DeviceLoop {
 public:
  explicit DeviceLoop(Context& context);
  DeviceLoop(DeviceLoop&&) = default;
  // Waits for the rows of an earlier run, copies the table, and records what is not recorded yet.
  // Throws Error(kInternal) when a program has too few slices. `programs` are the spec's.
  void begin(const LoopSpec& spec, const std::vector<DeviceSegments>& programs);
  // See Loop::change().
  float change();
  // Enqueues the next row: allocates nothing and waits for nothing.
  void enqueue(bool skips);
  // The next row in two parts, without its program, as single kernels.
  void input(bool skips);
  void apply(bool skips);
  // Until one of the last two rows has been computed.
  void wait(int row) const;
  Context& context() { return context_; }

 private:
  // What the program runs, nothing for a row that predicts; what it computes.
  using Key = std::tuple<DeviceSegments, Halves, SamplerShape, SamplerFeatures>;
  using Recorded = std::pair<const Key, gpu::Graph>;

  LoopState* state() const { return reinterpret_cast<LoopState*>(state_.data()); }
  void upload_table(const LoopSpec& spec);
  static Key key_of(const LoopSpec& spec, const std::vector<DeviceSegments>& programs, int row,
                    int program, SamplerFeatures features);
  const Recorded& graph(const Key& key);
  // A row of the key on any stream.
  void launch(const Key& key, Stream stream) const;
  const Recorded& next(bool skips) const;
  void end_row();

  Context& context_;
  gpu::Memory state_;                 // a LoopState
  gpu::Memory table_;                 // rows, terms, values and scratch of the longest run so far
  std::vector<float> changes_;        // of the samples, for change()
  std::map<Key, gpu::Graph> graphs_;  // empty ones with Switches::synchronous
  struct Row {
    const Recorded* program;
    const Recorded* instead;  // null where the row always runs its program
  };
  std::vector<Row> rows_;
  SamplerShape shape_{};
  size_t change_offset_ = 0;      // in table_
  std::vector<gpu::Event> done_;  // of even and odd rows
  int next_ = 0;
};

}  // namespace deepcache::cuda
