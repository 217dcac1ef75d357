#include "tensor_names.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "error.h"

namespace deepcache {
namespace {

constexpr std::string_view kCompiled = "_orig_mod.";
constexpr std::array<std::string_view, 6> kWrappers = {
    "module.", "model.", "unet.", "vae.", "text_encoder.", "image_encoder."};
constexpr std::array<std::string_view, 2> kClipModels = {"text_model.", "vision_model."};

bool ends_with_number(std::string_view text) {
  const size_t digits = text.find_last_not_of("0123456789");
  return digits + 1 < text.size();  // npos + 1 is 0
}

}  // namespace

std::string former_name(const std::string& name) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {".to_q.", ".query."},
      {".to_k.", ".key."},
      {".to_v.", ".value."},
      {".to_out.0.", ".proj_attn."}};
  for (const auto& [present, former] : kNames) {
    const size_t at = name.rfind(present);
    if (at == std::string::npos) continue;
    // Only directly below "attentions.<number>": U-Nets have a transformer block between.
    const std::string_view module = std::string_view(name).substr(0, at);
    const size_t number = module.rfind('.');
    if (number == std::string_view::npos || !ends_with_number(module)) return name;
    const std::string_view list = module.substr(0, number);
    if (list != "attentions" && !list.ends_with(".attentions")) return name;
    return std::string(module) + std::string(former) + name.substr(at + present.size());
  }
  return name;
}

std::string plain_name(const std::string& name) {
  std::string plain = name;
  for (size_t at = 0; (at = plain.find(kCompiled, at)) != std::string::npos;)
    if (at == 0 || plain[at - 1] == '.')
      plain.erase(at, kCompiled.size());
    else
      ++at;
  for (bool wrapped = true; wrapped;) {
    wrapped = false;
    for (const std::string_view wrapper : kWrappers) {
      if (!plain.starts_with(wrapper)) continue;
      plain.erase(0, wrapper.size());
      wrapped = true;
    }
  }
  return plain;
}

void TensorNames::add(const std::string& stored) {
  by_plain_name_.emplace(plain_name(stored), stored);
}

const std::string* TensorNames::find(const std::string& name) const {
  const std::string plain = plain_name(name);
  std::vector<std::string> candidates = {plain};
  if (const std::string former = former_name(plain); former != plain) candidates.push_back(former);
  for (const std::string_view model : kClipModels)
    if (plain.starts_with(model)) candidates.push_back(plain.substr(model.size()));
  const std::string* found = nullptr;
  for (const std::string& candidate : candidates) {
    const auto [begin, end] = by_plain_name_.equal_range(candidate);
    for (auto it = begin; it != end; ++it) {
      if (found)
        throw Error(ErrorCode::kInvalidWeights,
                    where_ + (where_.empty() ? "" : ": ") + "both \"" + *found + "\" and \"" +
                        it->second + "\" could be " + plain + "; a file must hold one model");
      found = &it->second;
    }
  }
  return found;
}

}  // namespace deepcache
