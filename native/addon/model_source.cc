#include "model_source.h"

#include "models/config.h"
#include "runtime/error.h"
#include "runtime/json.h"

namespace deepcache::addon {

std::string parse_config(const Argument& argument) {
  std::string text = argument.string();
  if (text.size() > kMaxConfigBytes)
    argument.fail(
        "the text of a config.json, at most " + std::to_string(kMaxConfigBytes) + " bytes",
        std::to_string(text.size()) + " bytes");
  return text;
}

ModelSource ModelSource::parse(const Argument& argument) {
  ModelSource source{parse_config(argument["config"]), {}};
  const Argument files = argument["files"];
  for (const Argument& file : files.elements(10'000)) source.files.push_back(file.path());
  if (source.files.empty()) files.fail("a list of safetensors files", "an empty one");
  return source;
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
