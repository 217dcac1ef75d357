#include "runtime/stored_weights.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>

#include "runtime/error.h"
#include "safetensors_bytes.h"
#include "temporary_folder.h"
#include "test.h"
#include "test/ops/e4m3.h"

namespace deepcache::test {
namespace {

// e5m2 by its definition (OCP 8-bit floating point, section 5).
double e5m2_value(int code) {
  const int exponent = code >> 2 & 31, mantissa = code & 3;
  const double sign = code & 0x80 ? -1 : 1;
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, -16);
  return sign * std::ldexp(4 + mantissa, exponent - 17);
}

template <typename T>
std::string bytes_of_values(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string all_codes() {
  std::string codes;
  for (int code = 0; code < 256; code++) codes += char(code);
  return codes;
}

std::vector<float> read(const WeightSource& weights, const std::string& name) {
  const SourceTensor* tensor = weights.find(name);
  CHECK(tensor != nullptr);
  std::vector<float> values(tensor->count);
  read_floats(*tensor, 0, values.size(), values.data());
  return values;
}

void check_codes(const std::vector<float>& values, double (*value_of)(int)) {
  CHECK_EQ(values.size(), size_t(256));
  for (int code = 0; code < 256; code++) {
    const double expected = value_of(code);
    if (std::isnan(expected)) {
      CHECK(std::isnan(values[code]));
    } else {
      CHECK(double(values[code]) == expected &&
            std::signbit(values[code]) == std::signbit(expected));
    }
  }
}

void check_refused(const std::function<void()>& action, const std::vector<std::string>& pieces) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidWeights);
    for (const std::string& piece : pieces)
      if (std::string(error.what()).find(piece) == std::string::npos)
        fail(__FILE__, __LINE__, std::string(error.what()) + " lacks \"" + piece + "\"");
    return;
  }
  CHECK(false);
}

}  // namespace

TEST(stored_weights_fp8_codes_of_safetensors) {
  TemporaryFolder folder;
  const std::string path =
      folder.write("fp8", safetensors_bytes("{" + entry("a", "F8_E4M3", "[256]", "[0,256]") + "," +
                                                entry("b", "F8_E5M2", "[256]", "[256,512]") + "}",
                                            all_codes() + all_codes()));
  const auto weights = open_weights({path});
  check_codes(read(*weights, "a"), e4m3_value);
  check_codes(read(*weights, "b"), e5m2_value);
}

TEST(stored_weights_f64_rounds_to_nearest) {
  TemporaryFolder folder;
  const std::vector<double> values = {1.5,  -0.1,     1 + 0x1p-24,  1 + 0x1.8p-24,
                                      1e40, 0x1p-149, std::nan(""), -INFINITY};
  const std::string path = folder.write("f64", "12345" + bytes_of_values(values));
  const auto weights = open_table({{"w", path, "F64", {2, 4}, 5}});
  const std::vector<float> read_values = read(*weights, "w");
  const std::vector<float> expected = {1.5f,     -0.1f,     1,   1 + 0x1p-23f,
                                       INFINITY, 0x1p-149f, NAN, -INFINITY};
  for (size_t i = 0; i < expected.size(); i++)
    CHECK(read_values[i] == expected[i] || (std::isnan(read_values[i]) && i == 6));
}

TEST(stored_weights_table_of_two_files) {
  TemporaryFolder folder;
  const std::string one = folder.write("1", "x" + bytes_of_values<float>({1, 2, 3, 4, 5, 6})),
                    two = folder.write("2", bytes_of_values<uint16_t>({0x3c00, 0xc000}));
  const auto weights = open_table({{"rows", one, "F32", {2, 2}, 9},
                                   {"module.all", one, "F32", {6}, 1},
                                   {"half", two, "F16", {2}, 0},
                                   {"ids", two, "I32", {1}, 0},
                                   {"none", two, "F32", {0, 5}, 4}});
  CHECK_EQ(weights->description(), one + ", " + two);
  CHECK_EQ(weights->names().size(), size_t(5));
  CHECK(read(*weights, "rows") == std::vector<float>({3, 4, 5, 6}));
  CHECK(read(*weights, "all") == std::vector<float>({1, 2, 3, 4, 5, 6}));
  CHECK(read(*weights, "half") == std::vector<float>({1, -2}));
  CHECK(read(*weights, "none").empty());
  CHECK(weights->find("other") == nullptr);
  check_refused([&] { weights->find("ids"); }, {two, "\"ids\" is I32", "F8_E5M2"});
}

// Any part of a transposed matrix is what the whole says, whichever rows it begins and ends in.
TEST(stored_weights_transposed) {
  constexpr size_t kRows = 7, kColumns = 5;
  std::vector<float> stored;  // [columns][rows]
  for (size_t c = 0; c < kColumns; c++)
    for (size_t r = 0; r < kRows; r++) stored.push_back(float(10 * r + c));
  TemporaryFolder folder;
  const std::string path = folder.write("t", "??" + bytes_of_values(stored));
  const auto weights = open_table({{"w", path, "F32", {kRows, kColumns}, 2, true}});
  const SourceTensor* tensor = weights->find("w");
  for (size_t first = 0; first <= kRows * kColumns; first++)
    for (size_t count = 0; count <= kRows * kColumns - first; count++) {
      std::vector<float> part(count + 1, -1.0f);
      read_floats(*tensor, first, count, part.data());
      for (size_t i = 0; i < count; i++)
        CHECK_EQ(part[i], float(10 * ((first + i) / kColumns) + (first + i) % kColumns));
      CHECK_EQ(part[count], -1.0f);
    }
}

