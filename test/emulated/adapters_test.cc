// Adapters on the emulated GPU: weights are packed again where they lie, so that programs and
// graphs that were made before use them.

#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "compare.h"
#include "emulated.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

const std::string kAttention = "down_blocks.0.attentions.0.transformer_blocks.0.";
// Of a fused product, of one with two halves, of the norms and the bias that are folded into them,
// of convolutions, one behind an enlargement, of vectors.
const std::vector<std::string> kNames = {kAttention + "attn1.to_q.weight",
                                         kAttention + "attn1.to_v.weight",
                                         kAttention + "norm1.weight",
                                         kAttention + "norm3.bias",
                                         kAttention + "ff.net.0.proj.bias",
                                         kAttention + "attn2.to_k.weight",
                                         kAttention + "ff.net.0.proj.weight",
                                         "down_blocks.0.resnets.0.conv1.weight",
                                         "up_blocks.0.upsamplers.0.conv.weight",
                                         "down_blocks.0.resnets.0.norm1.weight",
                                         "down_blocks.0.resnets.0.conv1.bias"};

class Numbers : public WeightSource {
 public:
  SourceTensor add(std::vector<int64_t> shape) {
    size_t count = 1;
    for (const int64_t extent : shape) count *= size_t(extent);
    const std::string name = "input " + std::to_string(values_.size());
    std::vector<float>& values = values_[name];
    for (size_t i = 0; i < count; i++)
      values.push_back(0.1f * std::sin(float(7 * i + 3 * values_.size())));
    return {Type::f32, std::move(shape), values.data(), count};
  }
  const SourceTensor* find(const std::string&) const override { return nullptr; }
  std::vector<std::string> names() const override { return {}; }
  std::string description() const override { return "numbers"; }

 private:
  std::map<std::string, std::vector<float>> values_;
};

// Two factors for matrices, a difference for vectors.
AdapterTerms terms() {
  const auto source = Unets::source();
  const auto numbers = std::make_shared<Numbers>();
  AdapterTerms out;
  for (const std::string& name : kNames) {
    const std::vector<int64_t> shape = source->find(name)->shape;
    AdapterTerm term;
    term.files = numbers;
    if (shape.size() == 1) {
      term.kind = AdapterKind::full;
      term.tensors["diff"] = numbers->add(shape);
    } else {
      std::vector<int64_t> down = shape;
      down[0] = 3;
      term.tensors["up"] = numbers->add({shape[0], 3});
      term.tensors["down"] = numbers->add(down);
    }
    out[name] = {term};
  }
  return out;
}

void check_adapters(int device, ActivationType type, bool fp8, double tolerance) {
  Unets u(emulated_backend(device, type, fp8));
  const auto latents = [](Unet& unet) { return denoise(unet, 0).latents; };
  const auto published = latents(u.unet);
  const UnetCounters before = u.unet.counters();
  CHECK(before.programs > 0);
  const size_t repacked = u.unet.adapt(terms(), nullptr);
  // to_q and to_v are packed together, with their norm.
  CHECK_EQ(repacked, kNames.size() - 1);
  u.reference.adapt(terms(), nullptr);
  const auto adapted = latents(u.unet);
  CHECK(adapted != published);
  check_close("adapted", adapted, latents(u.reference), tolerance);
  AdapterTerms none;
  for (const std::string& name : kNames) none[name];
  u.unet.adapt(none, nullptr);
  CHECK(latents(u.unet) == published);
  const UnetCounters after = u.unet.counters();
  CHECK_EQ(after.sessions, before.sessions);
  CHECK_EQ(after.programs, before.programs);
  CHECK_EQ(after.repacked, 2 * repacked);
}

}  // namespace

TEST(quick_adapters_repack) { check_adapters(kSm80, ActivationType::fp16, false, 5e-2); }
TEST(all_adapters_repack_sm90) { check_adapters(kSm90, ActivationType::bf16, false, 2e-1); }

}  // namespace deepcache::test
