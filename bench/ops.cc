#include "ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "../native/runtime/half.h"

namespace deepcache::bench {
namespace {

std::string extent(const Shape& s) {
  return std::to_string(s.n) + "x" + std::to_string(s.h) + "x" + std::to_string(s.w);
}

std::string channels(const Tensor& x, const Tensor& x2) {
  return std::to_string(x.shape.c) + (x2 ? "+" + std::to_string(x2.shape.c) : "");
}

const char* suffix(Activation activation) {
  switch (activation) {
    case Activation::silu:
      return " silu";
    case Activation::gelu:
      return " gelu";
    case Activation::quick_gelu:
      return " quick_gelu";
    case Activation::geglu:
      return " geglu";
    default:
      return "";
  }
}

std::string describe_op(const Conv& c) {
  const int k = c.kernel_h * c.kernel_w;
  std::string out = "linear";
  if (k > 1) out = "conv " + std::to_string(c.kernel_h) + "x" + std::to_string(c.kernel_w);
  if (c.stride > 1) out += "/" + std::to_string(c.stride);
  if (c.upsample) out += " up";
  out += " " + channels(c.x, c.x2) + "->" + std::to_string(c.y.shape.c) + " " + extent(c.y.shape);
  if (c.row) out += " row";
  if (c.residual) out += " residual";
  return out + suffix(c.activation);
}

std::string describe_op(const GroupNorm& g) {
  return "group_norm " + channels(g.x, g.x2) + " " + extent(g.y.shape) + (g.silu ? " silu" : "");
}

std::string describe_op(const LayerNorm& l) {
  return "layer_norm " + std::to_string(l.x.shape.c) + " " + extent(l.x.shape);
}

std::string describe_op(const Attention& a) {
  return "attention " + std::to_string(a.outer * a.inner) + " " + std::to_string(a.heads) + "x" +
         std::to_string(a.head_width) + " " + std::to_string(a.query.length) + "x" +
         std::to_string(a.key.length) + (a.causal ? " causal" : "");
}

std::string describe_op(const Elementwise& e) {
  return std::string("elementwise") + (e.x2 ? " sum " : " ") + std::to_string(e.y.shape.c) + " " +
         extent(e.y.shape) + suffix(e.activation);
}

// The rest take little of any model's time.
template <typename Rest>
std::string describe_op(const Rest& op) {
  return std::string(op.kName) + " " + extent(op.y.shape);
}

bool is_fp32(const Plan& plan, const Tensor& tensor) {
  const int index = plan.external_index(tensor.id);
  return index >= 0 && plan.externals()[index].type == Type::f32;
}

// Whole 128ths: exact in fp16, bf16 and fp32, so that all backends compute on the same numbers.
float random_value(size_t tensor, size_t index) {
  uint32_t x = uint32_t(tensor) * 0x9e3779b9u + uint32_t(index) * 0x85ebca6bu;
  x = (x ^ x >> 15) * 0x2c1b3c6du;
  return float(int(x >> 24) - 128) / 128;
}

// Weights of whatever shape, with sums of products near 1.
class RandomWeights : public WeightSource {
 public:
  explicit RandomWeights(const Plan& plan) {
    size_t most = 0;
    for (const WeightSpec& spec : plan.weights()) most = std::max(most, spec.count());
    for (const WeightSpec& spec : plan.weights()) {
      const size_t fan_in = spec.count() / std::max(spec.out, 1);
      const int halvings = int(std::lround(std::log2(std::max(double(fan_in) / 3, 1.0)) / 2));
      std::vector<float>& values = values_[halvings];
      if (values.empty())
        for (size_t i = 0; i < most; i++)
          values.push_back(std::ldexp(random_value(~size_t(0), i), -halvings));
      for (size_t i = 0; i < spec.names.size(); i++) {
        const std::vector<int64_t> shape = spec.published_shape(i);
        size_t count = 1;
        for (const int64_t n : shape) count *= size_t(n);
        tensors_[spec.names[i]] = {Type::f32, shape, values.data(), count};
      }
    }
  }
  const SourceTensor* find(const std::string& name) const override { return &tensors_.at(name); }
  std::vector<std::string> names() const override { return {}; }
  std::string description() const override { return "random weights"; }

