#include "vae_formats.h"

#include "bounds.h"

namespace deepcache {

VaeConfig parse_ldm_vae(const ConfigReader& in) {
  const ConfigReader params = in.section("params"), first = params.section("first_stage_config");
  first.only("target", {"ldm.models.autoencoder.VQModelInterface"});
  const ConfigReader model = first.section("params"), network = model.section("ddconfig");
  if (!network.integers("attn_resolutions").empty())
    throw Error(ErrorCode::kUnsupported,
                "vae config: \"attn_resolutions\" must be empty: only the middle attends");
  VaeConfig out;
  out.fields = {.config = "vae config.params.first_stage_config.params",
                .channels = "ddconfig.ch_mult",
                .layers = "ddconfig.num_res_blocks",
                .in_channels = "ddconfig.in_channels",
                .out_channels = "ddconfig.out_ch",
                .latent_channels = "ddconfig.z_channels",
                .code_channels = "embed_dim",
                .scaling_factor = "scale_factor"};
  out.channels = network.multiples("ch", "ch_mult", bounds::kChannels);
  out.in_channels = network.integer("in_channels", 3);
  out.out_channels = network.integer("out_ch");
  out.latent_channels = network.integer("z_channels");
  out.code_channels = model.integer("embed_dim");
  out.codes = model.integer("n_embed");
  out.decoder_channels = out.channels;
  out.layers = out.decoder_layers = network.integer("num_res_blocks");
  out.scaling_factor = params.number("scale_factor", 1);
  out.linear_projection = false;
  out.encoder = false;
  out.naming = ddpm_naming(int(out.channels.size()), "first_stage_model.");
  return out;
}

}  // namespace deepcache
