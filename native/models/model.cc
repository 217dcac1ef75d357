#include "model.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "../runtime/error.h"
#include "layout.h"

namespace deepcache {
namespace {

constexpr size_t kReleaseAfter = size_t(256) << 20;  // bytes

// The first of the plans' weights that holds a value which is not finite; empty when there is none.
std::string weight_not_finite(const std::vector<Plan>& plans, const WeightSource& source) {
  constexpr size_t kSome = 1 << 16;
  std::vector<float> values;
  for (const Plan& plan : plans)
    for (const WeightSpec& spec : plan.weights())
      for (const std::string& name : spec.names) {
        const SourceTensor* tensor = source.find(name);
        for (size_t at = 0; tensor && at < tensor->count; at += kSome) {
          values.resize(std::min(kSome, tensor->count - at));
          read_floats(*tensor, at, values.size(), values.data());
          if (!all_finite(values)) return source.stored_name(name);
        }
      }
  return "";
}

}  // namespace

Bindings bindings_of(const Buffers& buffers) {
  Bindings bindings;
  for (const auto& [port, buffer] : buffers) bindings[port] = {buffer.get()};
  return bindings;
}

void upload_nchw(const Plan& plan, const Buffers& buffers, Port port, const float* values) {
  const Shape shape = plan.shape(plan.find_external(port).tensor);
  std::vector<float> rows(shape.count());
  nchw_to_nhwc(values, rows.data(), shape.n, shape.c, size_t(shape.h) * shape.w);
  buffers.at(port)->upload(rows.data(), rows.size() * sizeof(float));
}

std::vector<float> download_nchw(const Plan& plan, const Buffers& buffers, Port port,
                                 Shape* shape) {
  *shape = plan.shape(plan.find_external(port).tensor);
  const std::vector<float> rows = values_of(*buffers.at(port));
  std::vector<float> out(rows.size());
  nhwc_to_nchw(rows.data(), out.data(), shape->n, shape->c, size_t(shape->h) * shape->w);
  return out;
}

std::vector<float> values_of(const Buffer& buffer) {
  std::vector<float> values(buffer.bytes() / sizeof(float));
  buffer.download(values.data(), buffer.bytes());
  return values;
}

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

Model::Model(std::shared_ptr<WeightSource> source, std::shared_ptr<Backend> backend)
    : source_(std::make_shared<AdaptedWeights>(std::move(source))),
      backend_(std::move(backend)),
      weights_(source_, *backend_) {}

size_t Model::adapt(AdapterTerms terms) {
  require_intact();
  std::set<std::string> names;
  for (const auto& [name, list] : terms) names.insert(name);
  AdapterTerms before = source_->exchange(std::move(terms));
  try {
    return weights_.update(names);
  } catch (...) {
    try {
      source_->exchange(std::move(before));
      weights_.update(names);
    } catch (...) {
      is_intact_ = false;
    }
    throw;
  }
}

std::vector<float> Model::read_weight(const std::string& name) const {
  const SourceTensor* const tensor = source_->find(name);
  if (!tensor)
    throw Error(ErrorCode::kInvalidArgument,
                source_->description() + " has no weight \"" + name + "\"");
  std::vector<float> values = values_of(*tensor);
  source_->release();
  return values;
}

void Model::require_intact() const {
  if (is_intact_) return;
  throw Error(ErrorCode::kInvalidWeights,
              source_->description() +
                  ": adapters could neither be applied nor taken away; load the model again");
}

void Model::load(const Plan& plan) {
  const std::vector<WeightSpec> specs = backend_->weights_of(plan);
  size_t bytes = 0;
  for (const WeightSpec& spec : specs) bytes += backend_->packed_bytes(spec);
  const auto memory = backend_->reserve(bytes, "the weights of " + source_->description());
  // Pages of the files, or synthetic values, go as soon as they are packed.
  size_t unreleased = 0;
  for (const WeightSpec& spec : specs) {
    weights_.get(spec);
    memory->spend(backend_->packed_bytes(spec));
    unreleased += backend_->packed_bytes(spec);
    if (unreleased < kReleaseAfter) continue;
    source_->release();
    unreleased = 0;
  }
}

void Model::fail_not_finite(const std::string& made_by, const std::vector<Plan>& plans,
                            const std::function<void(const Tap&)>& again) {
  std::string where;
  try {
    const std::string weight = weight_not_finite(plans, *source_);
    if (!weight.empty())
      where =
          "; the weight \"" + weight + "\" of " + source_->description() + " holds such a value";
    std::string layer;
    if (where.empty())
      again([&](const std::string& label, const Shape& shape, const float* values) {
        if (layer.empty() && !all_finite({values, values + shape.count()})) layer = label;
      });
    if (!layer.empty()) where = "; they appear first in " + layer;
  } catch (const Error&) {
    // The files are gone, or memory: then without the place.
  }
  throw Error(ErrorCode::kNotFinite,
              made_by + " made values that are not numbers, or infinite" + where);
}

void Model::finish_loading() { source_->release(); }

std::unique_ptr<Program> Model::compile(const Plan& plan, Buffer& arena, const Bindings& bindings) {
  std::vector<Binding> ordered;
  for (const External& external : plan.externals()) {
    const auto found = bindings.find(external.port);
    if (found == bindings.end())
      throw Error(ErrorCode::kInternal, "no buffer is bound to " + to_string(external.port));
    ordered.push_back(found->second);
  }
  return backend_->compile(plan, weights_, arena, std::move(ordered));
}

Buffers Model::allocate(const Plan& plan) {
  Buffers buffers;
  for (const External& external : plan.externals())
    buffers[external.port] = backend_->allocate(external_bytes(plan, external));
  return buffers;
}

size_t Model::run_once(const Plan& plan, const Bindings& bindings, const CancelFlag* cancel,
                       const Tap* tap) {
  const size_t bytes = arena_bytes(plan);
  const auto memory = backend_->reserve(bytes, "the activations of a forward pass");
  const std::unique_ptr<Buffer> arena = backend_->allocate(bytes);
  memory->spend();
  compile(plan, *arena, bindings)->run(0, cancel, tap);
  backend_->synchronize();
  return bytes;
}

}  // namespace deepcache
