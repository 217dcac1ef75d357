#pragma once

#include <memory>

#include "adapters/term.h"

namespace deepcache {

// A term whose factors were read: what it adds to rows of its weight.
class Delta {
 public:
  virtual ~Delta() = default;
  // Whether add() looks at `base`.
  virtual bool needs_base() const { return false; }
  // out += scale * the change of rows [first, first + count), of which `base` has the published
  // values. On several threads at once. Throws Error(kInvalidWeights) when a file cannot be read.
  virtual void add(size_t first, size_t count, float scale, const float* base,
                   float* out) const = 0;
};

// All of a tensor, widened.
std::vector<float> values_of(const SourceTensor& tensor);

// Reads the factors of a term that check_term() let pass.
std::unique_ptr<Delta> read_delta(const AdapterTerm& term, const SourceTensor& weight);

// The same with the term's magnitude (DoRA); `scale` is all of it then.
std::unique_ptr<Delta> with_magnitude(std::unique_ptr<Delta> delta, const AdapterTerm& term,
                                      const SourceTensor& weight);

}  // namespace deepcache
