#pragma once

// Records layers by their names in the weight file, and counts what the published architecture
// computes for them, whatever ops they become.

#include <string>
#include <vector>

#include "../runtime/plan.h"

namespace deepcache {

// The fewest bits that a layer's products may be of, where a backend has a choice.
enum class Bits : uint8_t { eight, sixteen, all };

struct ConvOptions {
  int out = 0;
  int kernel = 1, stride = 1;
  int kernel_w = 0;  // 0: as high
  int pad = -1;      // on every side; -1: kernel / 2, in each axis
  bool bias = true;
  Tensor x2 = {};          // channels after x's
  Shape upsample_to = {};  // read x through a nearest x2 enlargement of this height and width
  Tensor residual = {};
  Tensor row = {};  // a vector per sample
  int row_offset = 0;
  Activation activation = Activation::none;
  bool linear = false;  // counted as a linear layer: its bias once, not for each row
  // Padding on the bottom and right only (the VAE's downsampling).
  bool pad_end_only = false;
  bool column = false;  // along a video's frames: kernel x 1, padded along the height only
  float scale = 1;      // of the layer's output, before the residual is added
  float residual_scale = 1;
  Bits least = Bits::eight;
};

// Where the sequences of an attention lie; see Attention.
struct Sequences {
  int outer = 1, inner = 1;
  Sequence query, key;
  int identities = 0;
};

struct GroupNormOptions {
  int groups = 32;
  float epsilon = 1e-5f;
  bool silu = false;
  Tensor x2 = {};
  bool counted = true;  // by Macs::repo
};

class Recorder {
 public:
  // `least`: of every layer.
  explicit Recorder(Plan& plan, Bits least = Bits::sixteen) : plan_(plan), least_(least) {}

  Plan& plan() { return plan_; }

  // A layer named `name` with name.weight [out, in, k, k] or [out, in] and name.bias [out].
  Tensor conv(Tensor x, const std::string& name, const ConvOptions& options);
  // Rows of several layers that read the same input, side by side: fused projections. The bias
  // is theirs too. `linear` as in ConvOptions.
  Tensor linears(Tensor x, const std::vector<std::string>& names, const std::vector<int>& outs,
                 bool bias, bool linear = true);
  Tensor group_norm(Tensor x, const std::string& name, const GroupNormOptions& options);
  Tensor layer_norm(Tensor x, const std::string& name, float epsilon = 1e-5f);
  // Self or cross attention of whole sequences: q [n, h, w, ...], k and v [n, h2, w2, ...].
  Tensor attention(Tensor q, int q_offset, Tensor k, int k_offset, Tensor v, int v_offset,
                   int heads, int head_width, bool causal = false);
  // Of sequences that lie otherwise: along frames, or with keys that several of them share.
  Tensor attention(Tensor q, int q_offset, Tensor k, int k_offset, Tensor v, int v_offset,
                   int heads, int head_width, const Sequences& sequences, bool causal = false);
  // The nearest of the rows of name.weight [codes, channels].
  Tensor nearest_code(Tensor x, const std::string& name, int codes);
  // What the shape says: another size, or pixels as channels; see Resample.
  Tensor resample(Tensor x, Shape to);
  // An op that has its input and parameters.
  Tensor pool(Pool op);
  Tensor elementwise(Tensor x, float a, Tensor x2, float b, Activation activation);
  // An op that has its inputs and parameters.
  Tensor elementwise(Elementwise op);
  Tensor relu(Tensor x, Tensor x2 = {});
  // Of the batch's equal parts: [n / parts, h, w, c].
  Tensor mean_of_parts(Tensor x, int parts);
  // The channels of x2 behind those of x.
  Tensor concat(Tensor x, Tensor x2);
  // The tokens of x2 behind those of x.
  Tensor token_concat(Tensor x, Tensor x2);

  WeightId vector(const std::vector<std::string>& names, const std::vector<int>& counts);

  // Counting only: layers that run in another plan (prompt keys, time projections).
  void count_linear(double rows, double in, double out, bool bias);

  void label(Tensor tensor, const std::string& name) { plan_.label(tensor, name); }

 private:
  void set_bits(WeightSpec& spec, Bits least) const;

  Plan& plan_;
  const Bits least_;
};

}  // namespace deepcache
