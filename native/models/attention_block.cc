#include "attention_block.h"

namespace deepcache {

Tensor attention_block(Recorder& record, const std::string& name, Tensor x,
                       const AttentionBlockOptions& o) {
  const int channels = x.shape.c;
  Tensor h = record.group_norm(x, name + ".group_norm", {.groups = o.groups, .epsilon = o.epsilon});
  const Tensor qkv = record.linears(h, {name + ".to_q", name + ".to_k", name + ".to_v"},
                                    {channels, channels, channels}, true, o.linear);
  h = record.attention(qkv, 0, qkv, channels, qkv, 2 * channels, o.heads, channels / o.heads);
  h = record.conv(h, name + ".to_out.0", {.out = channels, .residual = x, .linear = o.linear});
  record.label(h, name);
  return h;
}

}  // namespace deepcache
