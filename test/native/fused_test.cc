// The CPU backend with ops fused (Execution::fused) against itself without: the same bits in less
// memory.

#include "executions.h"
#include "models/vae.h"
#include "models/weight_plans.h"

namespace deepcache::test {
namespace {

struct LayersOptions {
  Shape x{1, 67, 65, 24};
  int channels = 12, kernel_h = 3, kernel_w = 3;
  bool label_norm = false, read_norm_twice = false, read_residual_later = false;
};

// Resnets as autoencoders and U-Nets have them, of random layers.
class Layers {
 public:
  explicit Layers(const LayersOptions& o) : o_(o) {
    Tensor x = copy(builder.input(o.x, 2, 0.5));
    Tensor h = norm(x);
    if (o.label_norm) builder.plan.label(h, "norm");
    Tensor twice = h;
    h = conv(h, o.channels, o.kernel_h, o.kernel_w);
    h = norm(h);
    const Tensor shortcut = conv(x, o.channels, 1, 1);
    Tensor y = conv(h, o.channels, o.kernel_h, o.kernel_w, shortcut);
    builder.plan.label(y, "resnet");
    if (o.read_norm_twice) y = conv(twice, o.channels, 1, 1, y);
    if (o.read_residual_later) y = copy(y, shortcut);
    // One that reads a skip, too.
    const Tensor skip = builder.input({o.x.n, o.x.h, o.x.w, 20});
    h = conv(norm(y, skip), o.channels, 3, 3, y, Activation::silu);
    h = conv(norm(h, {}, false), 2 * o.channels, 1, 1, {}, Activation::geglu);
    builder.plan.make_external(h, PortKind::out);
    builder.plan.finish();
  }

  OpBuilder builder{7};

 private:
  Tensor copy(Tensor x, Tensor x2 = {}) {
    Elementwise op;
    op.x = x;
    op.x2 = x2;
    op.y = builder.plan.temporary(x.shape);
    builder.plan.add(op);
    return op.y;
  }

  Tensor norm(Tensor x, Tensor x2 = {}, bool silu = true) {
    GroupNorm op;
    op.x = x;
    op.x2 = x2;
    Shape shape = x.shape;
    if (x2) shape.c += x2.shape.c;
    op.y = builder.plan.temporary(shape);
    op.gamma = builder.vector(shape.c);
    op.beta = builder.vector(shape.c);
    op.groups = 4;
    op.silu = silu;
    builder.plan.add(op);
    return op.y;
  }

  Tensor conv(Tensor x, int out, int kernel_h, int kernel_w, Tensor residual = {},
              Activation activation = Activation::none) {
    const bool geglu = activation == Activation::geglu;
    Conv op;
    op.x = x;
    op.y = builder.plan.temporary({x.shape.n, x.shape.h, x.shape.w, geglu ? out / 2 : out});
    op.residual = residual;
    op.weight =
        builder.weight(geglu ? Recipe::geglu : Recipe::matrix, out, x.shape.c, kernel_h, kernel_w);
    op.bias = builder.vector(out);
    op.kernel_h = kernel_h;
    op.kernel_w = kernel_w;
    op.pad_top = kernel_h / 2;
    op.pad_left = kernel_w / 2;
    op.activation = activation;
    op.residual_scale = 0.75f;
    builder.plan.add(op);
    return op.y;
  }

  const LayersOptions o_;
};

int count_norms(const Plan& plan) {
  int count = 0;
  for (const Op& op : plan.ops()) count += op.kind == OpKind::conv && op.conv.norm >= 0;
  return count;
}

// On every instruction set that this machine runs, by other numbers of threads.
void check_layers(Layers& layers) {
  const Plan& plan = layers.builder.plan;
  for (const char* isa : kIsas) {
    const cpu::Kernels* kernels = cpu::find_kernels(isa);
    if (!kernels) continue;
    for (const Products products : {Products::fp32, Products::bf16}) {
      PlainBackend plain(2, *kernels, products);
      const auto source = layers.builder.source();
      const Values expected = run(plain, plan, source, layers.builder.inputs);
      for (const int threads : {1, 3}) {
        FusedBackend fused(threads, *kernels, products);
        check_same(run(fused, plan, source, layers.builder.inputs), expected);
      }
    }
  }
}

void check_layers(const LayersOptions& options, int norms, int over_inputs) {
  Layers layers(options);
  CHECK_EQ(count_norms(layers.builder.plan), norms);
  CHECK_EQ(count_over_inputs(layers.builder.plan, Execution::fused), over_inputs);
  check_layers(layers);
}

VaeConfig vae_config() {
  return VaeConfig::parse(R"({
    "_class_name": "AutoencoderKL", "block_out_channels": [8, 16, 32], "layers_per_block": 2,
    "norm_num_groups": 4, "latent_channels": 4
  })");
}

}  // namespace

