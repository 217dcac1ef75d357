#pragma once

// JSON that can be changed and written again, right or wrong.

#include <string>
#include <utility>
#include <vector>

#include "runtime/json.h"

namespace deepcache::test {

struct MutableJson {
  Json::Kind kind = Json::Kind::null;
  std::string scalar;  // null, booleans, numbers and strings as they are written
  std::vector<MutableJson> items;
  std::vector<std::pair<std::string, MutableJson>> members;

  static MutableJson literal(const std::string& text) { return {Json::Kind::null, text, {}, {}}; }
  static MutableJson from(const Json& json);

  bool is_scalar() const { return kind != Json::Kind::array && kind != Json::Kind::object; }
  std::string text() const;
  // All values below this one, itself excluded.
  void collect(std::vector<MutableJson*>& out);
};

}  // namespace deepcache::test
