#pragma once

// A small strict JSON reader (RFC 8259) for safetensors headers and model configurations. Our own,
// so that depth, sizes and repeated keys of files that nobody trusts are bounded while it reads.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace deepcache {

class Json {
 public:
  enum class Kind : uint8_t { null, boolean, number, string, array, object };

  // Throws Error(kInvalidConfig) saying where `text` stops being JSON. Nesting is limited to 64
  // levels, the number of values to 4 million.
  static Json parse(std::string_view text);

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool is_string() const { return kind_ == Kind::string; }
  bool is_number() const { return kind_ == Kind::number; }
  bool is_array() const { return kind_ == Kind::array; }
  bool is_object() const { return kind_ == Kind::object; }

  // Throw Error(kInvalidConfig) when the value is of another kind; `what` names it.
  bool boolean(const std::string& what) const;
  double number(const std::string& what) const;
  // A whole number strictly between -2^53 and 2^53.
  int64_t integer(const std::string& what) const;
  const std::string& string(const std::string& what) const;
  const std::vector<Json>& array(const std::string& what) const;

  // Members in the order of the text. A name that occurs twice is an error of parse().
  const std::vector<std::pair<std::string, Json>>& members() const { return members_; }
  // Null when this is no object or has no such member.
  const Json* find(std::string_view name) const;

 private:
  friend class JsonParser;

  Kind kind_ = Kind::null;
  bool boolean_ = false;
  double number_ = 0;
  std::string string_;
  std::vector<Json> array_;
  std::vector<std::pair<std::string, Json>> members_;
};

}  // namespace deepcache
