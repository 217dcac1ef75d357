#include "config.h"

#include <algorithm>

namespace deepcache {

ConfigReader::ConfigReader(const std::string& json, const std::string& what) : what_(what) {
  try {
    if (json.size() > kMaxConfigBytes)
      throw Error(ErrorCode::kInvalidConfig,
                  std::to_string(json.size()) +
                      " bytes are too many for a configuration (at most " +
                      std::to_string(kMaxConfigBytes) + ")");
    json_ = Json::parse(json);
  } catch (const Error& error) {
    throw Error(ErrorCode::kInvalidConfig, what + ": " + error.what());
  }
  if (!json_.is_object()) fail("is not a JSON object");
}

ConfigReader::ConfigReader(const Json& json, const std::string& what) : json_(json), what_(what) {
  if (!json_.is_object()) fail("is not a JSON object");
}

ConfigReader ConfigReader::section(const char* field) const {
  if (!has(field)) fail("lacks \"" + std::string(field) + "\"");
  return {*json_.find(field), what_ + "." + field};
}

void ConfigReader::fail(const std::string& message) const {
  throw Error(ErrorCode::kInvalidConfig, what_ + " " + message);
}

bool ConfigReader::has(const char* field) const {
  const Json* value = json_.find(field);
  return value && !value->is_null();
}

int ConfigReader::integer(const char* field, int fallback, int lowest, int highest) const {
  return has(field) ? within(*json_.find(field), field, lowest, highest) : fallback;
}

int ConfigReader::within(const Json& json, const char* field, int lowest, int highest) const {
  const int64_t value = json.integer(name(field));
  if (value < lowest || value > highest)
    fail("has \"" + std::string(field) + "\": " + std::to_string(value) + "; it must be between " +
         std::to_string(lowest) + " and " + std::to_string(highest));
  return int(value);
}

int ConfigReader::integer(const char* field) const {
  if (!has(field)) fail("lacks \"" + std::string(field) + "\"");
  return integer(field, 0);
}

double ConfigReader::number(const char* field, double fallback) const {
  return has(field) ? json_.find(field)->number(name(field)) : fallback;
}

bool ConfigReader::boolean(const char* field, bool fallback) const {
  return has(field) ? json_.find(field)->boolean(name(field)) : fallback;
}

std::string ConfigReader::string(const char* field, const std::string& fallback) const {
  return has(field) ? json_.find(field)->string(name(field)) : fallback;
}

std::vector<std::string> ConfigReader::strings(const char* field) const {
  if (!has(field)) fail("lacks \"" + std::string(field) + "\"");
  std::vector<std::string> out;
  for (const Json& item : json_.find(field)->array(name(field)))
    out.push_back(item.string(name(field)));
  return out;
}

std::vector<int> ConfigReader::integers(const char* field) const {
  if (!has(field)) fail("lacks \"" + std::string(field) + "\"");
  const std::vector<Json>& items = json_.find(field)->array(name(field));
  return per_level(field, items.size(), 0);
}

const std::vector<Json>* ConfigReader::list(const char* field, size_t levels) const {
  if (!is_list(field)) return nullptr;
  const std::vector<Json>& items = json_.find(field)->array(name(field));
  if (items.size() != levels)
    fail("has " + std::to_string(items.size()) + " values in \"" + field + "\" for " +
         std::to_string(levels) + " levels");
  return &items;
}

std::vector<int> ConfigReader::per_level(const char* field, size_t levels, int fallback,
                                         int least) const {
  const std::vector<Json>* items = list(field, levels);
  if (!items) return std::vector<int>(levels, integer(field, fallback, least));
  std::vector<int> out;
  for (const Json& item : *items) out.push_back(within(item, field, least, 1 << 20));
  return out;
}

std::vector<std::vector<int>> ConfigReader::nested(const char* field, size_t levels, int fallback,
                                                   int least) const {
  const std::vector<Json>* items = list(field, levels);
  if (!items) return std::vector<std::vector<int>>(levels, {integer(field, fallback, least)});
  std::vector<std::vector<int>> out;
  for (const Json& item : *items) {
    out.emplace_back();
    if (!item.is_array()) {
      out.back().push_back(within(item, field, least, 1 << 20));
      continue;
    }
    for (const Json& each : item.array(name(field)))
      out.back().push_back(within(each, field, least, 1 << 20));
    if (out.back().empty()) fail("has an empty list in \"" + std::string(field) + "\"");
  }
  return out;
}

std::vector<bool> ConfigReader::booleans(const char* field, size_t levels, bool fallback) const {
  const std::vector<Json>* items = list(field, levels);
  if (!items) return std::vector<bool>(levels, boolean(field, fallback));
  std::vector<bool> out;
  for (const Json& item : *items) out.push_back(item.boolean(name(field)));
  return out;
}

std::vector<int> ConfigReader::multiples(const char* unit, const char* factors, int highest) const {
  const int one = integer(unit);
  std::vector<int> out = integers(factors);
  for (int& value : out) {
    const int64_t product = int64_t(one) * value;
    if (product > highest)
      fail("has \"" + std::string(unit) + "\": " + std::to_string(one) + " and " +
           std::to_string(value) + " in \"" + factors + "\", which makes " +
           std::to_string(product) + " channels; at most " + std::to_string(highest) +
           " are taken");
    value = int(product);
  }
  return out;
}

int ConfigReader::same_for_all(const char* field, size_t levels, int fallback) const {
  const std::vector<int> values = per_level(field, levels, fallback);
  for (const int value : values)
    if (value != values[0])
      throw Error(ErrorCode::kUnsupported, name(field) + " must be the same for all levels");
  return values[0];
}

void ConfigReader::only(const char* field, const std::vector<std::string>& allowed) const {
  if (!has(field)) return;
  const std::string value = json_.find(field)->string(name(field));
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end())
    throw Error(ErrorCode::kUnsupported, name(field) + ": \"" + value + "\" is not supported");
}

void ConfigReader::never(const char* field) const {
  if (!has(field)) return;
  const auto is_false = [&](const Json& value) {
    return value.is_null() || (value.kind() == Json::Kind::boolean && !value.boolean(name(field)));
  };
  const Json& value = *json_.find(field);
  if (is_false(value)) return;
  if (value.is_array()) {
    const std::vector<Json>& levels = value.array(name(field));
    if (std::all_of(levels.begin(), levels.end(), is_false)) return;
  }
  throw Error(ErrorCode::kUnsupported, name(field) + " is not supported");
}

}  // namespace deepcache
