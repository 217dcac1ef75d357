#pragma once

// What an adapter (LoRA and its relatives) does to one weight, as its file says it. docs/lora.md
// has the formulas.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/weights.h"

namespace deepcache {

enum class AdapterKind : uint8_t {
  lora,   // up [out, r] * down [r, in * taps]; with mid [r, r, kh, kw] down is [r, in] (Tucker)
  loha,   // (w1_a w1_b) o (w2_a w2_b): [out, r] * [r, in * taps]; with t1, t2: [r, out], [r, in]
  lokr,   // kron(w1, w2), each whole or as w1_a w1_b, w2_a w2_b; with t2: w2_a [r, out], w2_b [r,
          // in]
  ia3,    // the weight itself * weight [out], or [in] when it is `on_input`
  full,   // diff, of the weight's own shape
  glora,  // W A + B along the inputs: B as lora's, A = w1_a [in, r] * w1_b [r, in]
};

// How a magnitude (DoRA) and the scale go together; W is the weight, D its delta, m the magnitude.
enum class MagnitudeRule : uint8_t {
  none,
  interpolated,  // scale * (m (W + D) / |W + D| - W): LyCORIS, kohya
  peft,          // m (W + scale D) / |W + scale D| - W
};

struct AdapterTerm {
  AdapterKind kind = AdapterKind::lora;
  double scale = 1;   // the user's
  double factor = 1;  // of the file: alpha / rank
  bool on_input = false;
  MagnitudeRule rule = MagnitudeRule::none;
  // By their names above, and "magnitude".
  std::map<std::string, SourceTensor> tensors;
  std::shared_ptr<WeightSource> files;  // that they lie in
};

// The terms of weights, by diffusers' names. None: the weight as it was published.
using AdapterTerms = std::map<std::string, std::vector<AdapterTerm>>;

// Whether a magnitude is of input channels, [1, in, ...] as LyCORIS has written it, or else of
// rows: [out, 1, ...], [out], or PEFT's [1, out, 1, 1].
bool is_of_inputs(const AdapterTerm& term, const SourceTensor& weight);

// Throws Error(kInvalidWeights) unless the term's tensors fit the weight, and each other.
void check_term(const AdapterTerm& term, const std::string& name, const SourceTensor& weight);

}  // namespace deepcache
