#include "json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "error.h"
#include "utf8.h"

namespace deepcache {
namespace {

constexpr int kMaxDepth = 64;
// A value takes about a hundred bytes here, but only two in a hostile text.
constexpr size_t kMaxValues = size_t(1) << 22;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

const char* kind_name(Json::Kind kind) {
  static constexpr const char* kNames[] = {"null",     "true or false", "a number",
                                           "a string", "an array",      "an object"};
  return kNames[int(kind)];
}

[[noreturn]] void wrong_kind(const std::string& what, const char* wanted, Json::Kind kind) {
  throw Error(ErrorCode::kInvalidConfig,
              what + " must be " + wanted + ", but is " + kind_name(kind));
}

}  // namespace

class JsonParser {
 public:
  explicit JsonParser(std::string_view text) : text_(text) {}

  Json document() {
    Json value = parse_value(0);
    skip_space();
    if (position_ < text_.size()) fail("unexpected text after the end");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const { fail_at(position_, problem); }

  [[noreturn]] void fail_at(size_t position, const std::string& problem) const {
    const std::string_view before = text_.substr(0, position);
    const size_t line = 1 + size_t(std::count(before.begin(), before.end(), '\n'));
    const size_t column = position - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
    throw Error(ErrorCode::kInvalidConfig, "not valid JSON at line " + std::to_string(line) +
                                               ", column " + std::to_string(column) + ": " +
                                               problem);
  }

  // 0 at the end, which no grammar rule accepts.
  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  void skip_space() {
    while (position_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[position_]) != std::string_view::npos)
      position_++;
  }

  bool take(char c) {
    if (peek() != c) return false;
    position_++;
    return true;
  }

  void expect(char c, const char* where) {
    if (take(c)) return;
    const std::string problem = position_ < text_.size() ? "expected " : "the text ends; expected ";
    fail(problem + "'" + c + "' " + where);
  }

  Json parse_value(int depth) {
    if (++values_ > kMaxValues) fail("more than " + std::to_string(kMaxValues) + " values");
    skip_space();
    Json value;
    const char c = peek();
    if (c == '{') {
      parse_object(value, depth);
    } else if (c == '[') {
      parse_array(value, depth);
    } else if (c == '"') {
      value.kind_ = Json::Kind::string;
      value.string_ = parse_string();
    } else if (c == '-' || is_digit(c)) {
      value.kind_ = Json::Kind::number;
      value.number_ = parse_number();
    } else if (take_word("null")) {
      value.kind_ = Json::Kind::null;
    } else if (take_word("true") || take_word("false")) {
      value.kind_ = Json::Kind::boolean;
      value.boolean_ = c == 't';
    } else {
      fail(position_ < text_.size() ? "expected a value" : "the text ends; expected a value");
    }
    return value;
  }

  bool take_word(std::string_view word) {
    if (text_.substr(position_, word.size()) != word) return false;
    position_ += word.size();
    return true;
  }

  void check_depth(int depth) const {
    if (depth >= kMaxDepth) fail("nested deeper than " + std::to_string(kMaxDepth) + " levels");
  }

  void parse_array(Json& value, int depth) {
    value.kind_ = Json::Kind::array;
    check_depth(depth);
    position_++;
    skip_space();
    if (take(']')) return;
    do {
      value.array_.push_back(parse_value(depth + 1));
      skip_space();
    } while (take(','));
    expect(']', "or ',' in an array");
  }

  void parse_object(Json& value, int depth) {
    value.kind_ = Json::Kind::object;
    check_depth(depth);
    position_++;
    skip_space();
    if (take('}')) return;
    std::vector<size_t> positions;  // of the names
    do {
      skip_space();
      positions.push_back(position_);
      if (peek() != '"') fail("expected a name in double quotes");
      std::string name = parse_string();
      skip_space();
      expect(':', "after a name");
      value.members_.emplace_back(std::move(name), parse_value(depth + 1));
      skip_space();
    } while (take(','));
    expect('}', "or ',' in an object");
    refuse_duplicates(value, positions);
  }

