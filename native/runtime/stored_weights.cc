#include "stored_weights.h"

#include <bit>
#include <map>
#include <optional>
#include <utility>

#include "error.h"
#include "safetensors.h"
#include "tensor_names.h"

namespace deepcache {
namespace {

static_assert(std::endian::native == std::endian::little, "files hold little-endian values");

std::optional<Type> type_of_dtype(const std::string& dtype) {
  if (dtype == "F32") return Type::f32;
  if (dtype == "F16") return Type::f16;
  if (dtype == "BF16") return Type::bf16;
  if (dtype == "F8_E4M3") return Type::e4m3;
  if (dtype == "F8_E5M2") return Type::e5m2;
  if (dtype == "F64") return Type::f64;
  return std::nullopt;
}

[[noreturn]] void fail_tensor(const StoredTensor& tensor, const std::string& problem) {
  throw Error(ErrorCode::kInvalidWeights,
              tensor.file + ": tensor \"" + tensor.name.substr(0, 200) + "\" " + problem);
}

// Throws unless its values are in a file of so many bytes; how many bytes they are.
size_t check_place(const StoredTensor& tensor, size_t file_size) {
  const int bits = bits_of_dtype(tensor.dtype);
  if (bits == 0)
    fail_tensor(tensor, "has the unknown dtype \"" + tensor.dtype.substr(0, 40) + "\"");
  size_t bytes = 0;
  if (!tensor_bytes(tensor.shape, bits, &bytes))
    fail_tensor(tensor, "has the impossible shape " + to_string(tensor.shape));
  if (tensor.transposed && tensor.shape.size() != 2)
    fail_tensor(tensor, "of shape " + to_string(tensor.shape) + " cannot be transposed");
  if (tensor.offset > file_size || bytes > file_size - tensor.offset)
    fail_tensor(tensor, "takes " + std::to_string(bytes) + " bytes from byte " +
                            std::to_string(tensor.offset) + " on, but the file has only " +
                            std::to_string(file_size) + "; it is truncated or damaged");
  return bytes;
}

using OpenFile = std::shared_ptr<const InputFile>;

class StoredWeights : public WeightSource {
 public:
  void hold(OpenFile file) { files_.push_back(std::move(file)); }

  // `file` is held.
  void add(const StoredTensor& stored, const InputFile& file) {
    const size_t bytes = check_place(stored, file.size());
    Entry entry;
    entry.dtype = stored.dtype;
    const std::optional<Type> type = type_of_dtype(stored.dtype);
    entry.usable = type.has_value();
    entry.tensor.type = type.value_or(Type::f32);
    entry.tensor.shape = stored.shape;
    entry.tensor.count = bytes / bytes_of(entry.tensor.type);
    entry.tensor.file = &file;
    entry.tensor.offset = stored.offset;
    entry.tensor.transposed = stored.transposed;
    const auto [other, added] = entries_.try_emplace(stored.name, std::move(entry));
    if (!added)
      throw Error(ErrorCode::kInvalidWeights,
                  "tensor \"" + stored.name.substr(0, 200) + "\" is both in " +
                      other->second.tensor.file->path() + " and in " + stored.file +
                      ": these are not shards of one model");
  }

  void index() {
    names_ = TensorNames(description());
    for (const auto& [name, entry] : entries_) names_.add(name);
  }

  const SourceTensor* find(const std::string& name) const override {
    const std::string* stored = names_.find(name);
    if (!stored) return nullptr;
    const Entry& entry = entries_.at(*stored);
    if (!entry.usable)
      throw Error(ErrorCode::kInvalidWeights,
                  entry.tensor.file->path() + ": tensor \"" + *stored + "\" is " + entry.dtype +
                      "; weights must be F32, F16, BF16, F64, F8_E4M3 or F8_E5M2: use a file in "
                      "one of these");
    return &entry.tensor;
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_) names.push_back(name);
    return names;
  }

  std::string stored_name(const std::string& name) const override {
    const std::string* stored = names_.find(name);
    return stored ? *stored : name;
  }

  std::string description() const override {
    std::string text;
    for (const auto& file : files_) text += (text.empty() ? "" : ", ") + file->path();
    return text;
  }

 private:
  struct Entry {
    std::string dtype;
    bool usable = false;
    SourceTensor tensor;
  };

  std::vector<OpenFile> files_;
  std::map<std::string, Entry> entries_;
  TensorNames names_;
};

}  // namespace

std::shared_ptr<WeightSource> open_weights(const std::vector<std::string>& paths) {
  const auto weights = std::make_shared<StoredWeights>();
  for (const std::string& path : paths) {
    const auto file = SafetensorsFile::open(path);
    weights->hold(OpenFile(file, &file->file()));
    for (const TensorInfo& info : file->tensors())
      weights->add({info.name, path, info.dtype, info.shape, info.offset}, file->file());
  }
  weights->index();
  return weights;
}

std::shared_ptr<WeightSource> open_table(const std::vector<StoredTensor>& table) {
  const auto weights = std::make_shared<StoredWeights>();
  std::map<std::string, OpenFile> files;
  for (const StoredTensor& tensor : table) {
    OpenFile& file = files[tensor.file];
    if (!file) weights->hold(file = std::make_shared<InputFile>(tensor.file));
    weights->add(tensor, *file);
  }
  weights->index();
  return weights;
}

}  // namespace deepcache
