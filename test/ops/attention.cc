#include <algorithm>
#include <cmath>

#include "op_cases.h"

namespace deepcache::test {
namespace {

// Ordinary self attention over a fused product, or cross attention when keys is not the length.
OpCase attention_case(const std::string& name, int n, int length, int keys, int heads, int width,
                      bool causal = false, double scale = 1) {
  return {"attention_" + name,
          [=](OpBuilder& b) {
            Attention op;
            const int c = heads * width;
            op.q = b.input({n, 1, length, 3 * c}, scale);
            op.y = b.output({n, 1, length, c});
            op.q_offset = c;
            if (keys == length) {
              op.k = op.v = op.q;
              op.k_offset = 0;
              op.v_offset = 2 * c;
            } else {
              op.k = b.input({n, 1, keys, c}, scale);
              op.v = b.input({n, 1, keys, c + 5});
              op.v_offset = 5;
            }
            op.heads = heads;
            op.head_width = width;
            op.scale = 0.3f;
            op.causal = causal;
            op.outer = n;
            op.query = {length, 1, length, 0};
            op.key = {keys, 1, keys, 0};
            return Op(op);
          },
          scale == 1 ? 2e-6 : 5e-6};  // larger scores have larger rounding errors
}

Op temporal_attention(OpBuilder& b) {
  // Frames of each pixel attend to each other: 2 videos of 5 frames with 6 pixels.
  Attention op;
  op.q = op.k = op.v = b.input({10, 1, 6, 3 * 16});
  op.y = b.output({10, 1, 6, 16});
  op.k_offset = 16;
  op.v_offset = 32;
  op.heads = 2;
  op.head_width = 8;
  op.scale = 0.35f;
  op.outer = 2;
  op.inner = 6;
  op.query = op.key = {5, 6, 30, 1};
  return Op(op);
}

Op cross_frame_attention(OpBuilder& b) {
  // All frames read the keys of the first one.
  Attention op;
  op.q = b.input({4, 1, 9, 16});
  op.k = op.v = b.input({4, 1, 9, 32});
  op.y = b.output({4, 1, 9, 16});
  op.v_offset = 16;
  op.heads = 1;
  op.head_width = 16;
  op.scale = 0.25f;
  op.outer = 4;
  op.query = {9, 1, 9, 0};
  op.key = {9, 1, 0, 0};
  return Op(op);
}

// Videos of 3 frames: all frames of a video read keys of its own, `shared` of its first frame.
OpCase video_attention(const std::string& name, int length, int keys, int heads, int width,
                       bool shared) {
  return {"attention_" + name, [=](OpBuilder& b) {
            Attention op;
            const int c = heads * width, videos = 2, frames = 3;
            op.q = b.input({videos * frames, 1, length, c});
            op.k = op.v = b.input({videos * (shared ? frames : 1), 1, keys, 2 * c});
            op.y = b.output({videos * frames, 1, length, c});
            op.v_offset = c;
            op.heads = heads;
            op.head_width = width;
            op.scale = 0.3f;
            op.outer = videos;
            op.inner = frames;
            op.query = {length, 1, frames * length, length};
            op.key = {keys, 1, shared ? frames * keys : keys, 0};
            return Op(op);
          }};
}

// Of the last sequences y is v.
OpCase with_identities(const OpCase& attention, const std::string& name, int identities) {
  return {"attention_" + name,
          [record = attention.record, identities](OpBuilder& b) {
            Op op = record(b);
            op.attention.identities = identities;
            return op;
          },
          attention.tolerance};
}

}  // namespace

void reference(const Attention& op, ReferenceState& state) {
  const auto &q = state.get(op.q), &k = state.get(op.k), &v = state.get(op.v);
  auto& out = state.output(op.y);
  std::vector<double> weights(op.key.length);
  const auto row = [](const Sequence& s, int outer, int inner, int i) {
    return size_t(outer) * s.outer_stride + size_t(inner) * s.inner_stride + size_t(i) * s.step;
  };
  for (int o = 0; o < op.outer; o++)
    for (int s = 0; s < op.inner; s++)
      for (int head = 0; head < op.heads; head++)
        for (int i = 0; i < op.query.length; i++) {
          const int channel = head * op.head_width;
          const size_t q_row = row(op.query, o, s, i);
          if (o >= op.outer - op.identities) {
            for (int d = 0; d < op.head_width; d++)
              out[q_row * op.y.shape.c + channel + d] =
                  v[row(op.key, o, s, i) * op.v.shape.c + op.v_offset + channel + d];
            continue;
          }
          const int keys = op.causal ? i + 1 : op.key.length;
          double top = -INFINITY, sum = 0;
          for (int j = 0; j < keys; j++) {
            double dot = 0;
            for (int d = 0; d < op.head_width; d++)
              dot += q[q_row * op.q.shape.c + op.q_offset + channel + d] *
                     k[row(op.key, o, s, j) * op.k.shape.c + op.k_offset + channel + d];
            weights[j] = double(op.scale) * dot;
            top = std::max(top, weights[j]);
          }
          for (int j = 0; j < keys; j++) sum += weights[j] = std::exp(weights[j] - top);
          for (int d = 0; d < op.head_width; d++) {
            double value = 0;
            for (int j = 0; j < keys; j++)
              value += weights[j] / sum *
                       v[row(op.key, o, s, j) * op.v.shape.c + op.v_offset + channel + d];
            out[q_row * op.y.shape.c + channel + d] = value;
          }
        }
}

std::vector<OpCase> attention_cases() {
  return {
      attention_case("heads_of_40", 2, 70, 70, 3, 40),
      attention_case("heads_of_64", 1, 300, 300, 2, 64),
      attention_case("wide", 1, 90, 90, 1, 160),
      attention_case("vae", 1, 150, 150, 1, 512),
      attention_case("vae_few", 1, 40, 40, 1, 512),
      attention_case("wide_in_parts", 1, 260, 2001, 1, 168),
      attention_case("wide_heads", 2, 300, 300, 2, 200),
      attention_case("one_head_of_576", 1, 70, 70, 1, 576),  // LDM-4
      attention_case("one_head_of_960", 2, 64, 64, 1, 960),
      attention_case("cross", 2, 130, 77, 2, 40),
      attention_case("cross_64", 2, 70, 77, 3, 64),
      attention_case("cross_80", 1, 150, 80, 2, 80),
      attention_case("cross_160", 1, 90, 81, 2, 160),
      attention_case("cross_few", 1, 200, 5, 2, 160),
      attention_case("causal", 2, 77, 77, 3, 64, true),
      attention_case("causal_long", 1, 301, 301, 2, 16, true),
      attention_case("one_query", 1, 1, 9, 2, 8),
      attention_case("one_token", 3, 1, 1, 2, 8),
      attention_case("narrow", 2, 40, 40, 4, 3),
      attention_case("many_blocks", 1, 700, 700, 1, 24),
      attention_case("sharp", 1, 200, 200, 1, 32, false, 12),
      attention_case("heads_of_80", 2, 200, 200, 3, 80),
      attention_case("heads_of_128", 1, 140, 140, 2, 128),
      attention_case("heads_of_160", 1, 300, 300, 2, 160),
      attention_case("long", 1, 600, 600, 1, 40),
      video_attention("first_frame", 70, 70, 2, 24, true),
      video_attention("text_of_video", 130, 77, 2, 40, false),
      video_attention("text_of_80", 70, 77, 2, 80, false),
      video_attention("text_of_160", 70, 80, 1, 160, false),
      // More units than blocks: each block goes through several.
      video_attention("units_of_40", 260, 300, 1, 40, false),
      video_attention("units_of_160", 130, 130, 1, 160, true),
      {"attention_temporal", temporal_attention},
      {"attention_cross_frame", cross_frame_attention},
      with_identities(attention_case("", 3, 70, 70, 2, 40), "perturbed", 1),
      with_identities(attention_case("", 2, 40, 40, 4, 3), "all_perturbed", 2),
      with_identities(attention_case("", 2, 150, 150, 1, 512), "perturbed_wide", 1),
      with_identities({"", temporal_attention}, "perturbed_temporal", 1),
  };
}

}  // namespace deepcache::test
