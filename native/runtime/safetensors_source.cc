// open_weights: the floating point tensors of safetensors files as the runtime's weights.

#include <bit>
#include <optional>

#include "error.h"
#include "safetensors.h"
#include "tensor_names.h"

namespace deepcache {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors hold little-endian values");

std::optional<Type> type_of_dtype(const std::string& dtype) {
  if (dtype == "F32") return Type::f32;
  if (dtype == "F16") return Type::f16;
  if (dtype == "BF16") return Type::bf16;
  return std::nullopt;
}

class SafetensorsSource : public WeightSource {
 public:
  explicit SafetensorsSource(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) add(SafetensorsFile::open(path));
    names_ = TensorNames(description());
    for (const auto& [name, entry] : entries_) names_.add(name);
  }

  const SourceTensor* find(const std::string& name) const override {
    const std::string* stored = names_.find(name);
    if (!stored) return nullptr;
    const Entry& entry = entries_.at(*stored);
    if (!entry.usable)
      throw Error(ErrorCode::kInvalidWeights,
                  entry.file->path() + ": tensor \"" + *stored + "\" is " + entry.info->dtype +
                      "; weights must be F32, F16 or BF16: use a file in one of these");
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
    const SafetensorsFile* file;
    const TensorInfo* info;
    bool usable;
    SourceTensor tensor;
  };

  void add(std::shared_ptr<SafetensorsFile> file) {
    for (const TensorInfo& info : file->tensors()) {
      const std::optional<Type> type = type_of_dtype(info.dtype);
      SourceTensor tensor;
      tensor.type = type.value_or(Type::f32);
      tensor.shape = info.shape;
      tensor.count = info.bytes / bytes_of(tensor.type);
      tensor.file = &file->file();
      tensor.offset = info.offset;
      const auto [entry, added] =
          entries_.try_emplace(info.name, Entry{file.get(), &info, type.has_value(), tensor});
      if (!added)
        throw Error(ErrorCode::kInvalidWeights,
                    "tensor \"" + info.name + "\" is both in " + entry->second.file->path() +
                        " and in " + file->path() + ": these are not shards of one model");
    }
    files_.push_back(std::move(file));
  }

  std::vector<std::shared_ptr<SafetensorsFile>> files_;
  std::map<std::string, Entry> entries_;
  TensorNames names_;
};

}  // namespace

std::shared_ptr<WeightSource> open_weights(const std::vector<std::string>& paths) {
  return std::make_shared<SafetensorsSource>(paths);
}

}  // namespace deepcache
