#include "model_source.h"

#include "models/config.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace deepcache::addon {
namespace {

constexpr size_t kMaxTensors = 100'000;
constexpr size_t kMaxFiles = 10'000;
constexpr size_t kMaxDimensions = 16;
constexpr int64_t kLargest = int64_t(1) << 53;  // of JavaScript's exact integers

}  // namespace

StoredTensor parse_stored_tensor(const Argument& argument) {
  StoredTensor tensor;
  tensor.file = argument["file"].path();
  tensor.dtype = argument["dtype"].string();
  for (const Argument& extent : argument["shape"].elements(kMaxDimensions))
    tensor.shape.push_back(extent.integer(0, kLargest));
  tensor.offset = uint64_t(argument["offset"].integer(0, kLargest));
  const Argument transposed = argument["transposed"];
  tensor.transposed = transposed.given() && transposed.boolean();
  return tensor;
}

std::string parse_config(const Argument& argument) {
  std::string text = argument.string();
  if (text.size() > kMaxConfigBytes)
    argument.fail(
        "the text of a config.json, at most " + std::to_string(kMaxConfigBytes) + " bytes",
        std::to_string(text.size()) + " bytes");
  return text;
}

ModelSource ModelSource::parse(const Argument& argument) {
  ModelSource source{parse_config(argument["config"]), {}, {}};
  const Argument files = argument["files"], tensors = argument["tensors"];
  if (tensors.given()) {
    if (files.given()) files.fail("left out where there are tensors", "both");
    for (const Argument& tensor : tensors.elements(kMaxTensors)) {
      const Napi::HandleScope scope(tensor.value().Env());
      source.tensors.push_back(parse_stored_tensor(tensor));
      source.tensors.back().name = tensor["name"].string();
    }
    if (source.tensors.empty()) tensors.fail("a list of tensors", "an empty one");
    return source;
  }
  for (const Argument& file : files.elements(kMaxFiles)) source.files.push_back(file.path());
  if (source.files.empty()) files.fail("a list of safetensors files", "an empty one");
  return source;
}

std::shared_ptr<WeightSource> ModelSource::open() const {
  return tensors.empty() ? open_weights(files) : open_table(tensors);
}

bool has_projection(const std::string& config, bool otherwise) {
  const Json json = Json::parse(config);
  const Json* architectures = json.find("architectures");
  if (!architectures || architectures->is_null()) return otherwise;
  for (const Json& entry : architectures->array("text encoder config: \"architectures\"")) {
    const std::string name = entry.string("an entry of \"architectures\"");
    if (name.find("WithProjection") != std::string::npos) return true;
    // Both encoders with their projections: what the weights hold decides.
    if (name == "CLIPModel") return otherwise;
  }
  return false;
}

const SourceTensor* AbortableWeights::find(const std::string& name) const {
  if (cancel_ && *cancel_) throw Error(ErrorCode::kAborted, "loading the model was aborted");
  return source_->find(name);
}

}  // namespace deepcache::addon