  // Sorting, not hashing: no text makes it slow.
  void refuse_duplicates(const Json& object, const std::vector<size_t>& positions) const {
    const auto& members = object.members_;
    std::vector<size_t> order(members.size());
    for (size_t i = 0; i < order.size(); i++) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      const int relation = members[a].first.compare(members[b].first);
      return relation != 0 ? relation < 0 : a < b;
    });
    for (size_t i = 1; i < order.size(); i++)
      if (members[order[i]].first == members[order[i - 1]].first)
        fail_at(positions[order[i]],
                "the name \"" + members[order[i]].first.substr(0, 200) + "\" occurs twice");
  }

  double parse_number() {
    const size_t start = position_;
    take('-');
    if (!take('0')) take_digits("a digit");
    if (take('.')) take_digits("a digit after the decimal point");
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      take_digits("a digit in the exponent");
    }
    return to_double(start);
  }

  void take_digits(const char* what) {
    if (!is_digit(peek())) fail(std::string("expected ") + what);
    while (is_digit(peek())) position_++;
  }

  double to_double(size_t start) const {
    const char* first = text_.data() + start;
    const char* last = text_.data() + position_;
    double value = 0;
#if defined(__cpp_lib_to_chars)
    if (std::from_chars(first, last, value).ec == std::errc()) return value;
#endif
    // Too large or too small, or no from_chars for doubles. strtod reads what the grammar above
    // let through alike in every locale whose decimal point is '.'; Node leaves it at "C".
    value = std::strtod(std::string(first, last).c_str(), nullptr);
    if (!std::isfinite(value)) fail_at(start, "a number too large for a double");
    return value;
  }

  std::string parse_string() {
    const size_t start = position_++;
    std::string out;
    while (true) {
      size_t end = position_;  // plain ASCII goes over in one piece
      while (end < text_.size() && text_[end] >= 0x20 && text_[end] < 0x7f && text_[end] != '"' &&
             text_[end] != '\\')
        end++;
      out.append(text_, position_, end - position_);
      position_ = end;
      if (position_ >= text_.size()) fail_at(start, "a string without an end");
      if (take('"')) return out;
      if (take('\\')) {
        parse_escape(out);
      } else {
        if (static_cast<unsigned char>(peek()) < 0x20) fail("a control character in a string");
        const size_t length = utf8_length(text_.substr(position_));
        if (length == 0) fail("bytes that are not UTF-8");
        out.append(text_, position_, length);
        position_ += length;
      }
    }
  }

  // After the backslash.
  void parse_escape(std::string& out) {
    static constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    const size_t start = position_ - 1;
    const char c = peek();
    const size_t letter = position_ < text_.size() ? kLetters.find(c) : std::string_view::npos;
    if (letter != std::string_view::npos) {
      out += kMeanings[letter];
      position_++;
      return;
    }
    if (!take('u')) fail_at(start, "an unknown escape in a string");
    uint32_t code = parse_hex4(start);
    if (code >= 0xd800 && code < 0xdc00 && take_word("\\u")) {
      const uint32_t low = parse_hex4(start);
      if (low < 0xdc00 || low > 0xdfff) fail_at(start, "half a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xd800 && code <= 0xdfff) {
      fail_at(start, "half a surrogate pair");
    }
    append_utf8(out, code);
  }

  uint32_t parse_hex4(size_t start) {
    const std::string_view digits = text_.substr(position_, 4);
    uint32_t code = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 4 || error != std::errc() || end != digits.data() + 4)
      fail_at(start, "\\u must be followed by four hexadecimal digits");
    position_ += 4;
    return code;
  }

  std::string_view text_;
  size_t position_ = 0;
  size_t values_ = 0;
};

Json Json::parse(std::string_view text) { return JsonParser(text).document(); }

bool Json::boolean(const std::string& what) const {
  if (kind_ != Kind::boolean) wrong_kind(what, "true or false", kind_);
  return boolean_;
}

double Json::number(const std::string& what) const {
  if (kind_ != Kind::number) wrong_kind(what, "a number", kind_);
  return number_;
}

int64_t Json::integer(const std::string& what) const {
  const double value = number(what);
  // 2^53 itself may be a rounded neighbour.
  if (value != std::trunc(value) || std::fabs(value) >= 9007199254740992.0)
    throw Error(ErrorCode::kInvalidConfig,
                what + " must be a whole number below 2^53, but is " + std::to_string(value));
  return int64_t(value);
}

const std::string& Json::string(const std::string& what) const {
  if (kind_ != Kind::string) wrong_kind(what, "a string", kind_);
  return string_;
}

const std::vector<Json>& Json::array(const std::string& what) const {
  if (kind_ != Kind::array) wrong_kind(what, "an array", kind_);
  return array_;
}

const Json* Json::find(std::string_view name) const {
  for (const auto& [key, value] : members_)
    if (key == name) return &value;
  return nullptr;
}

}  // namespace deepcache
