// From a row of the step table to the plain data that the library takes.

#include "cuda/host/backend.h"

namespace deepcache::cuda {
namespace {

float* values(Buffer* buffer) {
  return buffer ? reinterpret_cast<float*>(static_cast<CudaBuffer*>(buffer)->data()) : nullptr;
}

void require(const void* data, const char* what) {
  if (!data) throw Error(ErrorCode::kInternal, std::string("sampler: the state has no ") + what);
}

void require_slot(const SamplerCall& call, Slot slot) {
  if (slot == Slot::noise) require(call.noise, "noise");
  if (int(slot) >= kFirstHistorySlot)
    require(call.history[int(slot) - kFirstHistorySlot], "history slot of the table");
}

void copy_assignments(SamplerCall& call, const StepRow& row) {
  if (row.assignments.size() > size_t(kMaxAssignments))
    throw Error(ErrorCode::kInternal, "sampler: too many assignments");
  for (const Assignment& assignment : row.assignments) {
    auto& to = call.assignment[call.assignments++];
    if (assignment.terms.size() > size_t(kMaxTerms))
      throw Error(ErrorCode::kUnsupported, "step table: an assignment has more than " +
                                               std::to_string(kMaxTerms) + " terms");
    to.to = assignment.to;
    require_slot(call, assignment.to);
    for (const Term& term : assignment.terms) {
      require_slot(call, term.slot);
      to.term[to.terms++] = {term.slot, term.coefficient};
    }
  }
}

}  // namespace

SamplerCall CudaBackend::sampler_call(const SamplerState& state, const StepTable& table,
                                      int row_index) {
  const StepRow& row = table.rows[row_index];
  if (table.values != values_ || !device_values_) {
    synchronize();  // rows in flight read the old numbers
    device_values_ =
        std::make_unique<CudaMemory>(api_, context_, table.values.size() * sizeof(float));
    device_values_->upload(table.values.data(), table.values.size() * sizeof(float), 0);
    values_ = table.values;
  }

  SamplerCall c{};
  c.batch = state.batch;
  c.halves = state.halves;
  c.pixels = state.pixels;
  c.channels = state.channels;
  c.input_channels = state.input_channels;
  c.x = values(state.x);
  c.model_input = values(state.model_input);
  c.model_output = values(state.model_output);
  c.m = values(state.m);
  c.x0 = values(state.x0);
  c.noise = values(state.noise);
  for (int i = 0; i < kHistorySlots; i++) c.history[i] = values(state.history[i]);
  c.constant = values(state.constant);
  c.mask = values(state.mask);
  c.init = values(state.init);
  c.init_noise = values(state.init_noise);
  c.values = reinterpret_cast<const float*>(device_values_->data());

  c.input_scale = row.input_scale;
  c.guided = row.guided;
  c.guidance_scale = row.guidance_scale;
  c.guidance_rescale = row.guidance_rescale;
  if (row.guided)
    for (int sample = 0; sample < state.batch; sample++)
      c.rescaled |= table.value(row.guidance_rescale, sample) != 0;
  c.x0_x = row.x0_x;
  c.x0_m = row.x0_m;
  c.limit = row.limit;
  c.clamp = row.clamp;
  c.threshold_ratio = row.threshold_ratio;
  c.threshold_max = row.threshold_max;
  c.noise_draw = row.noise;
  c.blended = row.blended;
  c.blend_init = row.blend_init;
  c.blend_noise = row.blend_noise;
  copy_assignments(c, row);
  return c;
}

void CudaBackend::sampler_input(const SamplerState& state, const StepTable& table, int row) {
  const SamplerCall c = sampler_call(state, table, row);
  require(c.x, "x");
  require(c.model_input, "model input");
  if (c.input_channels > c.channels) require(c.constant, "constant channels");
  call(api_.sampler_input, context_, &c);
}

void CudaBackend::sampler_step(const SamplerState& state, const StepTable& table, int row) {
  const SamplerCall c = sampler_call(state, table, row);
  if (c.guided && c.halves != 2)
    throw Error(ErrorCode::kInternal, "sampler: a guided row without two halves");
  require(c.x, "x");
  require(c.model_output, "model output");
  require(c.m, "m");
  require(c.x0, "x0");
  if (c.blended) {
    require(c.mask, "mask");
    require(c.init, "initial latents");
    require(c.init_noise, "initial noise");
  }
  call(api_.sampler_step, context_, &c);
}

}  // namespace deepcache::cuda