TEST(fused_layers_are_the_same) {
  check_layers({}, 4, 1);
  check_layers({.x = {2, 64, 64, 24}}, 4, 1);
  check_layers({.x = {2, 3, 1500, 40}, .channels = 8, .kernel_h = 3, .kernel_w = 1}, 4, 1);
  check_layers({.x = {1, 2000, 3, 24}, .kernel_h = 1, .kernel_w = 3}, 4, 1);
  check_layers({.x = {1, 1, 5000, 24}}, 4, 1);
  check_layers({.x = {1, 66, 64, 36}, .channels = 36}, 4, 0);
}

TEST(fused_layers_leave_what_others_read) {
  check_layers({.label_norm = true}, 3, 1);
  check_layers({.read_norm_twice = true}, 3, 1);
  check_layers({.read_residual_later = true}, 4, 1);
}

TEST(fused_layers_are_large) { check_layers({.x = {2, 63, 65, 24}}, 0, 0); }

// Where decoding takes the most: a resnet that halves the channels of the whole picture has its
// input, twice as large as any other value, and one of the others; both are narrow.
TEST(fused_autoencoders_need_little_more_than_their_largest_values) {
  const VaeConfig config = VaeConfig::parse(R"({
    "_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2, "norm_num_groups": 32, "latent_channels": 4
  })");
  const auto share = [](const Plan& plan, Execution how) {
    size_t largest = 0;
    for (const auto& op : plan.ops()) largest = std::max(largest, op.output().shape.count());
    return double(plan.arena_bytes(Type::f32, how)) / double(largest * sizeof(float));
  };
  for (const int side : {64, 128}) {
    const Plan decode = plan_vae_decode(config, 1, side, side);
    CHECK(share(decode, Execution::fused) < 1.51);
    CHECK(share(decode, Execution::mixed) < 0.76);
    CHECK(share(decode, Execution::op_by_op) > 2.49);
    const Plan encode = plan_vae_encode(config, 1, 8 * side, 8 * side);
    CHECK(share(encode, Execution::fused) < 2.01);
    CHECK(share(encode, Execution::mixed) < 1.51);
    CHECK(share(encode, Execution::op_by_op) > 2.99);
  }
}

TEST(fused_autoencoders_make_the_same_pictures) {
  const VaeConfig config = vae_config();
  for (const bool encodes : {false, true}) {
    const Plan plan =
        encodes ? plan_vae_encode(config, 2, 70, 100) : plan_vae_decode(config, 2, 18, 35);
    std::vector<float> input(plan.shape(plan.externals()[0].tensor).count());
    for (size_t i = 0; i < input.size(); i++) input[i] = float(int(i * 37 % 101) - 50) / 50;
    const std::map<int, std::vector<float>> inputs = {{plan.externals()[0].tensor, input}};
    CHECK(count_norms(plan) >= 4);
    for (const Products products : {Products::fp32, Products::bf16}) {
      const cpu::Kernels& kernels = cpu::choose_kernels(products == Products::bf16);
      FusedBackend fused(2, kernels, products);
      PlainBackend plain(2, kernels, products);
      CHECK(fused.arena_bytes(plan) < plain.arena_bytes(plan));
      const auto source = synthetic_weights({plan});
      check_same(run(fused, plan, source, inputs), run(plain, plan, source, inputs));
    }
  }
}

// A place that is handed on is another's as soon as the smaller heir leaves room.
TEST(arena_hands_places_on) {
  std::vector<ArenaValue> values(4);
  values[0] = {1024, 0, 1};
  values[1] = {512, 1, 3};
  values[1].over = 0;
  values[2] = {512, 2, 3};
  values[3] = {256, 0, 0};
  const Arena arena = place(values);
  CHECK_EQ(arena.offsets[1], arena.offsets[0]);
  CHECK_EQ(arena.offsets[2], arena.offsets[0] + 512);
  CHECK_EQ(arena.count, size_t(1024 + 256));
}

}  // namespace deepcache::test
