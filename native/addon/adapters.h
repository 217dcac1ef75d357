#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adapters/term.h"
#include "arguments.h"
#include "runtime/stored_weights.h"

namespace deepcache::addon {

// AdaptedWeight[] of lib/native/types.ts: terms whose tensors are still in files.
class AdapterRequest {
 public:
  static std::shared_ptr<const AdapterRequest> parse(const Argument& argument);
  // The terms of one weight: AdapterTerm[].
  static std::shared_ptr<const AdapterRequest> of_weight(const std::string& name,
                                                         const Argument& terms);

  // Opens the files. Throws Error(kInvalidWeights).
  AdapterTerms open() const;

 private:
  struct Term {
    AdapterTerm term;
    std::vector<std::pair<std::string, std::string>> tensors;  // role, name in the table
  };

  void add(const std::string& name, const Argument& terms);

  std::vector<StoredTensor> table_;
  std::vector<std::pair<std::string, std::vector<Term>>> weights_;
};

}  // namespace deepcache::addon
