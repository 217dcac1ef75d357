#pragma once

#include <map>
#include <vector>

#include "ops.h"

namespace deepcache {

// Who reads and writes the tensors of a list of ops.
class Uses {
 public:
  explicit Uses(const std::vector<Op>& ops) {
    for (int i = 0; i < int(ops.size()); ++i) {
      ops[i].inputs([&](const Tensor& tensor) { uses_[tensor.id].readers++; });
      Use& written = uses_[ops[i].output().id];
      written.writers++;
      written.writer = i;
    }
  }

  bool read_once(int tensor) const { return find(tensor).readers == 1; }
  // -1: there is none, or several.
  int only_writer(int tensor) const {
    const Use use = find(tensor);
    return use.writers == 1 ? use.writer : -1;
  }
  // Whether the op's inputs are not written from number `index` on, so that they are the same
  // whenever they are read.
  bool written_before(const Op& op, int index) const {
    bool before = true;
    op.inputs([&](const Tensor& tensor) {
      if (tensor) before &= find(tensor.id).writer < index;
    });
    return before;
  }

 private:
  struct Use {
    int readers = 0, writers = 0, writer = -1;
  };
  Use find(int tensor) const {
    const auto found = uses_.find(tensor);
    return found == uses_.end() ? Use() : found->second;
  }

  std::map<int, Use> uses_;
};

}  // namespace deepcache
