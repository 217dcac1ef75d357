// What the CPU keeps in bf16 (Execution::mixed): the same bits as fp32 gives where products alone
// read it.

#include <bit>

#include "executions.h"
#include "models/clip_text.h"
#include "models/unet_plan.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

using MixedBackend = BackendThat<Execution::mixed>;

int count_narrow(const Plan& plan) {
  int count = 0;
  for (const Op& op : plan.ops()) count += plan.is_narrow(op.output().id);
  return count;
}

// Of every instruction set that this machine runs, and AMX's.
std::vector<cpu::Kernels> all_kernels() {
  std::vector<cpu::Kernels> out = {amx_by_reference()};
  for (const char* isa : kIsas)
    if (const cpu::Kernels* kernels = cpu::find_kernels(isa)) out.push_back(*kernels);
  return out;
}

// What a narrow value's label shows is its rounding.
void round_narrow(const Plan& plan, Values& values) {
  for (const auto& [name, tensor] : plan.labels())
    if (tensor && plan.is_narrow(tensor.id))
      for (float& value : values.at(name)) value = nearest_bf16(value);
}

// By other numbers of threads, too.
void check_same_as_wide(const Plan& plan, const std::shared_ptr<WeightSource>& source,
                        const std::map<int, std::vector<float>>& inputs) {
  for (const cpu::Kernels& kernels : all_kernels()) {
    PlainBackend plain(2, kernels, Products::bf16);
    FusedBackend fused(2, kernels, Products::bf16);
    Values expected = run(plain, plan, source, inputs);
    round_narrow(plan, expected);
    for (const int threads : {1, 3}) {
      MixedBackend mixed(threads, kernels, Products::bf16);
      CHECK(mixed.arena_bytes(plan) < fused.arena_bytes(plan));
      check_same(run(mixed, plan, source, inputs), expected);
    }
  }
}

// Records layers over random weights.
class Layers {
 public:
  Tensor copy(Tensor x) {
    Elementwise op;
    op.x = x;
    return add(op, x.shape);
  }

  Tensor conv(Tensor x, Conv op, int channels, Shape shape, Recipe recipe = Recipe::matrix) {
    const bool geglu = recipe == Recipe::geglu;
    const int inputs = x.shape.c + (op.x2 ? op.x2.shape.c : 0);
    op.x = x;
    op.pad_top = op.pad_left = op.kernel_h / 2;
    op.weight = builder.weight(recipe, channels, inputs, op.kernel_h, op.kernel_w);
    op.bias = builder.vector(channels);
    if (geglu) op.activation = Activation::geglu;
    shape.c = geglu ? channels / 2 : channels;
    return add(op, shape);
  }
  Tensor linear(Tensor x, int channels, Tensor residual = {}, Recipe recipe = Recipe::matrix) {
    Conv op;
    op.residual = residual;
    return conv(x, op, channels, x.shape, recipe);
  }

  Tensor layer_norm(Tensor x) {
    LayerNorm op;
    op.x = x;
    op.gamma = builder.vector(x.shape.c);
    op.beta = builder.vector(x.shape.c);
    return add(op, x.shape);
  }
  Tensor group_norm(Tensor x, Tensor x2 = {}) {
    GroupNorm op;
    op.x = x;
    op.x2 = x2;
    Shape shape = x.shape;
    if (x2) shape.c += x2.shape.c;
    op.gamma = builder.vector(shape.c);
    op.beta = builder.vector(shape.c);
    op.groups = 4;
    op.silu = true;
    return add(op, shape);
  }

  // Two heads of the channels that `q` has behind its offset; k and v are parts of one tensor.
  Tensor attention(Tensor q, Tensor kv, int offset, int identities = 0) {
    Attention op;
    const int width = q.shape.c - (q.id == kv.id ? 2 * q.shape.c / 3 : 0);
    op.q = q;
    op.k = op.v = kv;
    op.k_offset = offset;
    op.v_offset = offset + width;
    op.heads = 2;
    op.head_width = width / 2;
    op.scale = 0.3f;
    op.outer = q.shape.n;
    op.identities = identities;
    const int queries = q.shape.h * q.shape.w, keys = kv.shape.h * kv.shape.w;
    op.query = {queries, 1, queries, 0};
    op.key = {keys, 1, keys, 0};
    return add(op, {q.shape.n, q.shape.h, q.shape.w, width});
  }

