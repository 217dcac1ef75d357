#include "mutable_json.h"

#include <cstdio>

namespace deepcache::test {

MutableJson MutableJson::from(const Json& json) {
  MutableJson out{json.kind(), "null", {}, {}};
  char number[32];
  switch (json.kind()) {
    case Json::Kind::null:
      break;
    case Json::Kind::boolean:
      out.scalar = json.boolean("") ? "true" : "false";
      break;
    case Json::Kind::number:
      std::snprintf(number, sizeof number, "%.17g", json.number(""));
      out.scalar = number;
      break;
    case Json::Kind::string:
      out.scalar = "\"" + json.string("") + "\"";
      break;
    case Json::Kind::array:
      for (const Json& item : json.array("")) out.items.push_back(from(item));
      break;
    case Json::Kind::object:
      for (const auto& [name, value] : json.members()) out.members.emplace_back(name, from(value));
      break;
  }
  return out;
}

std::string MutableJson::text() const {
  if (is_scalar()) return scalar;
  std::string out;
  for (const MutableJson& item : items) out += (out.empty() ? "" : ",") + item.text();
  for (const auto& [name, value] : members)
    out += (out.empty() ? "\"" : ",\"") + name + "\":" + value.text();
  return kind == Json::Kind::array ? "[" + out + "]" : "{" + out + "}";
}

void MutableJson::collect(std::vector<MutableJson*>& out) {
  for (MutableJson& item : items) out.push_back(&item), item.collect(out);
  for (auto& [name, value] : members) out.push_back(&value), value.collect(out);
}

}  // namespace deepcache::test
