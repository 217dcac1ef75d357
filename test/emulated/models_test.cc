// Whole tiny models on the emulated GPU against the CPU backend, in the fixture's folder.
//
// Tolerances (relative L2): a U-Net call of some hundred ops, each rounding its output to 16 bits
// (1.4e-4 in the mean for fp16), adds up like a random walk to about 2e-3, damped by norms and
// residuals: 5e-3. bf16 is eight times as coarse. A denoising run repeats the call on its own
// output.

#include "compare.h"
#include "emulated.h"
#include "models/autoencoder.h"
#include "models/text_encoder.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

// One full call that keeps every branch's feature, then every branch's retrieve call on another
// input.
void check_unet(ActivationType type, int height, int width, double tolerance) {
  Unets u(emulated_backend(kSm80, type));
  const int batch = 2, tokens = 7, channels = u.config.in_channels;
  const auto sample = numbers("sample", {batch, channels, height, width});
  const auto next = numbers("next", {batch, channels, height, width});
  const auto context = numbers("context", {batch, tokens, u.config.context_width});
  UnetForward request;
  request.batch = batch;
  request.height = height;
  request.width = width;
  request.sample = sample.data();
  request.timesteps = {601, 601};
  request.conditions.context = context.data();
  request.conditions.context_length = tokens;
  for (int branch = 0; branch < u.config.branches(); branch++) request.features.push_back(branch);
  const auto run = [&](const std::string& what) {
    const auto expected = u.reference.forward(request, nullptr, nullptr);
    check_close(what, u.unet.forward(request, nullptr, nullptr), expected, tolerance);
  };
  run("full");
  request.features.clear();
  request.sample = next.data();
  request.timesteps = {581, 581};
  for (int branch = 0; branch < u.config.branches(); branch++) {
    request.retrieve = branch;
    run("retrieve, branch " + std::to_string(branch));
  }
}

void check_denoise(ActivationType type, int branch, double tolerance) {
  Unets u(emulated_backend(kSm80, type));
  check_close("six steps, branch " + std::to_string(branch), denoise(u.unet, branch).latents,
              denoise(u.reference, branch).latents, tolerance);
}

// The order in which threads run and copies arrive changes nothing, to the last bit.
void check_repeats(int device, ActivationType type) {
  const auto run = [&](uint64_t seed, emulator::Async async, int resident) {
    const Emulation emulation(seed, async, resident);
    Unets u(emulated_backend(device, type));
    return denoise(u.unet, 0).latents;
  };
  const auto first = run(21, emulator::Async::late, 1);
  CHECK(run(22, emulator::Async::random, 3) == first);
  CHECK(run(23, emulator::Async::at_issue, 2) == first);
}

void check_vae(ActivationType type, double tolerance) {
  const VaeConfig config = VaeConfig::parse(read_text(kFolder + "vae/config.json"));
  const auto source = [] {
    return open_weights({kFolder + "vae/diffusion_pytorch_model.safetensors"});
  };
  Autoencoder reference(config, source(), cpu());
  Autoencoder vae(config, source(), emulated_backend(kSm80, type));
  Shape shape;
  const auto latent = numbers("latent", {1, config.latent_channels, 5, 4});
  const auto image =
      numbers("image", {1, config.in_channels, 5 * config.scale(), 4 * config.scale()});
  const auto decoded = reference.decode(latent.data(), 1, 5, 4, false, &shape, nullptr, nullptr);
  check_close("decode", vae.decode(latent.data(), 1, 5, 4, false, &shape, nullptr, nullptr),
              decoded, tolerance);
  const int h = 5 * config.scale(), w = 4 * config.scale();
  const auto moments = reference.encode(image.data(), 1, h, w, &shape, nullptr, nullptr);
  check_close("encode", vae.encode(image.data(), 1, h, w, &shape, nullptr, nullptr), moments,
              tolerance);
}

// The autoencoder with activations beyond fp16's 65504, as SDXL's are: norms make the numbers right
// again where they are not infinite.
class Enlarged : public WeightSource {
 public:
  Enlarged(std::shared_ptr<WeightSource> source, const std::string& name, float factor)
      : source_(std::move(source)), name_(name), tensor_(*source_->find(name)) {
    values_.resize(tensor_.count);
    read_floats(tensor_, 0, tensor_.count, values_.data());
    for (float& value : values_) value *= factor;
    tensor_.type = Type::f32;
    tensor_.data = values_.data();
  }
  const SourceTensor* find(const std::string& name) const override {
    return name == name_ ? &tensor_ : source_->find(name);
  }
  std::vector<std::string> names() const override { return source_->names(); }
  std::string description() const override { return source_->description(); }

