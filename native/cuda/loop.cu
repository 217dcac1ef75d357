#include "cuda/loop.h"

namespace deepcache::cuda {
namespace {

SamplerFeatures features_of(const LoopSpec& spec) {
  SamplerFeatures features;
  for (const StepRow* row = spec.rows; row != spec.rows + spec.row_count; row++) {
    const Coefficient rescale = row->guidance_rescale;
    for (int sample = 0; row->guided && sample < spec.shape.batch; sample++)
      features.rescaled |= spec.values[rescale.offset + rescale.stride * unsigned(sample)] != 0;
    features.ruled |= row->guided && row->rule.kind != GuidanceRule::Kind::linear;
    features.thresholded |= row->limit == StepRow::Limit::threshold;
    features.keeps |= row->max_skips > 0;
  }
  return features;
}

}  // namespace

DeviceLoop::DeviceLoop(Context& context) : context_(context), state_(sizeof(LoopState)), done_(2) {}

void DeviceLoop::begin(const LoopSpec& spec, const std::vector<DeviceSegments>& programs) {
  gpu::synchronize(context_.stream);
  upload_table(spec);
  const SamplerFeatures features = features_of(spec);
  rows_.clear();
  for (int row = 0; row < spec.row_count; row++) {
    const auto graph_of = [&](int program) {
      return &graph(key_of(spec, programs, row, program, features));
    };
    const StepRow& at = spec.rows[row];
    rows_.push_back({graph_of(at.program), at.max_skips > 0 ? graph_of(at.instead) : nullptr});
  }
  shape_ = spec.shape;
  changes_.resize(size_t(spec.shape.batch));
  next_ = 0;
}

void DeviceLoop::upload_table(const LoopSpec& spec) {
  const size_t row_bytes = sizeof(StepRow) * size_t(spec.row_count);
  const size_t term_bytes = sizeof(Term) * spec.term_count;
  const size_t value_bytes = sizeof(float) * spec.value_count;
  const size_t scratch_bytes = sizeof(float) * kScratchFloats * size_t(spec.shape.batch);
  const size_t bytes = row_bytes + term_bytes + value_bytes + scratch_bytes;
  if (table_.bytes() < bytes) {
    table_ = {};  // the old one goes first
    table_ = gpu::Memory(bytes);
  }
  char *const terms = table_.data() + row_bytes, *const values = terms + term_bytes;
  gpu::upload(table_.data(), spec.rows, row_bytes, context_.stream);
  gpu::upload(terms, spec.terms, term_bytes, context_.stream);
  gpu::upload(values, spec.values, value_bytes, context_.stream);
  change_offset_ = row_bytes + term_bytes + value_bytes +
                   sizeof(float) * kChangePlace * size_t(spec.shape.batch);
  const LoopState state{0,
                        0,
                        spec.shape,
                        spec.buffers,
                        reinterpret_cast<const StepRow*>(table_.data()),
                        reinterpret_cast<const Term*>(terms),
                        reinterpret_cast<const float*>(values),
                        reinterpret_cast<float*>(values + value_bytes)};
  gpu::upload(state_.data(), &state, sizeof state, context_.stream);
}

DeviceLoop::Key DeviceLoop::key_of(const LoopSpec& spec,
                                   const std::vector<DeviceSegments>& programs, int row,
                                   int program, SamplerFeatures features) {
  // Full calls keep their input; all others have the same graph in tables that skip and in others.
  features.keeps &= program != kNoProgram && spec.keys[program].kind == ProgramKey::Kind::full;
  if (program == kNoProgram) return {{}, Halves::none, spec.shape, features};
  for (const DeviceSegment& segment : programs[program])
    segment.program->check_step(row - spec.rows[row].uncalled);
  return {programs[program], spec.keys[program].halves, spec.shape, features};
}

const DeviceLoop::Recorded& DeviceLoop::graph(const Key& key) {
  const auto found = graphs_.find(key);
  if (found != graphs_.end()) return *found;
  gpu::Graph made;
  if (!context_.switches.synchronous)
    made = context_.record([&](Stream stream) { launch(key, stream); });
  return *graphs_.emplace(key, std::move(made)).first;
}

void DeviceLoop::launch(const Key& key, Stream stream) const {
  const auto& [segments, halves, shape, features] = key;
  const auto name = [] { return "the sampler"; };
  context_.run(name, [&] {
    if (segments.empty())
      launch_sampler_row(state(), stream);
    else
      launch_sampler_input(state(), shape, features, slices_of(segments), stream);
  });
  for (const auto& [program, first, last] : segments) program->enqueue(first, last, stream);
  context_.run(name, [&] { launch_sampler_step(state(), shape, features, halves, stream); });
}

float DeviceLoop::change() {
  launch_sampler_change(state(), shape_, context_.stream);
  const float* const scratch = reinterpret_cast<const float*>(table_.data() + change_offset_);
  gpu::download(changes_.data(), scratch, changes_.size() * sizeof(float), context_.stream);
  float largest = 0;
  for (const float change : changes_)
    if (!(change <= largest)) largest = change;  // a NaN stays
  return largest;
}

const DeviceLoop::Recorded& DeviceLoop::next(bool skips) const {
  if (next_ >= int(rows_.size()))
    throw Error(ErrorCode::kInternal, "loop: the table has no more rows");
  const auto [program, instead] = rows_[next_];
  if (skips && !instead) throw Error(ErrorCode::kInternal, "loop: the row has nothing to skip");
  return skips ? *instead : *program;
}

void DeviceLoop::enqueue(bool skips) {
  const auto& [key, graph] = next(skips);
  if (context_.switches.synchronous)
    launch(key, context_.stream);
  else
    graph.launch(context_.stream);
  end_row();
}

void DeviceLoop::input(bool skips) {
  const auto& [segments, halves, shape, features] = next(skips).first;
  if (segments.empty()) throw Error(ErrorCode::kInternal, "loop: the row has no input");
  launch_sampler_input(state(), shape, features, {}, context_.stream);
}

void DeviceLoop::apply(bool skips) {
  const auto& [segments, halves, shape, features] = next(skips).first;
  launch_sampler_step(state(), shape, features, halves, context_.stream);
  end_row();
}

void DeviceLoop::end_row() {
  done_[next_ % 2].record(context_.stream);
  next_++;
}

void DeviceLoop::wait(int row) const {
  if (row < 0 || row >= next_ || row < next_ - 2)
    throw Error(ErrorCode::kInternal, "loop: the row is not one of the last two");
  done_[row % 2].wait();
}

}  // namespace deepcache::cuda
