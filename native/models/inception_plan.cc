#include "inception_plan.h"

#include <initializer_list>
#include <string>

#include "recorder.h"

namespace deepcache {
namespace {

struct Kernel {
  int h = 1, w = 1, stride = 1;
  bool padded = true;
};
constexpr Kernel kPoint, k3x3 = {3, 3}, k5x5 = {5, 5};
constexpr Kernel k1x3 = {1, 3}, k3x1 = {3, 1}, k1x7 = {1, 7}, k7x1 = {7, 1};
constexpr Kernel k3x3Valid = {3, 3, 1, false}, k3x3Half = {3, 3, 2, false};

// A layer of a branch: what its name ends in, its outputs, its kernel.
struct Layer {
  const char* name;
  int out;
  Kernel kernel;
};

class Network {
 public:
  explicit Network(Plan& plan) : record_(plan) {}

  Tensor features(Tensor x) {
    x = conv(x, "Conv2d_1a_3x3", 32, k3x3Half);
    x = conv(x, "Conv2d_2a_3x3", 32, k3x3Valid);
    x = conv(x, "Conv2d_2b_3x3", 64, k3x3);
    x = half(x);
    x = conv(x, "Conv2d_3b_1x1", 80, kPoint);
    x = conv(x, "Conv2d_4a_3x3", 192, k3x3Valid);
    x = half(x);
    x = block_a(x, "Mixed_5b", 32);
    x = block_a(x, "Mixed_5c", 64);
    x = block_a(x, "Mixed_5d", 64);
    x = block_b(x, "Mixed_6a");
    x = block_c(x, "Mixed_6b", 128);
    x = block_c(x, "Mixed_6c", 160);
    x = block_c(x, "Mixed_6d", 160);
    x = block_c(x, "Mixed_6e", 192);
    x = block_d(x, "Mixed_7a");
    x = block_e(x, "Mixed_7b", true);
    x = block_e(x, "Mixed_7c", false);
    return pool(x, x.shape.h, 1, 0, true);
  }

 private:
  Tensor conv(Tensor x, const std::string& name, int out, const Kernel& kernel) {
    const Tensor y = record_.relu(record_.conv(x, name + ".conv",
                                               {.out = out,
                                                .kernel = kernel.h,
                                                .stride = kernel.stride,
                                                .kernel_w = kernel.w,
                                                .pad = kernel.padded ? -1 : 0}));
    record_.label(y, name);
    return y;
  }

  Tensor branch(Tensor x, const std::string& name, std::initializer_list<Layer> layers) {
    for (const Layer& layer : layers) x = conv(x, name + layer.name, layer.out, layer.kernel);
    return x;
  }

  Tensor join(std::initializer_list<Tensor> parts) {
    Tensor all;
    for (const Tensor& part : parts) all = all ? record_.concat(all, part) : part;
    return all;
  }

  Tensor pool(Tensor x, int kernel, int stride, int pad, bool mean) {
    Pool op;
    op.x = x;
    op.kernel = kernel;
    op.stride = stride;
    op.pad = pad;
    op.mean = mean;
    return record_.pool(op);
  }

  Tensor half(Tensor x) { return pool(x, 3, 2, 0, false); }

  // What lies around each pixel, then a 1x1 convolution.
  Tensor around(Tensor x, const std::string& name, int out, bool mean) {
    return conv(pool(x, 3, 1, 1, mean), name + ".branch_pool", out, kPoint);
  }

  Tensor block_a(Tensor x, const std::string& name, int pooled) {
    const std::string b = name + ".branch";
    return join(
        {branch(x, b, {{"1x1", 64, kPoint}}),
         branch(x, b, {{"5x5_1", 48, kPoint}, {"5x5_2", 64, k5x5}}),
         branch(x, b, {{"3x3dbl_1", 64, kPoint}, {"3x3dbl_2", 96, k3x3}, {"3x3dbl_3", 96, k3x3}}),
         around(x, name, pooled, true)});
  }

  Tensor block_b(Tensor x, const std::string& name) {
    const std::string b = name + ".branch";
    return join(
        {branch(x, b, {{"3x3", 384, k3x3Half}}),
         branch(x, b,
                {{"3x3dbl_1", 64, kPoint}, {"3x3dbl_2", 96, k3x3}, {"3x3dbl_3", 96, k3x3Half}}),
         half(x)});
  }

  Tensor block_c(Tensor x, const std::string& name, int c) {
    const std::string b = name + ".branch";
    return join({branch(x, b, {{"1x1", 192, kPoint}}),
                 branch(x, b, {{"7x7_1", c, kPoint}, {"7x7_2", c, k1x7}, {"7x7_3", 192, k7x1}}),
                 branch(x, b,
                        {{"7x7dbl_1", c, kPoint},
                         {"7x7dbl_2", c, k7x1},
                         {"7x7dbl_3", c, k1x7},
                         {"7x7dbl_4", c, k7x1},
                         {"7x7dbl_5", 192, k1x7}}),
                 around(x, name, 192, true)});
  }

  Tensor block_d(Tensor x, const std::string& name) {
    const std::string b = name + ".branch";
    return join({branch(x, b, {{"3x3_1", 192, kPoint}, {"3x3_2", 320, k3x3Half}}),
                 branch(x, b,
                        {{"7x7x3_1", 192, kPoint},
                         {"7x7x3_2", 192, k1x7},
                         {"7x7x3_3", 192, k7x1},
                         {"7x7x3_4", 192, k3x3Half}}),
                 half(x)});
  }

  Tensor block_e(Tensor x, const std::string& name, bool mean) {
    const std::string b = name + ".branch";
    const Tensor one = branch(x, b, {{"3x3_1", 384, kPoint}});
    const Tensor two = branch(x, b, {{"3x3dbl_1", 448, kPoint}, {"3x3dbl_2", 384, k3x3}});
    return join({branch(x, b, {{"1x1", 320, kPoint}}), branch(one, b, {{"3x3_2a", 384, k1x3}}),
                 branch(one, b, {{"3x3_2b", 384, k3x1}}),
                 branch(two, b, {{"3x3dbl_3a", 384, k1x3}}),
                 branch(two, b, {{"3x3dbl_3b", 384, k3x1}}), around(x, name, 192, mean)});
  }

  Recorder record_;
};

}  // namespace

Plan plan_inception(int batch) {
  Plan plan;
  Network network(plan);
  const Tensor image = plan.external(PortKind::image, {batch, kInceptionSide, kInceptionSide, 3});
  plan.make_external(network.features(image), PortKind::out);
  plan.finish();
  return plan;
}

}  // namespace deepcache