 private:
  std::shared_ptr<WeightSource> source_;
  std::string name_;
  SourceTensor tensor_;
  std::vector<float> values_;
};

void check_overflowing_vae() {
  const VaeConfig config = VaeConfig::parse(read_text(kFolder + "vae/config.json"));
  const auto decode = [&](std::shared_ptr<Backend> backend) {
    const auto file = open_weights({kFolder + "vae/diffusion_pytorch_model.safetensors"});
    const auto source = std::make_shared<Enlarged>(file, "decoder.conv_in.weight", 1e6f);
    Shape shape;
    const auto latent = numbers("latent", {1, config.latent_channels, 5, 4});
    return Autoencoder(config, source, std::move(backend))
        .decode(latent.data(), 1, 5, 4, false, &shape, nullptr, nullptr);
  };
  const auto expected = decode(cpu());
  CHECK_THROWS(decode(emulated_backend(kSm80, ActivationType::fp16)), ErrorCode::kNotFinite);
  check_close("decode", decode(emulated_backend(kSm80, ActivationType::bf16)), expected, 4e-2);
}

void check_text(ActivationType type, double tolerance) {
  const ClipTextConfig config =
      ClipTextConfig::parse(read_text(kFolder + "text_encoder/config.json"), false);
  const auto source = [] { return open_weights({kFolder + "text_encoder/model.safetensors"}); };
  TextEncoder reference(config, source(), cpu());
  TextEncoder encoder(config, source(), emulated_backend(kSm80, type));
  std::vector<int32_t> ids;
  for (int i = 0; i < 2 * 11; i++) ids.push_back(i * 37 % 200);
  const TextEncoding expected = reference.encode(ids, 2, 11, 0, {}, nullptr);
  const TextEncoding actual = encoder.encode(ids, 2, 11, 0, {}, nullptr);
  check_close("last hidden state", actual.last, expected.last, tolerance);
  check_close("pooled", actual.pooled, expected.pooled, tolerance);

  // Rows that lie behind the vocabulary.
  const auto added = numbers("added", {3, config.width});
  ids[4] = config.vocabulary + 2, ids[15] = config.vocabulary;
  const TextEncoding more = reference.encode(ids, 2, 11, 0, {0}, nullptr, added);
  const TextEncoding same = encoder.encode(ids, 2, 11, 0, {0}, nullptr, added);
  check_close("embeddings with added rows", same.hidden[0], more.hidden[0], tolerance);
  check_close("last hidden state with added rows", same.last, more.last, tolerance);
  check_close("pooled with added rows", same.pooled, more.pooled, tolerance);
}

constexpr ActivationType kFp16 = ActivationType::fp16, kBf16 = ActivationType::bf16;

}  // namespace

TEST(quick_models_unet_fp16) {
  const Emulation emulation(1, emulator::Async::late);
  check_unet(kFp16, 8, 8, 5e-3);
}
TEST(quick_models_denoise_fp16) {
  const Emulation emulation(2, emulator::Async::random, 2);
  check_denoise(kFp16, 0, 2e-2);
}
TEST(quick_models_vae_fp16) {
  const Emulation emulation(3, emulator::Async::late);
  check_vae(kFp16, 5e-3);
}
TEST(quick_models_text_fp16) {
  const Emulation emulation(4, emulator::Async::random);
  check_text(kFp16, 5e-3);
}

TEST(quick_models_repeat_bit_for_bit) { check_repeats(kSm90, kFp16); }
TEST(quick_models_vae_beyond_fp16) {
  const Emulation emulation(10, emulator::Async::late);
  check_overflowing_vae();
}

TEST(all_models_repeat_bit_for_bit) { check_repeats(kSm80, kBf16); }
TEST(all_models_unet_odd_size) {
  const Emulation emulation(5, emulator::Async::random);
  check_unet(kFp16, 9, 7, 5e-3);
}
TEST(all_models_unet_bf16) {
  const Emulation emulation(6, emulator::Async::late, 2);
  check_unet(kBf16, 8, 8, 4e-2);
}
TEST(all_models_denoise_deep_branch) {
  const Emulation emulation(7, emulator::Async::late);
  check_denoise(kFp16, 3, 2e-2);
}
TEST(all_models_vae_bf16) {
  const Emulation emulation(8, emulator::Async::late);
  check_vae(kBf16, 4e-2);
}
TEST(all_models_text_bf16) {
  const Emulation emulation(9, emulator::Async::late);
  check_text(kBf16, 4e-2);
}

}  // namespace deepcache::test
