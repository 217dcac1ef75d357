#pragma once

// Checked reading of what JavaScript passes. Every reader throws Error(kInvalidArgument) that calls
// the value by its name, and copies: later changes by JavaScript do no harm.

#include <napi.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "floats.h"

namespace deepcache::addon {

class Argument {
 public:
  // Of a function. Its properties are called by their own names: users know them as their options,
  // and not what a function of the addon calls the object that they are in.
  Argument(Napi::Value value, std::string name) : Argument(value, std::move(name), "") {}

  const std::string& name() const { return name_; }
  Napi::Value value() const { return value_; }
  // Neither undefined nor null.
  bool given() const { return !value_.IsUndefined() && !value_.IsNull(); }

  // A property of an object. Its getter, if it has one, runs once.
  Argument operator[](const char* property) const;
  // The elements of an array (not of a typed one) of at most `longest`.
  std::vector<Argument> elements(size_t longest) const;

  bool boolean() const;
  double number() const;  // finite
  int64_t integer(int64_t lowest, int64_t highest) const;
  std::vector<int> integers(size_t longest, int lowest, int highest) const;
  std::string string() const;
  // A string without NUL characters, and not empty.
  std::string path() const;
  // Any number of 64 bits, signed or not, from a BigInt.
  int64_t bits64() const;
  Napi::Function function() const;

  // A Float32Array of finite values; their number is the product of `shape`. Or a Floats of the
  // addon, which is empty afterwards.
  Floats floats(std::initializer_list<size_t> shape) const;
  // The same of `shape` times any number, at least 1.
  Floats floats_of_multiple(std::initializer_list<size_t> shape) const;
  // Whether it is one of the two.
  bool is_floats() const;
  // Copies a Float32Array of at most so many finite values; their number.
  size_t copy_floats(float* to, size_t most) const;
  // An Int32Array of at least one value.
  std::vector<int32_t> int32s() const;

  // "sample must be ..., got 511".
  [[noreturn]] void fail(const std::string& expectation, const std::string& got) const;
  [[noreturn]] void fail(const std::string& expectation) const;  // describes the value itself

 private:
  Argument(Napi::Value value, std::string name, std::string prefix)
      : value_(value), name_(std::move(name)), prefix_(std::move(prefix)) {}

  template <typename T>
  Napi::TypedArrayOf<T> array(napi_typedarray_type type, const std::string& expectation) const;
  bool is_staged() const;  // a Floats
  // The values of a Float32Array or a Floats whose size `fits`.
  Floats take(const std::function<bool(size_t)>& fits, const std::string& expectation) const;

  Napi::Value value_;
  std::string name_;
  std::string prefix_;  // of the names of properties
};

}  // namespace deepcache::addon
