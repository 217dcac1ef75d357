#include "runtime/safetensors.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "runtime/error.h"
#include "runtime/stored_weights.h"
#include "safetensors_bytes.h"
#include "temporary_folder.h"
#include "test.h"

using namespace deepcache;
using deepcache::test::entry;
using deepcache::test::safetensors_bytes;
using deepcache::test::TemporaryFolder;

namespace {

const std::string kEight(8, '\x01');

std::vector<TensorInfo> parse(const std::string& bytes) {
  return SafetensorsFile::parse(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                                "model.safetensors");
}

template <typename Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidWeights);
    return error.what();
  }
  return "no error";
}

void check_message(const std::string& message, const std::vector<std::string>& pieces) {
  for (const std::string& piece : pieces)
    if (message.find(piece) == std::string::npos)
      deepcache::test::fail(__FILE__, __LINE__, "\"" + message + "\" lacks \"" + piece + "\"");
}

void check_refused(const std::string& bytes, std::vector<std::string> pieces) {
  pieces.push_back("model.safetensors");
  check_message(message_of([&] { parse(bytes); }), pieces);
}

void check_header_refused(const std::string& header, const std::vector<std::string>& pieces) {
  check_refused(safetensors_bytes(header, kEight), pieces);
}

}  // namespace

TEST(safetensors_valid) {
  const std::string header =
      "{\"__metadata__\":{\"format\":\"pt\"}," + entry("b", "F16", "[2,1]", "[4,8]") + "," +
      entry("a", "F32", "[]", "[0,4]") + "," + entry("none", "I64", "[0,3]", "[8,8]") + "}   ";
  const std::string bytes = safetensors_bytes(header, kEight);
  std::map<std::string, std::string> metadata;
  const auto tensors = SafetensorsFile::parse(reinterpret_cast<const unsigned char*>(bytes.data()),
                                              bytes.size(), "model.safetensors", &metadata);
  CHECK_EQ(tensors.size(), size_t(3));
  CHECK_EQ(tensors[0].name, std::string("b"));
  CHECK_EQ(tensors[0].dtype, std::string("F16"));
  CHECK(tensors[0].shape == std::vector<int64_t>({2, 1}));
  CHECK_EQ(tensors[0].offset, 8 + header.size() + 4);
  CHECK_EQ(tensors[0].bytes, size_t(4));
  CHECK(tensors[1].shape.empty());
  CHECK_EQ(metadata.at("format"), std::string("pt"));
  CHECK(parse(safetensors_bytes("{}", "")).empty());
}

TEST(safetensors_bad_length) {
  check_refused("", {"only 0 bytes"});
  check_refused("1234567", {"only 7 bytes"});
  check_refused(safetensors_bytes("{}", "", 3), {"header would be 3 bytes", "truncated"});
  check_refused(safetensors_bytes("{}", "", UINT64_MAX), {"header would be"});
  check_refused(safetensors_bytes("", "", 0), {"does not begin with '{'"});
  check_refused(safetensors_bytes(std::string(100'000'001, ' '), ""), {"100 MB"});
  check_refused("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", {"git lfs pull"});
}

TEST(safetensors_bad_json) {
  check_header_refused("{\"a\":", {"header is not valid JSON at line 1, column 6"});
  check_header_refused("[]", {"does not begin with '{'"});
  check_header_refused(" {}", {"does not begin with '{'"});
  check_header_refused("{\"a\":1}", {"\"a\"", "must be an object"});
  const std::string a = entry("a", "F64", "[1]", "[0,8]");
  check_header_refused("{" + a + "," + a + "}", {"\"a\" occurs twice"});
  check_header_refused("{\"__metadata__\":[]," + a + "}", {"__metadata__ must be an object"});
  check_header_refused("{\"__metadata__\":{\"k\":1}," + a + "}", {"strings only", "\"k\""});
}

