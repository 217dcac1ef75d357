#pragma once

// Reads model configurations (diffusers' and transformers' config.json): every field by name, with
// messages that name the field.

#include <string>
#include <vector>

#include "../runtime/error.h"
#include "../runtime/json.h"

namespace deepcache {

// Published configurations take a few kB, those with lists of a thousand classes 100 kB.
constexpr size_t kMaxConfigBytes = size_t(4) << 20;

class ConfigReader {
 public:
  // `what` names the configuration in messages, e.g. "unet/config.json". Throws
  // Error(kInvalidConfig) for a text that is no JSON object, or above kMaxConfigBytes.
  ConfigReader(const std::string& json, const std::string& what);

  int integer(const char* field, int fallback, int lowest = 1, int highest = 1 << 20) const;
  int integer(const char* field) const;  // required
  double number(const char* field, double fallback) const;
  bool boolean(const char* field, bool fallback) const;
  std::string string(const char* field, const std::string& fallback) const;
  std::vector<std::string> strings(const char* field) const;  // required
  std::vector<int> integers(const char* field) const;         // required
  // A number for every level, or one for each.
  std::vector<int> per_level(const char* field, size_t levels, int fallback, int least = 1) const;
  // A number for every level, one for each, or a list for each.
  std::vector<std::vector<int>> nested(const char* field, size_t levels, int fallback,
                                       int least = 1) const;
  std::vector<bool> booleans(const char* field, size_t levels, bool fallback) const;
  // The same, when all levels must agree.
  int same_for_all(const char* field, size_t levels, int fallback) const;
  bool has(const char* field) const;  // present and not null
  bool is_list(const char* field) const { return has(field) && json_.find(field)->is_array(); }
  bool present(const char* field) const { return json_.find(field) != nullptr; }
  // integer(unit) times each of integers(factors); of a product above `highest` the message names
  // both.
  std::vector<int> multiples(const char* unit, const char* factors, int highest) const;
  // The object in a field; required. Messages about it name the path.
  ConfigReader section(const char* field) const;
  // The same where the field is an object; this one otherwise.
  ConfigReader section_or_this(const char* field) const {
    return has(field) ? section(field) : *this;
  }

  // Throws Error(kUnsupported) unless the field is absent, null or one of `allowed`.
  void only(const char* field, const std::vector<std::string>& allowed) const;
  // Throws Error(kUnsupported) when the field is present and neither null nor false, for any level.
  void never(const char* field) const;
  [[noreturn]] void fail(const std::string& message) const;

 private:
  ConfigReader(const Json& json, const std::string& what);

  std::string name(const char* field) const { return what_ + ": \"" + field + "\""; }
  // The values of a list, one for each level; null where the field is none.
  const std::vector<Json>* list(const char* field, size_t levels) const;
  int within(const Json& value, const char* field, int lowest, int highest) const;

  Json json_;
  std::string what_;
};

}  // namespace deepcache
