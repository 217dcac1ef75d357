#include "recorder.h"

#include <algorithm>
#include <cmath>

#include "../runtime/checked.h"

namespace deepcache {
namespace {

// Each layer's own convention in DeepCache's flops.py: a convolution's bias counts per output
// value, a linear layer's once, an affine norm as twice its input.
Macs conv_macs(double outputs, double taps, double in, double channels, bool bias) {
  const double products = outputs * channels * taps * in;
  return {products + (bias ? outputs * channels : 0), products};
}

int sum(const std::vector<int>& counts) {
  Extent sum = 0;
  for (const int count : counts) sum = sum + count;
  return sum.value("the number of a layer's outputs");
}

Macs norm_macs(const Shape& shape) { return {2.0 * double(shape.count()), 0}; }

}  // namespace

// GPUs read 16 bytes of a pixel at a time. The phases of an upsampling convolution have sums of
// taps for weights, which would need scales of their own.
void Recorder::set_bits(WeightSpec& spec, Bits least) const {
  least = std::max(least, least_);
  spec.fp8 = least == Bits::eight && spec.in % 16 == 0 && spec.recipe != Recipe::upsample;
  spec.full = least == Bits::all;
}

Tensor Recorder::conv(Tensor x, const std::string& name, const ConvOptions& o) {
  const int in = x.shape.c + (o.x2 ? o.x2.shape.c : 0);
  const bool upsample = o.upsample_to.h > 1 || o.upsample_to.w > 1 || o.upsample_to.c > 1;
  const int in_h = upsample ? o.upsample_to.h : x.shape.h;
  const int in_w = upsample ? o.upsample_to.w : x.shape.w;
  const int kernel_w = o.column ? 1 : o.kernel_w > 0 ? o.kernel_w : o.kernel;
  const int pad = o.pad < 0 ? o.kernel / 2 : o.pad;
  const int pad_w = o.column ? 0 : o.pad < 0 ? kernel_w / 2 : o.pad;
  const int sides = o.pad_end_only ? 1 : 2, pads = sides * pad, pads_w = sides * pad_w;
  const Shape out{x.shape.n, (in_h + pads - o.kernel) / o.stride + 1,
                  (in_w + pads_w - kernel_w) / o.stride + 1, o.out};

  const bool geglu = o.activation == Activation::geglu;
  WeightSpec spec;
  spec.recipe = geglu ? Recipe::geglu : upsample ? Recipe::upsample : Recipe::matrix;
  spec.names = {name + ".weight"};
  spec.out = geglu ? 2 * o.out : o.out;
  spec.in = in;
  spec.kernel_h = o.kernel;
  spec.kernel_w = kernel_w;
  spec.frames = o.column;
  spec.linear = o.linear;
  set_bits(spec, o.least);

  Conv op;
  op.y = plan_.temporary(out);
  op.x = x;
  op.x2 = o.x2;
  op.residual = o.residual;
  op.weight = plan_.weight(spec);
  if (o.bias) op.bias = vector({name + ".bias"}, {spec.out});
  op.kernel_h = o.kernel;
  op.kernel_w = kernel_w;
  op.stride = o.stride;
  op.pad_top = o.pad_end_only ? 0 : pad;
  op.pad_left = o.pad_end_only ? 0 : pad_w;
  op.scale = o.scale;
  op.residual_scale = o.residual_scale;
  op.upsample = upsample;
  op.row = o.row;
  op.row_offset = o.row_offset;
  op.activation = o.activation;
  plan_.add(op);

  const double rows = double(out.rows());
  if (o.linear)
    count_linear(rows, in, spec.out, o.bias);
  else
    plan_.count(conv_macs(rows, double(o.kernel) * kernel_w, in, spec.out, o.bias));
  return op.y;
}

Tensor Recorder::linears(Tensor x, const std::vector<std::string>& names,
                         const std::vector<int>& outs, bool bias, bool linear) {
  WeightSpec spec;
  spec.recipe = Recipe::matrix;
  spec.in = x.shape.c;
  spec.out = sum(outs);
  spec.rows = outs;
  spec.linear = linear;
  set_bits(spec, Bits::eight);
  const double rows = double(x.shape.rows());
  std::vector<std::string> biases;
  for (size_t i = 0; i < names.size(); ++i) {
    spec.names.push_back(names[i] + ".weight");
    biases.push_back(names[i] + ".bias");
    if (linear)
      count_linear(rows, x.shape.c, outs[i], bias);
    else
      plan_.count(conv_macs(rows, 1, x.shape.c, outs[i], bias));
  }
  Conv op;
  op.x = x;
  op.y = plan_.temporary({x.shape.n, x.shape.h, x.shape.w, spec.out});
  op.weight = plan_.weight(spec);
  if (bias) op.bias = vector(biases, outs);
  plan_.add(op);
  return op.y;
}

Tensor Recorder::group_norm(Tensor x, const std::string& name, const GroupNormOptions& o) {
  Shape shape = x.shape;
  if (o.x2) shape.c += o.x2.shape.c;
  GroupNorm op;
  op.y = plan_.temporary(shape);
  op.x = x;
  op.x2 = o.x2;
  op.gamma = vector({name + ".weight"}, {shape.c});
  op.beta = vector({name + ".bias"}, {shape.c});
  op.groups = o.groups;
  op.epsilon = o.epsilon;
  op.silu = o.silu;
  plan_.add(op);
  if (o.counted) plan_.count(norm_macs(shape));
  return op.y;
}

Tensor Recorder::layer_norm(Tensor x, const std::string& name, float epsilon) {
  LayerNorm op;
  op.y = plan_.temporary(x.shape);
  op.x = x;
  op.gamma = vector({name + ".weight"}, {x.shape.c});
  op.beta = vector({name + ".bias"}, {x.shape.c});
  op.epsilon = epsilon;
  plan_.add(op);
  plan_.count(norm_macs(x.shape));
  return op.y;
}

Tensor Recorder::attention(Tensor q, int q_offset, Tensor k, int k_offset, Tensor v, int v_offset,
                           int heads, int head_width, bool causal) {
  // No more than the rows of values that the plan has.
  const int queries = q.shape.h * q.shape.w, keys = k.shape.h * k.shape.w;
  const Sequences whole{q.shape.n, 1, {queries, 1, queries, 0}, {keys, 1, keys, 0}};
  return attention(q, q_offset, k, k_offset, v, v_offset, heads, head_width, whole, causal);
}

Tensor Recorder::attention(Tensor q, int q_offset, Tensor k, int k_offset, Tensor v, int v_offset,
                           int heads, int head_width, const Sequences& sequences, bool causal) {
  Attention op;
  op.y = plan_.temporary({q.shape.n, q.shape.h, q.shape.w, heads * head_width});
  op.q = q;
  op.k = k;
  op.v = v;
  op.q_offset = q_offset;
  op.k_offset = k_offset;
  op.v_offset = v_offset;
  op.heads = heads;
  op.head_width = head_width;
  op.scale = 1 / std::sqrt(float(head_width));
  op.causal = causal;
  op.outer = sequences.outer;
  op.inner = sequences.inner;
  op.query = sequences.query;
  op.key = sequences.key;
  op.identities = sequences.identities;
  plan_.add(op);
  plan_.count({0, op.macs({})});
  return op.y;
}

Tensor Recorder::nearest_code(Tensor x, const std::string& name, int codes) {
  WeightSpec table;
  table.recipe = Recipe::table;
  table.names = {name + ".weight"};
  table.out = codes;
  table.in = x.shape.c;
  NearestCode op;
  op.x = x;
  op.y = plan_.temporary(x.shape);
  op.table = plan_.weight(table);
  plan_.add(op);
  label(op.y, name);
  return op.y;
}

Tensor Recorder::resample(Tensor x, Shape to) {
  Resample op;
  op.x = x;
  op.y = plan_.temporary({x.shape.n, to.h, to.w, to.c});
  plan_.add(op);
  return op.y;
}

Tensor Recorder::pool(Pool op) {
  const auto side = [&](int in) { return (in + 2 * op.pad - op.kernel) / op.stride + 1; };
  const Shape& x = op.x.shape;
  op.y = plan_.temporary({x.n, side(x.h), side(x.w), x.c});
  plan_.add(op);
  return op.y;
}

Tensor Recorder::elementwise(Tensor x, float a, Tensor x2, float b, Activation activation) {
  Elementwise op;
  op.x = x;
  op.x2 = x2;
  op.a = a;
  op.b = b;
  op.activation = activation;
  return elementwise(op);
}

Tensor Recorder::elementwise(Elementwise op) {
  op.y = plan_.temporary(op.x.shape);
  plan_.add(op);
  return op.y;
}

Tensor Recorder::relu(Tensor x, Tensor x2) {
  return elementwise({.x = x, .x2 = x2, .activation = Activation::leaky_relu});
}

Tensor Recorder::concat(Tensor x, Tensor x2) {
  const Extent channels = Extent(x.shape.c) + x2.shape.c;
  Concat op;
  op.x = x;
  op.x2 = x2;
  op.y = plan_.temporary({x.shape.n, x.shape.h, x.shape.w, channels.value("joined channels")});
  plan_.add(op);
  return op.y;
}

Tensor Recorder::mean_of_parts(Tensor x, int parts) {
  const Shape part{x.shape.n / parts, x.shape.h, x.shape.w, x.shape.c};
  // Parts are frames of a video, each a window of its own.
  Tensor frames = x;
  frames.shape = {parts, part.n * part.h, part.w, part.c};
  Tensor sum;
  for (int i = 0; i < parts; ++i) {
    Window window;
    window.x = frames;
    window.windows = {.frames = parts, .length = 1, .stride = 1};
    window.index = i;
    Tensor y = plan_.temporary(part);
    window.y = y;
    window.y.shape = {1, part.n * part.h, part.w, part.c};
    plan_.add(window);
    const float share = 1 / float(parts);
    sum = sum ? elementwise(sum, 1, y, share, Activation::none)
              : elementwise(y, share, {}, 0, Activation::none);
  }
  return sum;
}

// Tokens of a sample lie behind each other: as channels of one row they are joined like any.
Tensor Recorder::token_concat(Tensor x, Tensor x2) {
  const int channels = x.shape.c;
  const auto as_row = [](Tensor t) {
    const Extent width = Extent(t.shape.h) * t.shape.w * t.shape.c;
    t.shape = {t.shape.n, 1, 1, width.value("the tokens of a sample")};
    return t;
  };
  Tensor y = concat(as_row(x), as_row(x2));
  y.shape = {x.shape.n, 1, y.shape.c / channels, channels};
  return y;
}

WeightId Recorder::vector(const std::vector<std::string>& names, const std::vector<int>& counts) {
  WeightSpec spec;
  spec.recipe = Recipe::vector;
  spec.names = names;
  spec.out = sum(counts);
  spec.rows = counts;
  return plan_.weight(spec);
}

void Recorder::count_linear(double rows, double in, double out, bool bias) {
  plan_.count({rows * in * out + (bias ? out : 0), rows * in * out});
}

}  // namespace deepcache