TEST(stored_weights_transposed_of_many_rows) {
  constexpr size_t kRows = 40'000, kColumns = 2;
  std::vector<float> stored(kRows * kColumns);
  for (size_t i = 0; i < stored.size(); i++) stored[i] = float(i);
  TemporaryFolder folder;
  const std::string path = folder.write("t", bytes_of_values(stored));
  const auto weights = open_table({{"w", path, "F32", {kRows, kColumns}, 0, true}});
  const std::vector<float> values = read(*weights, "w");
  for (size_t i = 0; i < values.size(); i++)
    CHECK_EQ(values[i], float(i % kColumns * kRows + i / kColumns));
}

TEST(stored_weights_refuse_what_is_not_in_the_file) {
  TemporaryFolder folder;
  const std::string path = folder.write("w", std::string(16, 'x'));
  const auto refused = [&](StoredTensor tensor, const std::vector<std::string>& pieces) {
    tensor.name = "w";
    tensor.file = path;
    check_refused([&] { open_table({tensor}); }, pieces);
  };
  open_table({{"w", path, "F32", {2, 2}, 0}});
  refused({"", "", "F32", {2, 2}, 1}, {path, "\"w\" takes 16 bytes from byte 1", "truncated"});
  refused({"", "", "F32", {5}, 0}, {"takes 20 bytes"});
  refused({"", "", "F32", {0}, 17}, {"from byte 17"});
  refused({"", "", "F32", {1}, UINT64_MAX - 3}, {"from byte 18446744073709551612"});
  refused({"", "", "F32", {INT64_MAX, 2}, 0}, {"impossible shape"});
  refused({"", "", "F32", {INT64_MAX / 8}, 0}, {"impossible shape"});
  refused({"", "", "F32", {-1, -1}, 0}, {"impossible shape [-1, -1]"});
  refused({"", "", "F4", {1}, 0}, {"impossible shape"});
  refused({"", "", "F12", {1}, 0}, {"unknown dtype \"F12\""});
  refused({"", "", "F32", {4}, 0, true}, {"shape [4] cannot be transposed"});
  check_refused(
      [&] {
        open_table({{"w", path, "F32", {1}}, {"w", path, "F32", {1}, 4}});
      },
      {"\"w\" is both in"});
  check_refused([&] { open_table({{"w", folder.path("none"), "F32", {1}}}); }, {"none"});
}

TEST(stored_weights_of_a_file_that_changes) {
  TemporaryFolder folder;
  const std::string path = folder.write("w", std::string(100'000, 'x'));
  const auto weights = open_table({{"w", path, "F32", {100, 250}, 0, true}});
  read(*weights, "w");
  std::filesystem::resize_file(path, 50);
  check_refused([&] { read(*weights, "w"); }, {path, "was changed while it was being read"});
}

// Tables of any numbers are refused, or mean values that are in the file.
TEST(stored_weights_of_any_table) {
  constexpr uint64_t kSize = 4096;
  TemporaryFolder folder;
  std::string bytes;
  std::mt19937_64 random(14);
  for (uint64_t i = 0; i < kSize; i++) bytes += char(random() & 0xff);
  const std::string path = folder.write("w", bytes);
  const char* const dtypes[] = {"F32",     "F16", "BF16", "F64", "F8_E4M3",
                                "F8_E5M2", "I64", "F4",   "?"};
  const int64_t extents[] = {0, 1, 2, 3, 7, 31, 64, 1 << 20, INT64_MAX, -1};
  const uint64_t offsets[] = {0, 1, 63, kSize - 8, kSize, kSize + 1, UINT64_MAX - 7, UINT64_MAX};
  int read_tables = 0;
  for (int trial = 0; trial < 3000; trial++) {
    StoredTensor tensor{"w", path, dtypes[random() % 9], {}, offsets[random() % 8]};
    for (uint64_t axes = random() % 4; axes > 0; axes--)
      tensor.shape.push_back(extents[random() % (random() % 8 == 0 ? 10 : 7)]);
    tensor.transposed = random() % 3 == 0;
    try {
      const auto weights = open_table({tensor});
      const SourceTensor* found = weights->find("w");
      CHECK(found != nullptr && found->count <= kSize);
      // Of their own size each: a value too many would be seen by a sanitizer.
      const size_t first = found->count == 0 ? 0 : random() % found->count;
      std::vector<float> values(found->count - first);
      read_floats(*found, first, values.size(), values.data());
      read_tables++;
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kInvalidWeights);
    }
  }
  CHECK(read_tables > 100);
}

}  // namespace deepcache::test
