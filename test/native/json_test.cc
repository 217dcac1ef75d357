#include "runtime/json.h"

#include <string>

#include "runtime/error.h"
#include "test.h"

using namespace deepcache;

namespace {

std::string problem(std::string_view text) {
  try {
    Json::parse(text);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidConfig);
    return error.what();
  }
  return "";
}

void check_refused(std::string_view text, const std::string& place, const std::string& words) {
  const std::string message = problem(text);
  if (message.find(place) == std::string::npos || message.find(words) == std::string::npos)
    deepcache::test::fail(__FILE__, __LINE__,
                          std::string(text) + " gave \"" + message + "\" without \"" + place +
                              "\" and \"" + words + "\"");
}

std::string parsed_string(std::string_view text) { return Json::parse(text).string("text"); }

std::string repeated(const std::string& piece, int times) {
  std::string text;
  for (int i = 0; i < times; i++) text += piece;
  return text;
}

}  // namespace

TEST(json_values) {
  const Json json = Json::parse(
      " {\"name\": \"unet\", \"sizes\": [320, -1.5e1, 0, 2E+2], \"on\": true,\n"
      "\"off\": false, \"none\": null, \"empty\": [], \"inner\": {}} ");
  CHECK(json.is_object());
  CHECK_EQ(json.members().size(), size_t(7));
  CHECK_EQ(json.members()[1].first, std::string("sizes"));
  CHECK_EQ(json.find("name")->string("name"), std::string("unet"));
  const auto& sizes = json.find("sizes")->array("sizes");
  CHECK_EQ(sizes[0].integer("size"), 320);
  CHECK_EQ(sizes[1].integer("size"), -15);
  CHECK_EQ(sizes[2].integer("size"), 0);
  CHECK_EQ(sizes[3].integer("size"), 200);
  CHECK(json.find("on")->boolean("on"));
  CHECK(!json.find("off")->boolean("off"));
  CHECK(json.find("none")->is_null());
  CHECK(json.find("empty")->array("empty").empty());
  CHECK(json.find("inner")->is_object());
  CHECK(json.find("absent") == nullptr);
  CHECK(json.find("name")->find("x") == nullptr);
}

TEST(json_numbers) {
  CHECK_EQ(Json::parse("0.1").number("n"), 0.1);
  CHECK_EQ(Json::parse("-0").number("n"), 0.0);
  CHECK_EQ(Json::parse("1e-400").number("n"), 0.0);
  CHECK_EQ(Json::parse("9007199254740991").integer("n"), 9007199254740991);
  CHECK_THROWS(Json::parse("9007199254740993").integer("n"), ErrorCode::kInvalidConfig);
  CHECK_THROWS(Json::parse("1.5").integer("n"), ErrorCode::kInvalidConfig);
  for (const char* text : {"01", "+1", "1.", ".5", "1e", "1e+", "-", "0x10", "NaN", "Infinity"})
    CHECK(!problem(text).empty());
  check_refused("[1, 1e999]", "column 5", "too large");
}

TEST(json_strings) {
  CHECK_EQ(parsed_string(R"("a\"\\\/\b\f\n\r\tz")"), std::string("a\"\\/\b\f\n\r\tz"));
  CHECK_EQ(parsed_string(R"("\u0041\u00e9\u20AC\ud83d\ude00")"),
           std::string("A\u00e9\u20ac\U0001f600"));
  CHECK_EQ(parsed_string(R"("\u0000")"), std::string(1, '\0'));
  CHECK_EQ(parsed_string("\"\u00e9\u20ac\U0001f600\U0010ffff\x7f\""),
           std::string("\u00e9\u20ac\U0001f600\U0010ffff\x7f"));
  check_refused("\"abc", "column 1", "without an end");
  check_refused("\"a\tb\"", "column 3", "control character");
  check_refused(R"("a\x")", "column 3", "unknown escape");
  check_refused(R"("\u12g4")", "column 2", "four hexadecimal");
  check_refused(R"("\u12)", "column 2", "four hexadecimal");
  check_refused(R"("\ud800")", "column 2", "surrogate");
  check_refused(R"("\ud800\u0041")", "column 2", "surrogate");
  check_refused(R"("\udc00\ud800")", "column 2", "surrogate");
  // Stray, overlong, surrogate, too large, cut short.
  for (const char* bytes : {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                            "\xf8\x88\x80\x80", "\xc3", "\xe2\x82", "\xff"})
    check_refused("\"" + std::string(bytes) + "\"", "column 2", "UTF-8");
}

TEST(json_mistakes_have_positions) {
  check_refused("", "line 1, column 1", "the text ends");
  check_refused("{\n  \"a\": 1,\n  \"b\" 2\n}", "line 3, column 7", "expected ':'");
  check_refused("[1 2]", "column 4", "expected ']'");
  check_refused("[1,]", "column 4", "expected a value");
  check_refused("{\"a\":1,}", "column 8", "a name");
  check_refused("{a:1}", "column 2", "double quotes");
  check_refused("{\"a\":1", "column 7", "the text ends");
  check_refused("{} x", "column 4", "after the end");
  check_refused("tru", "column 1", "expected a value");
  check_refused("nullx", "column 5", "after the end");
  check_refused("{\"a\":1,\n\"b\":2,\"a\":3}", "line 2, column 7", "\"a\" occurs twice");
  check_refused("{\"a\":1,\"\\u0061\":3}", "column 8", "occurs twice");
  check_refused("\xef\xbb\xbf{}", "column 1", "expected a value");
  check_refused(std::string_view("1\0", 2), "column 2", "after the end");
}

TEST(json_depth) {
  const auto nested = [](int levels) { return repeated("[", levels) + repeated("]", levels); };
  CHECK_EQ(problem(nested(64)), std::string());
  check_refused(nested(65), "column 65", "64 levels");
  check_refused(repeated("[{\"a\":", 100000), "", "64 levels");
}

TEST(json_too_many_values) { check_refused("[" + repeated("1,", 4200000) + "1]", "", "values"); }

// Many names, and one long string: in time with the square of their lengths this would not end.
TEST(json_linear_time) {
  std::string names = "{\"first\":0";
  for (int i = 0; i < 500000; i++) names += ",\"" + std::to_string(i) + "\":[" + "1,2]";
  CHECK(Json::parse(names + "}").is_object());
  const std::string text = "\"" + repeated("\\u00e9\u00e9x", 1000000) + "\"";
  CHECK(Json::parse(text).is_string());
}

TEST(json_wrong_kind_names_the_value) {
  try {
    Json::parse("[1]").string("block_type");
    CHECK(false);
  } catch (const Error& error) {
    CHECK_EQ(std::string(error.what()),
             std::string("block_type must be a string, but is an array"));
  }
  CHECK_THROWS(Json::parse("1").boolean("b"), ErrorCode::kInvalidConfig);
  CHECK_THROWS(Json::parse("\"1\"").number("n"), ErrorCode::kInvalidConfig);
  CHECK_THROWS(Json::parse("{}").array("a"), ErrorCode::kInvalidConfig);
}