  void finish(Tensor last) {
    builder.plan.make_external(copy(last), PortKind::out);
    builder.plan.finish();
  }

  OpBuilder builder{11};

 private:
  template <typename T>
  Tensor add(T op, Shape shape) {
    op.y = builder.plan.temporary(shape);
    builder.plan.add(op);
    return op.y;
  }
};

// A transformer's layers: c channels, the keys and values of cross attention given.
Tensor transformer(Layers& l, Tensor x, Tensor context, int identities) {
  const int c = x.shape.c;
  Tensor h = l.layer_norm(x);
  const Tensor qkv = l.linear(h, 3 * c);
  x = l.linear(l.attention(qkv, qkv, c, identities), c, x);
  x = l.linear(l.attention(l.linear(l.layer_norm(x), c), context, 0), c, x);
  h = l.linear(l.layer_norm(x), 6 * c, {}, Recipe::geglu);
  return l.linear(h, c, x);
}

}  // namespace

TEST(narrow_layers_of_transformers_are_the_same) {
  for (const Shape shape : {Shape{2, 7, 5, 40}, Shape{3, 1, 67, 72}})
    for (const int identities : {0, 1}) {
      Layers l;
      const Tensor context = l.builder.input({shape.n, 1, 19, 2 * shape.c});
      Tensor x = transformer(l, l.copy(l.builder.input(shape, 2, 0.5)), context, identities);
      Conv op;
      op.kernel_h = op.kernel_w = 3;
      x = l.conv(l.group_norm(x), op, 24, x.shape);
      l.finish(x);
      // Three outputs of norms, what attention reads, and what it and GEGLU write; identities copy
      // values as they are. The last norm's output; the last convolution's is copied.
      CHECK_EQ(count_narrow(l.builder.plan), identities ? 7 : 9);
      check_same_as_wide(l.builder.plan, l.builder.source(), l.builder.inputs);
    }
}

TEST(narrow_inputs_of_convolutions_are_the_same) {
  for (const Shape shape : {Shape{1, 67, 65, 40}, Shape{2, 64, 64, 24}}) {
    Layers l;
    const auto conv = [&](Tensor x, int c, int kernel, Shape to, Tensor x2 = {}) {
      Conv op;
      op.kernel_h = op.kernel_w = kernel;
      op.x2 = x2;
      op.activation = Activation::silu;
      op.upsample = to.h != x.shape.h;
      return l.conv(x, op, c, to, op.upsample ? Recipe::upsample : Recipe::matrix);
    };
    const Shape large{shape.n, 2 * shape.h - 1, 2 * shape.w, 0};
    Tensor x = conv(l.builder.input(shape), 20, 3, shape);
    x = conv(x, 40, 3, large);                   // cropped: a tap is taken off again
    const Tensor third = conv(x, 12, 1, large);  // takes the place of what is three times as large
    x = conv(third, 48, 3, large, third);
    x = conv(x, 24, 1, large);
    x = conv(x, 12, 1, large);  // wide, in the place of as many bytes
    l.finish(x);
    CHECK_EQ(count_narrow(l.builder.plan), 5);
    CHECK_EQ(count_over_inputs(l.builder.plan, Execution::mixed), 3);
    check_same_as_wide(l.builder.plan, l.builder.source(), l.builder.inputs);
  }
}

// Its columns would be shared among so many threads; each item must have them all here.
TEST(narrow_inputs_of_many_columns_widen_in_place) {
  Layers l;
  const Shape shape{1, 64, 64, 16};
  const Tensor x = l.linear(l.builder.input(shape), 160);
  l.finish(l.linear(x, 80));
  CHECK_EQ(count_over_inputs(l.builder.plan, Execution::mixed), 1);
  for (const cpu::Kernels& kernels : all_kernels()) {
    PlainBackend plain(1, kernels, Products::bf16);
    MixedBackend mixed(40, kernels, Products::bf16);
    const auto source = l.builder.source();
    check_same(run(mixed, l.builder.plan, source, l.builder.inputs),
               run(plain, l.builder.plan, source, l.builder.inputs));
  }
}