TEST(safetensors_bad_entries) {
  const auto refused = [](const char* dtype, const char* shape, const char* offsets,
                          std::vector<std::string> pieces) {
    pieces.push_back("tensor \"w\"");
    check_header_refused("{" + entry("w", dtype, shape, offsets) + "}", pieces);
  };
  check_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}", {"\"w\"", "lacks"});
  refused("F33", "[2]", "[0,8]", {"unknown dtype \"F33\""});
  refused("F32", "2", "[0,8]", {"shape must be an array"});
  refused("F32", "[\"2\"]", "[0,8]", {"must be a number"});
  refused("F32", "[1.5]", "[0,8]", {"whole number"});
  refused("F32", "[-2]", "[0,8]", {"impossible shape [-2]"});
  refused("F32", "[1e300]", "[0,8]", {"whole number"});
  refused("F32", "[4503599627370496,4503599627370496]", "[0,8]", {"impossible shape"});
  // 2^62 fp32 values: the number of bytes wraps to 0.
  refused("F32", "[2147483648,2147483648]", "[0,0]", {"impossible shape"});
  refused("F4", "[3]", "[0,2]", {"impossible shape"});
  refused("F32", "[2]", "[0]", {"two numbers"});
  refused("F32", "[2]", "[0,8,8]", {"two numbers"});
  refused("F32", "[2]", "[8,0]", {"make no range"});
  refused("F32", "[2]", "[-8,0]", {"make no range"});
  refused("F32", "[3]", "[0,12]", {"outside of the file", "truncated"});
  refused("F32", "[2]", "[9007199254740984,9007199254740991]", {"outside of the file"});
  refused("F32", "[1]", "[0,8]", {"hold 8 bytes", "takes 4"});
  refused("F32", "[2]", "[0,7]", {"hold 7 bytes", "takes 8"});
}

TEST(safetensors_coverage) {
  const auto two = [](const char* first, const char* second) {
    return "{" + entry("a", "U8", first, "[0,4]") + "," + second + "}";
  };
  CHECK_EQ(
      parse(safetensors_bytes(two("[4]", entry("b", "U8", "[4]", "[4,8]").c_str()), kEight)).size(),
      size_t(2));
  check_header_refused(two("[4]", entry("b", "U8", "[5]", "[3,8]").c_str()), {"\"b\"", "overlap"});
  check_header_refused(two("[4]", entry("b", "U8", "[3]", "[5,8]").c_str()),
                       {"\"b\"", "1 bytes before its values"});
  check_header_refused(two("[4]", entry("b", "U8", "[3]", "[4,7]").c_str()),
                       {"1 bytes at its end"});
  check_header_refused("{}", {"8 bytes at its end"});
}

TEST(safetensors_unreadable_files) {
  TemporaryFolder folder;
  const auto message = [](const std::string& path) {
    return message_of([&] { SafetensorsFile::open(path); });
  };
  check_message(message(folder.path("none.safetensors")),
                {"none.safetensors", "No such file or directory"});
  check_message(message(folder.path()), {"is a directory"});
  CHECK_EQ(mkfifo(folder.path("pipe").c_str(), 0600), 0);
  check_message(message(folder.path("pipe")), {"not a regular file"});
  check_message(message(folder.write("empty", "")), {"only 0 bytes"});
  const std::string path = folder.write("closed", "{}");
  chmod(path.c_str(), 0);
  if (access(path.c_str(), R_OK) != 0) check_message(message(path), {"Permission denied"});
}

TEST(safetensors_file_round_trip) {
  TemporaryFolder folder;
  const std::string path = folder.path("a.safetensors");
  const float one[] = {1, -2, 3};
  const int64_t two[] = {-5, 1ll << 60};
  {
    SafetensorsWriter writer(path, {{"x \"\\\n\u00e9", "F32", {3}}, {"ids", "I64", {2, 1}}},
                             {{"key", "value \x01"}});
    writer.write(writer.tensors()[1], two, sizeof two);
    writer.write(writer.tensors()[0], one + 1, 8, 4);
    CHECK_THROWS(writer.finish(), ErrorCode::kInternal);
    writer.write(writer.tensors()[0], one, 4);
    CHECK_THROWS(writer.write(writer.tensors()[0], one, 4, 12), ErrorCode::kInternal);
    CHECK(!std::filesystem::exists(path));
    writer.finish();
  }
  const auto file = SafetensorsFile::open(path);
  CHECK_EQ(file->metadata().at("key"), std::string("value \x01"));
  CHECK_EQ(file->tensors()[0].name, std::string("x \"\\\n\u00e9"));
  CHECK_EQ(file->tensors()[0].offset % 8, size_t(0));
  unsigned char read_one[sizeof one], read_two[sizeof two];
  file->read(file->tensors()[0], read_one);
  file->read(file->tensors()[1], read_two);
  CHECK_EQ(std::memcmp(read_one, one, sizeof one), 0);
  CHECK_EQ(std::memcmp(read_two, two, sizeof two), 0);
}

