#include "cuda/host/loop.h"

#include "cuda/host/program.h"

namespace deepcache::cuda {
namespace {

float* values(Buffer* buffer) {
  return buffer ? reinterpret_cast<float*>(static_cast<CudaBuffer*>(buffer)->data()) : nullptr;
}

SamplerBuffers buffers_of(const SamplerState& state) {
  SamplerBuffers b{};
  b.x = values(state.x);
  b.model_input = values(state.model_input);
  b.model_output = values(state.model_output);
  b.m = values(state.m);
  b.x0 = values(state.x0);
  b.noise = values(state.noise);
  for (int i = 0; i < kHistorySlots; i++) b.history[i] = values(state.history[i]);
  b.constant = values(state.constant);
  b.mask = values(state.mask);
  b.init = values(state.init);
  b.init_noise = values(state.init_noise);
  b.kept = values(state.kept);
  return b;
}

}  // namespace

void CudaLoop::begin(const StepTable& table, const SamplerState& state,
                     const std::vector<Segments>& programs) {
  check_state(table, state);
  std::vector<SegmentPlace> segments;
  std::vector<SegmentList> lists;
  for (const Segments& program : programs) {
    lists.push_back({int(segments.size()), int(program.size())});
    for (const Segment& segment : program)
      segments.push_back({static_cast<CudaProgram*>(segment.program)->handle_, segment.ops.first,
                          segment.ops.last});
  }
  LoopSpec spec{{state.batch, state.outputs, state.pixels, state.channels, state.input_channels},
                buffers_of(state)};
  spec.keys = table.programs.data();
  spec.segments = segments.data();
  spec.programs = lists.data();
  spec.program_count = int(lists.size());
  spec.rows = table.rows.data();
  spec.row_count = int(table.rows.size());
  spec.terms = table.terms.data();
  spec.term_count = table.terms.size();
  spec.values = table.values.data();
  spec.value_count = table.values.size();
  call(api_.loop_begin, handle_, static_cast<const LoopSpec*>(&spec));
}

float CudaLoop::change() {
  float change = 0;
  call(api_.loop_change, handle_, &change);
  return change;
}

void CudaLoop::enqueue(bool skips, const CancelFlag* cancel) {
  check_cancelled(cancel);
  call(api_.loop_enqueue, handle_, bool(skips));
}

}  // namespace deepcache::cuda
