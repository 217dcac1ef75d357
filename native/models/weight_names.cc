#include "weight_names.h"

#include <string_view>
#include <utility>

namespace deepcache {
namespace {

// Whole modules of a path, in the order in which they are replaced.
using Replacements = std::vector<std::pair<std::string_view, std::string_view>>;

// `path` begins and ends with a dot.
std::string replace_modules(std::string path, const Replacements& replacements) {
  for (const auto& [from, to] : replacements) {
    const std::string whole = "." + std::string(from) + ".";
    const size_t at = path.find(whole);
    if (at != std::string::npos) path.replace(at + 1, from.size(), to);
  }
  return path;
}

// The number after ".<module>." and where its text lies; false when the path has no such module.
bool find_number(const std::string& path, const std::string& module, int* number, size_t* begin,
                 size_t* end) {
  const std::string whole = "." + module + ".";
  const size_t at = path.find(whole);
  if (at == std::string::npos) return false;
  *begin = at + whole.size();
  *end = path.find('.', *begin);
  *number = std::stoi(path.substr(*begin, *end - *begin));
  return true;
}

const Replacements kDdpm = {
    {"time_embedding.linear_1", "temb.dense.0"},
    {"time_embedding.linear_2", "temb.dense.1"},
    {"conv_norm_out", "norm_out"},
    {"mid_block.resnets.0", "mid.block_1"},
    {"mid_block.resnets.1", "mid.block_2"},
    {"mid_block.attentions.0", "mid.attn_1"},
    {"down_blocks", "down"},
    {"up_blocks", "up"},
    {"resnets", "block"},
    {"attentions", "attn"},
    {"downsamplers.0", "downsample"},
    {"upsamplers.0", "upsample"},
    {"time_emb_proj", "temb_proj"},
    {"conv_shortcut", "nin_shortcut"},
    {"group_norm", "norm"},
    {"to_q", "q"},
    {"to_k", "k"},
    {"to_v", "v"},
    {"to_out.0", "proj_out"},
};

const Replacements kOpenAi = {
    {"time_embedding.linear_1", "time_embed.0"},
    {"time_embedding.linear_2", "time_embed.2"},
    {"conv_in", "input_blocks.0.0"},
    {"conv_norm_out", "out.0"},
    {"conv_out", "out.2"},
    {"mid_block.resnets.0", "middle_block.0"},
    {"mid_block.attentions.0", "middle_block.1"},
    {"mid_block.resnets.1", "middle_block.2"},
};

// Inside of a residual block; transformer blocks keep their names.
const Replacements kOpenAiResnet = {
    {"norm1", "in_layers.0"},          {"conv1", "in_layers.2"},
    {"norm2", "out_layers.0"},         {"conv2", "out_layers.3"},
    {"time_emb_proj", "emb_layers.1"}, {"conv_shortcut", "skip_connection"},
};

// ".down_blocks.<b>.<kind>.<i>." -> ".input_blocks.<n>.<place>.", and the same of the up path.
std::string openai_blocks(const std::string& path, int layers,
                          const std::vector<bool>& up_attends) {
  int block = 0, layer = 0;
  size_t begin = 0, end = 0;
  const bool down = find_number(path, "down_blocks", &block, &begin, &end);
  if (!down && !find_number(path, "up_blocks", &block, &begin, &end)) return path;
  std::string place;
  if (find_number(path, "resnets", &layer, &begin, &end)) {
    place = "0";
  } else if (find_number(path, "attentions", &layer, &begin, &end)) {
    place = "1";
  } else {
    find_number(path, down ? "downsamplers" : "upsamplers", &layer, &begin, &end);
    layer = layers;
    place = down ? "0" : up_attends[block] ? "2" : "1";
  }
  // Past ".<i>": a downsampler's convolution has a name of its own.
  std::string rest = path.substr(end);
  if (down && layer == layers) rest = replace_modules(rest, {{"conv", "op"}});
  const int index = block * (layers + 1) + layer + (down ? 1 : 0);
  return (down ? ".input_blocks." : ".output_blocks.") + std::to_string(index) + "." + place + rest;
}

class RenamedSource : public WeightSource {
 public:
  RenamedSource(std::shared_ptr<WeightSource> source, WeightNaming naming)
      : source_(std::move(source)), naming_(std::move(naming)) {}

  const SourceTensor* find(const std::string& name) const override {
    return source_->find(naming_(name));
  }
  std::vector<std::string> names() const override { return source_->names(); }
  std::string stored_name(const std::string& name) const override {
    return source_->stored_name(naming_(name));
  }
  std::string description() const override { return source_->description(); }
  void release() override { source_->release(); }

 private:
  std::shared_ptr<WeightSource> source_;
  WeightNaming naming_;
};

std::string without_dots(const std::string& path) { return path.substr(1, path.size() - 2); }

}  // namespace

WeightNaming ddpm_naming(int levels, const std::string& prefix) {
  return [=](const std::string& name) {
    std::string path = "." + name + ".";
    int block = 0;
    size_t begin = 0, end = 0;
    if (find_number(path, "up_blocks", &block, &begin, &end))
      path.replace(begin, end - begin, std::to_string(levels - 1 - block));
    return prefix + without_dots(replace_modules(path, kDdpm));
  };
}

WeightNaming openai_unet_naming(int layers, const std::vector<bool>& up_attends,
                                const std::string& prefix) {
  return [=](const std::string& name) {
    std::string path = "." + name + ".";
    if (path.find(".resnets.") != std::string::npos) path = replace_modules(path, kOpenAiResnet);
    path = openai_blocks(replace_modules(path, kOpenAi), layers, up_attends);
    return prefix + without_dots(path);
  };
}

std::string stored_name(const WeightNaming& naming, const std::string& name) {
  return naming ? naming(name) : name;
}

std::shared_ptr<WeightSource> renamed(std::shared_ptr<WeightSource> source,
                                      const WeightNaming& naming) {
  if (!naming) return source;
  return std::make_shared<RenamedSource>(std::move(source), naming);
}

}  // namespace deepcache
