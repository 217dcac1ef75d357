#pragma once

// The autoencoders of latent diffusion models as plans: diffusers' AutoencoderKL for images, and
// AutoencoderKLTemporalDecoder for videos, whose decoder has layers along the frames; CompVis'
// VQModelInterface, a decoder behind a codebook. Those of vae_tiny.h and vae_mask.h are parts of
// what is planned here.

#include <string>
#include <vector>

#include "../runtime/plan.h"
#include "video_layers.h"
#include "weight_names.h"

namespace deepcache {

// What a format calls the fields, for messages; by default as diffusers does.
struct VaeFields {
  std::string config = "vae config";
  const char* channels = "block_out_channels";
  const char* layers = "layers_per_block";
  const char* groups = "norm_num_groups";
  const char* in_channels = "in_channels";
  const char* out_channels = "out_channels";
  const char* latent_channels = "latent_channels";
  const char* code_channels = "latent_channels";
  const char* codes = "n_embed";
  const char* scaling_factor = "scaling_factor";
};

struct VaeConfig {
  int in_channels = 3, out_channels = 3, latent_channels = 4;
  std::vector<int> channels;  // block_out_channels, the finest level first
  int layers = 2;             // layers_per_block
  // The decoder's, where they are others (AsymmetricAutoencoderKL); parse() fills them.
  std::vector<int> decoder_channels;
  int decoder_layers = 2;
  int groups = 32;                           // norm_num_groups
  Activation activation = Activation::silu;  // of the resnets
  // Its decoder takes a picture and a mask: where that is 0 it keeps the picture (vae_mask.h).
  bool masked = false;
  // AutoencoderTiny: no posterior, no norms, no attention (vae_tiny.h); blocks of each level, and
  // of its decoder's, which has the coarsest first.
  bool tiny = false;
  std::vector<int> encoder_blocks, decoder_blocks;
  bool quant_conv = true, post_quant_conv = true;
  bool mid_attention = true;
  bool linear_projection = true;  // attention's projections stored as linear layers: counts only
  double scaling_factor = 0.18215;
  bool video = false;      // decodes a batch as the frames of one video
  MixFactors mix_factors;  // of the loaded weights

  bool encoder = true;       // otherwise it can only decode
  int codes = 0;             // rows of the codebook (VQ); 0: there is none
  int code_channels = 4;     // of what is decoded, before post_quant_conv
  WeightNaming naming = {};  // of the checkpoint
  VaeFields fields = {};

  // Reads diffusers' classes above and the formats of vae_formats.h.
  static VaeConfig parse(const std::string& json);

  // Image pixels of a latent one, in each axis.
  int scale() const { return 1 << (channels.size() - 1); }
};

// image [n, h, w, in] in [-1, 1], any size of at least scale() -> moments: mean and log
// variance [n, h / scale, w / scale, 2 * latent].
Plan plan_vae_encode(const VaeConfig& config, int batch, int height, int width);
// latent (divided by the scaling factor) [n, h, w, code channels] -> image [n, h * scale, w *
// scale, out], in [-1, 1] but not clamped. `keep`: with a picture and masks to keep of it, for a
// config that is `masked`. With `video` the batch is one video, or the part of it
// that is decoded at once: its frames see each other. With a codebook and `quantize` every latent
// pixel is replaced by the nearest code first.
struct VaeDecodeOptions {
  bool quantize = true;
  bool keep = false;
};
Plan plan_vae_decode(const VaeConfig& config, int batch, int height, int width,
                     const VaeDecodeOptions& options = {});

}  // namespace deepcache
