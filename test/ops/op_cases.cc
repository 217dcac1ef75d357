#include "op_cases.h"

#include <cmath>
#include <cstring>
#include <sstream>

namespace deepcache::test {

double OpBuilder::random() {
  seed_ = seed_ * 1664525u + 1013904223u;
  return double(seed_ >> 8) / double(1 << 23) - 1;
}

namespace {

// The fewest bits that make a difference are those of `unit`.
float shortened(double value, double unit) { return float(std::floor(value / unit) * unit); }

}  // namespace

Tensor OpBuilder::input(Shape shape, double scale, double offset) {
  return external_input(shape, [&](size_t) {
    const double value = random() * scale + offset;
    return is_short_ ? shortened(value, std::ldexp(1, std::ilogb(value) - 7)) : float(value);
  });
}

Tensor OpBuilder::short_input(Shape shape) {
  return external_input(shape, [&](size_t index) {
    const int row = int(index / size_t(shape.c));
    const int sample = int(index / (shape.count() / size_t(shape.n)));
    const int limit = 128 - (row * 13 + sample * 29) % 60;
    return float(std::ldexp(std::floor(random() * limit), row * 5 % 7 - 10));
  });
}

Tensor OpBuilder::external_input(Shape shape, const std::function<float(size_t index)>& value) {
  const Tensor tensor = plan.external({PortKind::sample, int(inputs.size())}, shape);
  std::vector<float>& values = inputs[tensor.id];
  for (size_t i = 0; i < shape.count(); i++) values.push_back(value(i));
  if (!staged_) return tensor;
  Elementwise copy;
  copy.x = tensor;
  copy.y = plan.temporary(shape);
  plan.add(copy);
  return copy.y;
}

Tensor OpBuilder::ids(Shape shape, int below) {
  const Tensor tensor = plan.external(PortKind::ids, shape, Type::i32);
  std::vector<float>& values = inputs[tensor.id];
  values.resize(shape.count());
  for (float& v : values) v = float(int((random() + 1) / 2 * below));
  return tensor;
}

Tensor OpBuilder::output(Shape shape) {
  return staged_ ? plan.temporary(shape) : plan.external(PortKind::out, shape);
}

Tensor OpBuilder::finish(const Op& op) {
  plan.add(op);
  if (!staged_) return op.output();
  Elementwise copy;
  copy.x = op.output();
  copy.y = plan.external(PortKind::out, copy.x.shape);
  plan.add(copy);
  return copy.y;
}

WeightId OpBuilder::weight(Recipe recipe, int out, int in, int kernel_h, int kernel_w,
                           std::vector<int> parts, Type type, bool fp8) {
  WeightSpec spec{recipe, {}, out, in, kernel_h, kernel_w};
  spec.fp8 = fp8;
  if (parts.empty()) parts = {out};
  const size_t row = size_t(in) * kernel_h * kernel_w;
  for (const int rows : parts) {
    const std::string name = "weight" + std::to_string(stored_.size());
    spec.names.push_back(name);
    if (parts.size() > 1) spec.rows.push_back(rows);
    Stored& stored = stored_[name];
    const size_t count = rows * row;
    stored.tensor.type = type;
    stored.tensor.count = count;
    stored.tensor.shape = {rows};
    if (recipe != Recipe::vector) stored.tensor.shape.push_back(in);
    if (kernel_h * kernel_w > 1) {
      stored.tensor.shape.push_back(kernel_h);
      stored.tensor.shape.push_back(kernel_w);
    }
    const double scale = recipe == Recipe::vector ? 1 : 1.7 / std::sqrt(double(row));
    stored.bytes.resize(count * bytes_of(type));
    for (size_t i = 0; i < count; i++) {
      const double exact = random() * scale;
      const float value = is_short_ && recipe != Recipe::vector
                              ? shortened(exact, std::ldexp(1, std::ilogb(scale) - 5))
                              : float(exact);
      if (type == Type::f32) {
        std::memcpy(stored.bytes.data() + i * 4, &value, 4);
      } else {  // bf16: the upper half
        std::memcpy(stored.bytes.data() + i * 2, reinterpret_cast<const char*>(&value) + 2, 2);
      }
    }
    stored.tensor.data = stored.bytes.data();
  }
  return plan.weight(spec);
}

class OpBuilder::Source : public WeightSource {
 public:
  explicit Source(const std::map<std::string, Stored>& stored) : stored_(stored) {}
  const SourceTensor* find(const std::string& name) const override {
    const auto found = stored_.find(name);
    return found == stored_.end() ? nullptr : &found->second.tensor;
  }
  std::vector<std::string> names() const override { return {}; }
  std::string description() const override { return "test weights"; }

