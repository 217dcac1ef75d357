#include "cuda/host/loop.h"

#include "cuda/host/program.h"

namespace deepcache::cuda {
namespace {

float* values(Buffer* buffer) {
  return buffer ? reinterpret_cast<float*>(static_cast<CudaBuffer*>(buffer)->data()) : nullptr;
}

void require(const void* data, const char* what) {
  if (!data) throw Error(ErrorCode::kInternal, std::string("sampler: the state has no ") + what);
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
  require(b.x, "x");
  require(b.model_input, "model input");
  require(b.model_output, "model output");
  require(b.m, "m");
  require(b.x0, "x0");
  if (state.input_channels > state.channels) require(b.constant, "constant channels");
  return b;
}

void require_slot(const SamplerBuffers& buffers, Slot slot) {
  if (slot == Slot::noise) require(buffers.noise, "noise");
  if (int(slot) >= kFirstHistorySlot)
    require(buffers.history[int(slot) - kFirstHistorySlot], "history slot of the table");
}

void copy_assignments(SamplerRow& out, const StepRow& row, const SamplerBuffers& buffers) {
  if (row.assignments.size() > size_t(kMaxAssignments))
    throw Error(ErrorCode::kInternal, "sampler: too many assignments");
  for (const Assignment& assignment : row.assignments) {
    auto& to = out.assignment[out.assignments++];
    if (assignment.terms.size() > size_t(kMaxTerms))
      throw Error(ErrorCode::kUnsupported, "step table: an assignment has more than " +
                                               std::to_string(kMaxTerms) + " terms");
    to.to = assignment.to;
    require_slot(buffers, assignment.to);
    for (const Term& term : assignment.terms) {
      require_slot(buffers, term.slot);
      to.term[to.terms++] = {term.slot, term.coefficient};
    }
  }
}

SamplerRow row_of(const StepTable& table, const StepRow& row, const SamplerState& state,
                  const SamplerBuffers& buffers) {
  SamplerRow out{};
  if (row.guided && state.halves != 2)
    throw Error(ErrorCode::kInternal, "sampler: a guided row without two halves");
  if (row.blended) {
    require(buffers.mask, "mask");
    require(buffers.init, "initial latents");
    require(buffers.init_noise, "initial noise");
  }
  out.input_scale = row.input_scale;
  out.guided = row.guided;
  out.guidance_scale = row.guidance_scale;
  out.guidance_rescale = row.guidance_rescale;
  if (row.guided)
    for (int sample = 0; sample < state.batch; sample++)
      out.rescaled |= table.value(row.guidance_rescale, sample) != 0;
  out.x0_x = row.x0_x;
  out.x0_m = row.x0_m;
  out.limit = row.limit;
  out.clamp = row.clamp;
  out.threshold_ratio = row.threshold_ratio;
  out.threshold_max = row.threshold_max;
  out.noise_draw = row.noise;
  out.blended = row.blended;
  out.blend_init = row.blend_init;
  out.blend_noise = row.blend_noise;
  copy_assignments(out, row, buffers);
  return out;
}

}  // namespace

void CudaLoop::begin(const StepTable& table, const SamplerState& state,
                     const std::vector<Program*>& programs) {
  LoopSpec spec{{state.batch, state.halves, state.pixels, state.channels, state.input_channels},
                buffers_of(state)};
  std::vector<SamplerRow> rows;
  std::vector<ProgramHandle*> handles;
  for (const StepRow& row : table.rows) {
    rows.push_back(row_of(table, row, state, spec.buffers));
    handles.push_back(static_cast<CudaProgram*>(programs[row.program])->handle_);
  }
  spec.rows = rows.data();
  spec.programs = handles.data();
  spec.row_count = int(rows.size());
  spec.values = table.values.data();
  spec.value_count = table.values.size();
  call(api_.loop_begin, handle_, static_cast<const LoopSpec*>(&spec));
}

void CudaLoop::enqueue(const CancelFlag* cancel) {
  if (cancel && *cancel) throw Error(ErrorCode::kAborted, "aborted");
  call(api_.loop_enqueue, handle_);
}

}  // namespace deepcache::cuda
