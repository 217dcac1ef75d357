#include "vae_formats.h"

namespace deepcache {

VaeConfig parse_ldm_vae(const ConfigReader& in) {
  const ConfigReader params = in.section("params"), first = params.section("first_stage_config");
  first.only("target", {"ldm.models.autoencoder.VQModelInterface"});
  const ConfigReader model = first.section("params"), network = model.section("ddconfig");
  if (!network.integers("attn_resolutions").empty())
    throw Error(ErrorCode::kUnsupported,
                "vae config: \"attn_resolutions\" must be empty: only the middle attends");
  VaeConfig out;
  out.channels = network.integers("ch_mult");
  const size_t levels = out.channels.size();
  if (levels < 1 || levels > 8) network.fail("must have 1 to 8 levels in \"ch_mult\"");
  for (int& channels : out.channels) channels *= network.integer("ch");
  out.in_channels = network.integer("in_channels", 3);
  out.out_channels = network.integer("out_ch");
  out.latent_channels = network.integer("z_channels");
  out.code_channels = model.integer("embed_dim");
  out.codes = model.integer("n_embed");
  out.layers = network.integer("num_res_blocks");
  out.scaling_factor = params.number("scale_factor", 1);
  out.linear_projection = false;
  out.encoder = false;
  out.naming = ddpm_naming(int(levels), "first_stage_model.");
  if (!(out.scaling_factor > 0)) params.fail("must have a \"scale_factor\" above 0");
  check_groups(network, out);
  return out;
}

void check_groups(const ConfigReader& in, const VaeConfig& config) {
  for (const int channels : config.channels)
    if (channels % config.groups)
      in.fail("has " + std::to_string(channels) + " channels, which norm_num_groups " +
              std::to_string(config.groups) + " does not divide");
}

}  // namespace deepcache