 private:
  const std::map<std::string, Stored>& stored_;
};

std::shared_ptr<WeightSource> OpBuilder::source() { return std::make_shared<Source>(stored_); }

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = [] {
    std::vector<OpCase> all;
    const auto add = [&](const std::vector<OpCase>& some) {
      all.insert(all.end(), some.begin(), some.end());
    };
#define DEEPCACHE_OP(Type, name) add(name##_cases());
    DEEPCACHE_OPS(DEEPCACHE_OP)
#undef DEEPCACHE_OP
    return all;
  }();
  return cases;
}

CaseResult run_case(const OpCase& test, Backend& backend, const CheckOptions& options) {
  CaseResult out;
  OpBuilder builder(12345, options.staged, options.is_short);
  const Op op = test.record(builder);
  Plan& plan = builder.plan;
  const Tensor result = builder.finish(op);
  plan.finish();

  ReferenceState reference;
  const auto source = builder.source();
  for (size_t i = 0; i < plan.weights().size(); i++) {
    std::vector<double>& values = reference.weights[int(i)];
    for (const std::string& name : plan.weights()[i].names) {
      const SourceTensor& tensor = *source->find(name);
      std::vector<float> floats(tensor.count);
      read_floats(tensor, 0, tensor.count, floats.data());
      values.insert(values.end(), floats.begin(), floats.end());
    }
    if (backend.fp8() && plan.weights()[i].fp8) reference.fp8.insert(int(i));
  }
  for (const auto& [id, values] : builder.inputs)
    reference.tensors[id].assign(values.begin(), values.end());
  for (const Op& each : plan.ops()) run_reference(each, reference);

  Weights weights(source, backend);
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<Binding> bindings;
  for (const External& external : plan.externals()) {
    const size_t count = plan.shape(external.tensor).count();
    // Values before and behind must stay as they are.
    buffers.push_back(backend.allocate((count + 64) * 4));
    const std::vector<float> guard(count + 64, 77.0f);
    buffers.back()->upload(guard.data(), guard.size() * 4);
    bindings.push_back({buffers.back().get(), 32 * 4});
    const auto found = builder.inputs.find(external.tensor);
    if (found == builder.inputs.end()) continue;
    if (external.type == Type::i32) {
      const std::vector<int32_t> ids(found->second.begin(), found->second.end());
      buffers.back()->upload(ids.data(), count * 4, 32 * 4);
    } else {
      buffers.back()->upload(found->second.data(), count * 4, 32 * 4);
    }
  }
  const auto arena = backend.allocate(backend.arena_bytes(plan));
  const std::vector<char> nans(arena->bytes(), char(0xff));
  arena->upload(nans.data(), nans.size());
  const auto program = backend.compile(plan, weights, *arena, bindings);
  program->run(0, nullptr, nullptr);
  backend.synchronize();

  size_t packed = 0;
  for (const WeightSpec& spec : backend.weights_of(plan)) packed += backend.packed_bytes(spec);
  if (packed != weights.packed_bytes()) out.problem = "packed_bytes() is not what pack() took";
  const std::vector<std::string> kernels = program->kernels();
  for (size_t i = 0; i < kernels.size(); i++)
    if (plan.ops()[i].output().id == op.output().id) out.kernel = kernels[i];
  out.kernels = kernels;

  const int y = result.id;
  const size_t count = plan.shape(y).count();
  const int index = plan.external_index(y);
  std::vector<float> all(count + 64);
  buffers[index]->download(all.data(), all.size() * 4);
  for (size_t i = 0; i < all.size(); i++)
    if ((i < 32 || i >= 32 + count) && all[i] != 77.0f) out.problem = "wrote outside of its output";
  const std::vector<float> actual(all.begin() + 32, all.end() - 32);
  const std::vector<double>& expected = reference.tensors[op.output().id];
  out.error = relative_error(actual, expected);
  out.largest = largest_error(actual, expected);
  const double tolerance = options.tolerance ? options.tolerance : test.tolerance;
  if (!out.problem.empty() || (out.error <= tolerance && out.largest <= 20 * tolerance)) return out;
  std::ostringstream message;
  message << "relative error " << out.error << ", largest " << out.largest << ", tolerance "
          << tolerance;
  out.problem = message.str();
  return out;
}

std::string check_case(const OpCase& test, Backend& backend, const CheckOptions& options) {
  return run_case(test, backend, options).problem;
}

}  // namespace deepcache::test