TEST(narrow_text_encoders_are_the_same) {
  const ClipTextConfig config{
      .width = 48, .mlp_width = 104, .layers = 2, .heads = 4, .positions = 11, .vocabulary = 50};
  const Plan plan = plan_clip_text(config, 2, 11, 0);
  std::map<int, std::vector<float>> inputs;  // ids of zeros, all the same
  CHECK(count_narrow(plan) >= 8);
  check_same_as_wide(plan, synthetic_weights({plan}), inputs);
}

TEST(narrow_unets_are_the_same) {
  const UnetConfig config = UnetConfig::parse(kTiny);
  const Plan plan = plan_unet(config, {2, 9, 8, 3, 1}, {1});
  std::map<int, std::vector<float>> inputs;
  for (const External& external : plan.externals()) {
    std::vector<float>& input = inputs[external.tensor];
    input.resize(plan.shape(external.tensor).count());
    for (size_t i = 0; i < input.size(); i++) input[i] = float(int(i * 37 % 101) - 50) / 50;
  }
  CHECK(count_narrow(plan) > 40);
  check_same_as_wide(plan, synthetic_weights({plan}), inputs);
}

// Rounded once more than without; threads make no difference.
TEST(narrow_inputs_of_norms_are_close) {
  for (const Shape shape : {Shape{2, 64, 64, 24}, Shape{1, 9, 7, 40}})
    for (const bool norms : {false, true}) {
      Layers l;
      Conv op;
      op.kernel_h = op.kernel_w = 3;
      const Tensor x = l.conv(l.builder.input(shape, 2, 0.5), op, 24, shape);
      const Tensor h = l.conv(l.group_norm(x), op, 12, x.shape);
      l.builder.plan.label(h, "hidden");
      const Tensor normed = l.group_norm(h);
      op.residual = l.linear(x, 12);
      const Tensor sum = l.conv(normed, op, 12, h.shape);
      if (norms) l.builder.plan.narrow_norms();
      l.finish(l.group_norm(sum));
      const Plan& plan = l.builder.plan;
      for (const int id : {x.id, h.id}) CHECK_EQ(plan.is_narrow(id), norms);
      for (const int id : {op.residual.id, sum.id}) CHECK(!plan.is_narrow(id));
      const auto source = l.builder.source();
      if (!norms) {
        check_same_as_wide(plan, source, l.builder.inputs);
        continue;
      }
      for (const cpu::Kernels& kernels : all_kernels()) {
        MixedBackend one(1, kernels, Products::bf16), three(3, kernels, Products::bf16);
        PlainBackend plain(2, kernels, Products::bf16);
        const Values values = run(one, plan, source, l.builder.inputs);
        check_same(values, run(three, plan, source, l.builder.inputs));
        const Values wide = run(plain, plan, source, l.builder.inputs);
        for (const auto& [name, actual] : values) {
          const std::vector<float>& other = wide.at(name);
          CHECK(relative_error(actual, {other.begin(), other.end()}) < 5e-3);
        }
        for (const float value : values.at("hidden"))
          CHECK((std::bit_cast<uint32_t>(value) & 0xffff) == 0);
      }
    }
}

TEST(narrow_are_no_sums_nor_what_other_ops_read) {
  Layers l;
  const Shape shape{1, 8, 8, 16};
  const Tensor x = l.copy(l.builder.input(shape)), skip = l.linear(x, 16);
  const Tensor seen = l.linear(x, 16), sum = l.linear(x, 16, skip);
  const Tensor beside = l.linear(sum, 16);
  const Tensor joined = l.group_norm(beside, seen);
  const Tensor normed = l.layer_norm(l.linear(joined, 16));
  const Tensor last = l.linear(l.linear(normed, 16), 16, seen);
  l.finish(last);
  const Plan& plan = l.builder.plan;
  for (const Tensor& wide : {x, skip, seen, sum, beside, last}) CHECK(!plan.is_narrow(wide.id));
  CHECK(plan.is_narrow(joined.id) && plan.is_narrow(normed.id));
  // The input of the layer norm is wide.
  CHECK_EQ(count_narrow(plan), 3);
}

}  // namespace deepcache::test
