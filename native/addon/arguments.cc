#include "arguments.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "floats.h"
#include "runtime/checked.h"
#include "runtime/error.h"

namespace deepcache::addon {
namespace {

std::string to_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

// What a value is, for "got ...".
std::string describe(Napi::Value value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return value.As<Napi::Boolean>().Value() ? "true" : "false";
    case napi_number:
      return to_text(value.As<Napi::Number>().DoubleValue());
    case napi_string:
      return "a string";
    case napi_symbol:
      return "a symbol";
    case napi_bigint:
      return "a bigint";
    case napi_function:
      return "a function";
    default:
      if (value.IsArray()) return "an array";
      return value.IsTypedArray() ? "a typed array of another type" : "an object";
  }
}

size_t product(std::initializer_list<size_t> factors, const std::string& name) {
  Count out = 1;
  for (const size_t factor : factors) out = out * factor;
  return out.value("the number of values of " + name);
}

// "2*4*8*8 = 512 values"
std::string shape_text(std::initializer_list<size_t> shape, size_t count) {
  std::string text;
  for (const size_t extent : shape) text += (text.empty() ? "" : "*") + std::to_string(extent);
  return (shape.size() == 1 ? text : text + " = " + std::to_string(count)) + " values";
}

}  // namespace

void Argument::fail(const std::string& expectation, const std::string& got) const {
  throw Error(ErrorCode::kInvalidArgument, name_ + " must be " + expectation + ", got " + got);
}

void Argument::fail(const std::string& expectation) const { fail(expectation, describe(value_)); }

Argument Argument::operator[](const char* property) const {
  if (!value_.IsObject() || value_.IsFunction()) fail("an object");
  const std::string name = prefix_ + property;
  return {value_.As<Napi::Object>().Get(property), name, name + "."};
}

std::vector<Argument> Argument::elements(size_t longest) const {
  if (!value_.IsArray()) fail("an array");
  const auto array = value_.As<Napi::Array>();
  const uint32_t length = array.Length();
  if (length > longest)
    fail("an array of at most " + std::to_string(longest) + " elements", std::to_string(length));
  std::vector<Argument> out;
  out.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    const std::string name = name_ + "[" + std::to_string(i) + "]";
    out.push_back({array.Get(i), name, name + "."});
  }
  return out;
}

bool Argument::boolean() const {
  if (!value_.IsBoolean()) fail("true or false");
  return value_.As<Napi::Boolean>().Value();
}

double Argument::number() const {
  if (!value_.IsNumber()) fail("a number");
  const double number = value_.As<Napi::Number>().DoubleValue();
  if (!std::isfinite(number)) fail("a finite number");
  return number;
}

int64_t Argument::integer(int64_t lowest, int64_t highest) const {
  const std::string expectation =
      "an integer from " + std::to_string(lowest) + " to " + std::to_string(highest);
  if (!value_.IsNumber()) fail(expectation);
  const double number = value_.As<Napi::Number>().DoubleValue();
  // Not a number compares false.
  if (!(number >= double(lowest) && number <= double(highest)) || number != std::floor(number))
    fail(expectation);
  return int64_t(number);
}

std::vector<int> Argument::integers(size_t longest, int lowest, int highest) const {
  std::vector<int> out;
  for (const Argument& element : elements(longest))
    out.push_back(int(element.integer(lowest, highest)));
  return out;
}

std::string Argument::string() const {
  if (!value_.IsString()) fail("a string");
  return value_.As<Napi::String>().Utf8Value();
}

std::string Argument::path() const {
  std::string text = string();
  if (text.empty()) fail("a path", "an empty string");
  if (text.find('\0') != std::string::npos) fail("a path", "a string with a NUL character");
  return text;
}

int64_t Argument::bits64() const {
  if (!value_.IsBigInt()) fail("a bigint");
  bool lossless = false;
  const auto number = value_.As<Napi::BigInt>();
  const int64_t as_signed = number.Int64Value(&lossless);
  if (lossless) return as_signed;
  const uint64_t as_unsigned = number.Uint64Value(&lossless);
  if (!lossless) fail("between -2^63 and 2^64 - 1", "a larger bigint");
  return int64_t(as_unsigned);
}

Napi::Function Argument::function() const {
  if (!value_.IsFunction()) fail("a function");
  return value_.As<Napi::Function>();
}

template <typename T>
Napi::TypedArrayOf<T> Argument::array(napi_typedarray_type type,
                                      const std::string& expectation) const {
  if (!value_.IsTypedArray()) fail(expectation);
  const auto array = value_.As<Napi::TypedArray>();
  if (array.TypedArrayType() != type) fail(expectation);
  if (array.ArrayBuffer().IsDetached()) fail(expectation, "one whose buffer is detached");
  return value_.As<Napi::TypedArrayOf<T>>();
}

size_t Argument::copy_floats(float* to, size_t most) const {
  const auto values = array<float>(napi_float32_array, "a Float32Array");
  const size_t count = values.ElementLength();
  if (count > most) fail("at most " + std::to_string(most) + " values", std::to_string(count));
  if (count) std::memcpy(to, values.Data(), count * sizeof(float));
  // The copy: another thread may write to the array.
  for (size_t i = 0; i < count; ++i)
    if (!std::isfinite(to[i]))
      throw Error(ErrorCode::kInvalidArgument, name_ + "[" + std::to_string(i) + "] is " +
                                                   to_text(to[i]) + "; values must be finite");
  return count;
}

bool Argument::is_staged() const {
  return value_.IsObject() && value_.As<Napi::Object>().CheckTypeTag(&NativeFloats::kTypeTag);
}

bool Argument::is_floats() const { return is_staged() || value_.IsTypedArray(); }

Floats Argument::take(const std::function<bool(size_t)>& fits,
                      const std::string& expectation) const {
  if (is_staged()) {
    auto& floats = *NativeFloats::Unwrap(value_.As<Napi::Object>());
    if (!floats.is_full()) fail(expectation, "Floats that are not full");
    if (!fits(floats.size())) fail(expectation, std::to_string(floats.size()));
    return floats.take();
  }
  const size_t count = array<float>(napi_float32_array, expectation).ElementLength();
  if (!fits(count)) fail(expectation, std::to_string(count));
  Floats out(value_.Env(), count);
  copy_floats(out.data(), count);
  return out;
}

Floats Argument::floats(std::initializer_list<size_t> shape) const {
  const size_t count = product(shape, name_);
  return take([&](size_t size) { return size == count; },
              "a Float32Array of " + shape_text(shape, count));
}

Floats Argument::floats_of_multiple(std::initializer_list<size_t> shape) const {
  const size_t unit = product(shape, name_);
  return take([&](size_t size) { return size != 0 && size % unit == 0; },
              "a Float32Array of one or more times " + shape_text(shape, unit));
}

std::vector<int32_t> Argument::int32s() const {
  const std::string expectation = "an Int32Array of at least one value";
  const auto values = array<int32_t>(napi_int32_array, expectation);
  if (values.ElementLength() == 0) fail(expectation, "an empty one");
  return {values.Data(), values.Data() + values.ElementLength()};
}

}  // namespace deepcache::addon
