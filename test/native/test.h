#pragma once

// A tiny test registry: TEST(name) { CHECK(...); }. A failed check throws, so a test ends at its
// first failure; main.cc runs all tests whose name contains the filter argument. Not doctest:
// native tests need nothing but what builds the addon.

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace deepcache::test {

struct Case {
  std::string name;
  void (*function)();
};

std::vector<Case>& registry();

struct Registration {
  Registration(const char* name, void (*function)()) { registry().push_back({name, function}); }
};

class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throw it away to leave out a test that this machine cannot run; counted apart.
class Skip : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void fail(const char* file, int line, const std::string& message) {
  throw Failure(std::string(file) + ":" + std::to_string(line) + ": " + message);
}

template <typename A, typename B>
void check_equal(const A& actual, const B& expected, const char* what, const char* file, int line) {
  if (actual == expected) return;
  std::ostringstream message;
  message.precision(9);
  message << what << " is " << actual << ", expected " << expected;
  fail(file, line, message.str());
}

}  // namespace deepcache::test

#define TEST(name)                                                                     \
  static void test_##name();                                                           \
  static const deepcache::test::Registration registration_##name(#name, &test_##name); \
  static void test_##name()

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) deepcache::test::fail(__FILE__, __LINE__, "not true: " #condition); \
  } while (false)

#define CHECK_EQ(actual, expected) \
  deepcache::test::check_equal(actual, expected, #actual, __FILE__, __LINE__)

// |actual - expected| <= tolerance; false for NaN.
#define CHECK_NEAR(actual, expected, tolerance)                                                  \
  do {                                                                                           \
    const double actual_ = (actual), expected_ = (expected);                                     \
    const double distance_ = actual_ < expected_ ? expected_ - actual_ : actual_ - expected_;    \
    if (!(distance_ <= (tolerance)))                                                             \
      deepcache::test::fail(                                                                     \
          __FILE__, __LINE__,                                                                    \
          #actual " is " + std::to_string(actual_) + ", expected " + std::to_string(expected_)); \
  } while (false)

// The statement throws deepcache::Error with this code (include "runtime/error.h").
#define CHECK_THROWS(statement, error_code)                                                        \
  do {                                                                                             \
    bool threw_ = false;                                                                           \
    try {                                                                                          \
      statement;                                                                                   \
    } catch (const deepcache::Error& error) {                                                      \
      threw_ = true;                                                                               \
      if (error.code() != (error_code))                                                            \
        deepcache::test::fail(__FILE__, __LINE__,                                                  \
                              std::string("another error than " #error_code ": ") + error.what()); \
    }                                                                                              \
    if (!threw_) deepcache::test::fail(__FILE__, __LINE__, "no error from " #statement);           \
  } while (false)
