#pragma once

// How the tensors of one model are called in files of different origin.

#include <map>
#include <string>
#include <utility>

namespace deepcache {

// What checkpoints of diffusers' first versions call the tensor: the VAE attention's to_q was
// "query" there. The name itself when it never had another.
std::string former_name(const std::string& name);

// The name without what training code wraps models in: "module." (torch's DataParallel),
// "_orig_mod." (torch.compile, of any part), "model.", or the name of the whole component.
std::string plain_name(const std::string& name);

// A file's names, to be found by today's.
class TensorNames {
 public:
  // Throws Error(kInvalidWeights) by `where`, the files, when find() meets a name twice.
  explicit TensorNames(std::string where = {}) : where_(std::move(where)) {}

  void add(const std::string& stored);
  // The stored name; null when there is none. Also finds former names, wrapped ones, and CLIP's
  // without the "text_model." or "vision_model." that transformers 5 leaves out. Throws
  // Error(kInvalidWeights) when several are meant.
  const std::string* find(const std::string& name) const;

 private:
  std::string where_;
  std::multimap<std::string, std::string> by_plain_name_;
};

}  // namespace deepcache