TEST(safetensors_writer_refuses) {
  TemporaryFolder folder;
  const auto write = [&](const std::string& path, std::vector<TensorInfo> tensors) {
    SafetensorsWriter(path, std::move(tensors), {});
  };
  const std::string path = folder.path("a");
  CHECK_THROWS(write(path, {{"a", "F32", {1}}, {"a", "F32", {1}}}), ErrorCode::kInvalidArgument);
  CHECK_THROWS(write(path, {{"__metadata__", "F32", {1}}}), ErrorCode::kInvalidArgument);
  CHECK_THROWS(write(path, {{"a", "F4", {2}}}), ErrorCode::kInvalidArgument);
  CHECK_THROWS(write(path, {{"a", "F32", {-1}}}), ErrorCode::kInvalidArgument);
  CHECK_THROWS(write(path, {{"a", "F32", {int64_t(1) << 40, int64_t(1) << 40}}}),
               ErrorCode::kInvalidArgument);
  CHECK_THROWS(write(folder.path("no/folder"), {}), ErrorCode::kInvalidArgument);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST(safetensors_shards) {
  TemporaryFolder folder;
  const std::string one =
      folder.write("1", safetensors_bytes("{" + entry("a", "F32", "[1]", "[0,4]") + "," +
                                              entry("ids", "I32", "[1]", "[4,8]") + "}",
                                          std::string("\0\0\x80\x3f", 4) + "1234"));
  std::string header = "{" + entry("vae.attentions.0.query.weight", "BF16", "[1,1]", "[0,2]") +
                       "," + entry("half", "F16", "[3]", "[2,8]") + "}";
  if (header.size() % 2 == 0) header += " ";  // values at an odd address
  const std::string two =
      folder.write("2", safetensors_bytes(header, std::string("\xc0\x3f\0\x3c\0\xc0\1\0", 8)));
  const auto weights = open_weights({one, two});
  CHECK_EQ(weights->names().size(), size_t(4));
  CHECK_EQ(weights->description(), one + ", " + two);
  float value = 0, halves[3];
  read_floats(*weights->find("a"), 0, 1, &value);
  CHECK_EQ(value, 1.0f);
  read_floats(*weights->find("half"), 0, 3, halves);
  CHECK_EQ(halves[0], 1.0f);
  CHECK_EQ(halves[1], -2.0f);
  CHECK_EQ(halves[2], 0x1p-24f);
  CHECK(weights->find("b") == nullptr);
  // Under the name of today.
  read_floats(*weights->find("vae.attentions.0.to_q.weight"), 0, 1, &value);
  CHECK_EQ(value, 1.5f);
  check_message(message_of([&] { weights->find("ids"); }), {one, "\"ids\" is I32", "BF16"});
  check_message(message_of([&] { open_weights({one, one}); }), {"\"a\" is both in"});
  read_floats(*weights->find("half"), 1, 2, halves);
  CHECK_EQ(halves[0], -2.0f);
}

// Written over in place, by a program that does not rename: an error, and no mixture of two files.
TEST(safetensors_changed_files) {
  TemporaryFolder folder;
  const auto bytes = [](char fill) {
    return safetensors_bytes("{" + entry("a", "F16", "[4096]", "[0,8192]") + "," +
                                 entry("b", "U8", "[0]", "[8192,8192]") + "}",
                             std::string(8192, fill));
  };
  const std::string path = folder.write("weights", bytes(1));
  std::vector<float> values(4096);
  const auto refused = [&](const auto& change) {
    folder.write("weights", bytes(1));
    const auto weights = open_weights({path});
    read_floats(*weights->find("a"), 0, 4096, values.data());
    change();
    check_message(message_of([&] { read_floats(*weights->find("a"), 0, 1, values.data()); }),
                  {path, "was changed while it was being read"});
  };
  refused([&] { std::filesystem::resize_file(path, 0); });
  refused([&] { std::filesystem::resize_file(path, 9000); });
  refused([&] {  // the same size
    folder.write("weights", bytes(2));
    std::filesystem::last_write_time(
        path, std::filesystem::file_time_type::clock::now() + std::chrono::seconds(2));
  });
  // Renamed over, the open one stays what it was.
  folder.write("weights", bytes(1));
  const auto weights = open_weights({path});
  std::filesystem::rename(folder.write("other", bytes(2)), path);
  read_floats(*weights->find("a"), 4000, 96, values.data());
  CHECK_EQ(values[95], values[0]);
}