 private:
  std::map<int, std::vector<float>> values_;
  std::map<std::string, SourceTensor> tensors_;
};

std::vector<char> encode(const std::vector<float>& values, Type type) {
  std::vector<char> out(values.size() * bytes_of(type));
  if (type == Type::f32) std::memcpy(out.data(), values.data(), out.size());
  if (type == Type::f16)
    for (size_t i = 0; i < values.size(); i++)
      reinterpret_cast<uint16_t*>(out.data())[i] = float_to_half(values[i]);
  if (type == Type::bf16)  // the upper half
    for (size_t i = 0; i < values.size(); i++)
      std::memcpy(out.data() + 2 * i, reinterpret_cast<const char*>(&values[i]) + 2, 2);
  return out;
}

}  // namespace

OpCost cost_of(const Plan& plan, const Op& op, size_t activation_bytes) {
  OpCost out;
  const auto bytes_of_one = [&](const Tensor& tensor) {
    return is_fp32(plan, tensor) ? 4.0 : double(activation_bytes);
  };
  out.macs = op.macs(plan.weights());
  op.weights([&](const WeightId& id) {
    const WeightSpec& spec = plan.weights()[id];
    const double taps = spec.recipe == Recipe::upsample ? 16.0 / 9 : 1;  // four phases of four
    out.weight_bytes +=
        double(spec.count()) * taps * double(spec.recipe == Recipe::vector ? 4 : activation_bytes);
  });
  out.bytes = out.weight_bytes + double(op.output().shape.count()) * bytes_of_one(op.output());
  if (op.kind == OpKind::attention) {
    const Attention& a = op.attention;
    const double sequences = double(a.outer) * a.inner, width = double(a.heads) * a.head_width;
    out.bytes += sequences * width *
                 (a.query.length * bytes_of_one(a.q) + 2.0 * a.key.length * bytes_of_one(a.k));
    out.exponentials = sequences * a.heads * a.query.length * a.key.length;
    return out;
  }
  op.inputs([&](const Tensor& tensor) {
    if (tensor) out.bytes += double(tensor.shape.count()) * bytes_of_one(tensor);
  });
  return out;
}

std::string describe(const Plan& plan, const Op& op) {
  std::string out = op.visit([](const auto& each) { return describe_op(each); });
  // fp32 tensors go another way through the kernels.
  op.inputs([&](const Tensor& tensor) {
    if (tensor && is_fp32(plan, tensor)) out += " fp32in";
  });
  return out + (is_fp32(plan, op.output()) ? " fp32out" : "");
}

std::vector<DistinctOp> distinct_ops(const Plan& plan) {
  std::vector<DistinctOp> out;
  for (const Op& op : plan.ops()) {
    const std::string name = describe(plan, op);
    const auto known = std::find_if(out.begin(), out.end(),
                                    [&](const DistinctOp& other) { return other.name == name; });
    if (known == out.end())
      out.push_back({name, &op, 1});
    else
      known->count++;
  }
  return out;
}

Plan isolate(const Plan& plan, const Op& op, int copies, bool readable) {
  Plan out;
  std::map<int, int> ids;
  const auto adopt = [&](const Tensor& tensor) {
    if (!tensor) return;
    if (!ids.count(tensor.id)) {
      const int index = plan.external_index(tensor.id);
      const Shape shape = plan.shape(tensor.id);
      const External* external = index < 0 ? nullptr : &plan.externals()[index];
      ids[tensor.id] =
          external ? out.external(external->port, shape, external->type, external->stepped).id
                   : out.temporary(shape).id;
    }
    const_cast<Tensor&>(tensor).id = ids[tensor.id];
  };
  for (int i = 0; i < copies; i++) {
    Op copy = op;
    if (copy.kind == OpKind::conv) copy.conv.shortcut = -1;  // finish() looks for it
    copy.inputs(adopt);
    adopt(copy.output());
    copy.weights([&](const WeightId& id) {
      WeightSpec spec = plan.weights()[id];
      for (std::string& name : spec.names) name += "#" + std::to_string(i);
      const_cast<WeightId&>(id) = out.weight(spec);
    });
    out.add(copy);
    if (!readable) continue;
    Elementwise read;
    read.x = copy.output();
    read.y = out.external({PortKind::out, 0}, read.x.shape);
    out.add(read);
  }
  out.finish();
  return out;
}

RandomProgram::RandomProgram(Plan plan, const Device& device, Weights* weights,
                             const OpRanges& segments)
    : plan_(std::move(plan)), backend_(*device.backend) {
  Backend& backend = backend_;
  if (!weights) {
    weights_ = std::make_unique<Weights>(std::make_shared<RandomWeights>(plan_), backend);
    weights = weights_.get();
  }
  const auto values_of = [&](int id) {
    std::vector<float> values(plan_.shape(id).count());
    for (size_t i = 0; i < values.size(); i++) values[i] = 2 * random_value(size_t(id), i);
    return values;
  };
  std::vector<Binding> bindings;
  for (const External& external : plan_.externals()) {
    const std::vector<float> values = values_of(external.tensor);
    const size_t bytes = plan_.external_bytes(external, backend.activation_type());
    // begin() runs step i with slice i; what they hold makes no difference.
    buffers_.push_back(backend.allocate(bytes * (external.stepped ? kMostRows : 1)));
    if (external.type == Type::f32) {
      buffers_.back()->upload(values.data(), values.size() * sizeof(float));
    } else if (external.type == Type::activation) {
      const std::vector<char> bytes = encode(values, backend.activation_type());
      buffers_.back()->upload(bytes.data(), bytes.size());
    }
    bindings.push_back({buffers_.back().get()});
  }
  arena_ = backend.allocate(backend.arena_bytes(plan_));
  std::set<int> written;
  for (const Op& op : plan_.ops()) written.insert(op.output().id);
  for (const Op& op : plan_.ops())
    op.inputs([&](const Tensor& tensor) {
      if (!tensor || plan_.external_index(tensor.id) >= 0 || !written.insert(tensor.id).second)
        return;
      const std::vector<char> bytes = encode(values_of(tensor.id), backend.activation_type());
      arena_->upload(bytes.data(), bytes.size(),
                     plan_.offset(tensor.id, backend.activation_type(), backend.execution()));
    });
  program_ = backend.compile(plan_, *weights, *arena_, bindings);
  for (const OpRange& ops : segments) segments_.push_back({program_.get(), ops});
  if (segments.empty()) segments_ = program_->whole();
  backend.synchronize();
}

std::vector<std::string> RandomProgram::kernels() const {
  const std::vector<std::string> all = program_->kernels();
  std::vector<std::string> out;
  if (all.empty()) return out;
  for (const Segment& segment : segments_)
    out.insert(out.end(), all.begin() + segment.ops.first, all.begin() + segment.ops.last);
  return out;
}

void RandomProgram::begin(int rows) {
  if (!loop_) {
    loop_ = backend_.make_loop();
    state_.pixels = 1;
    for (Buffer** slot :
         {&state_.x, &state_.model_input, &state_.model_output, &state_.m, &state_.x0}) {
      latents_.push_back(backend_.allocate(sizeof(float) * state_.channels));
      *slot = latents_.back().get();
    }
    table_.programs.resize(1);
    table_.values = {1};
  }
  table_.rows.assign(size_t(rows), StepRow());
  loop_->begin(table_, state_, {segments_});
}

void RandomProgram::enqueue() {
  const int rows = int(table_.rows.size()), behind = loop_->rows_in_flight() - 1;
  for (int row = 0; row < rows; row++) {
    loop_->enqueue(false, nullptr);
    if (row >= behind) loop_->wait(row - behind);
  }
}

std::vector<float> RandomProgram::read(Port port) const {
  const Buffer& buffer = *buffers_[plan_.external_index(plan_.find_external(port).tensor)];
  std::vector<float> out(buffer.bytes() / sizeof(float));
  buffer.download(out.data(), buffer.bytes());
  return out;
}

}  // namespace deepcache::bench
