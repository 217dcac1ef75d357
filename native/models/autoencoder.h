#pragma once

#include <atomic>
#include <vector>

#include "model.h"
#include "vae.h"

namespace deepcache {

// What a masked decoding keeps: an image [n, out, h, w], and where not (1) in [n, 1, h, w].
struct KeptPicture {
  const float* image = nullptr;
  const float* mask = nullptr;
};

// A loaded autoencoder of images or videos. Pixels are NCHW in [-1, 1] outside.
class Autoencoder : public Model {
 public:
  Autoencoder(const VaeConfig& config, std::shared_ptr<WeightSource> source,
              std::shared_ptr<Backend> backend);

  const VaeConfig& config() const { return config_; }

  // [n, in, h, w] -> the posterior's mean and log variance [n, 2 * latent, h / scale, w / scale];
  // the log variance is not clamped. `shape` receives the result's.
  std::vector<float> encode(const float* image, int batch, int height, int width, Shape* shape,
                            const CancelFlag* cancel, const Tap* tap);
  // n images, or the frames of one video: [n, latent, h, w], divided by the scaling factor -> [n,
  // out, h * scale, w * scale], not clamped.
  std::vector<float> decode(const float* latent, int batch, int height, int width, bool quantize,
                            Shape* shape, const CancelFlag* cancel, const Tap* tap);
  // The same; where the mask is 0 the decoder is shown the image. For configs that are `masked`.
  std::vector<float> decode_masked(const float* latent, const KeptPicture& kept, int batch,
                                   int height, int width, Shape* shape, const CancelFlag* cancel,
                                   const Tap* tap);
  // Bytes of activations that decoding takes.
  size_t decode_bytes(int batch, int height, int width) const;
  // The largest arena that a call has used; arenas are freed after each call. From any thread.
  size_t peak_arena_bytes() const { return peak_arena_; }

 private:
  std::vector<float> run(const Plan& plan, Port input, const float* data, Port output, Shape* shape,
                         const CancelFlag* cancel, const Tap* tap);

  std::vector<float> run(const Plan& plan, const Buffers& buffers, Port input, const float* data,
                         Port output, Shape* shape, const CancelFlag* cancel, const Tap* tap);

  VaeConfig config_;
  std::atomic<size_t> peak_arena_ = 0;
};

}  // namespace deepcache
