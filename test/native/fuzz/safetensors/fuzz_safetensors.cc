// fuzz_safetensors [iterations] [seed]: damages valid safetensors files in all ways that it can
// think of and checks that the reader either refuses with its coded error or believes only what is
// true. Worth most when built with -fsanitize=address,undefined.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "runtime/error.h"
#include "runtime/safetensors.h"
#include "runtime/tensor.h"
#include "test/native/safetensors_bytes.h"

using namespace deepcache;
using deepcache::test::entry;
using deepcache::test::safetensors_bytes;

namespace {

struct File {
  std::string header, values;
};

const std::vector<File> kCorpus = {
    {"{}", ""},
    {"{" + entry("a", "F32", "[2]", "[0,8]") + "}", std::string(8, 'v')},
    {"{\"__metadata__\":{\"format\":\"pt\",\"k\\u00e9\":\"\\ud83d\\ude00\"}," +
         entry("conv_in.weight", "F16", "[2,2,1,1]", "[16,24]") + "," +
         entry("ids", "I64", "[1,2]", "[0,16]") + "," + entry("mask", "BOOL", "[3]", "[24,27]") +
         "}      ",
     std::string(27, 'v')},
    {"{" + entry("scalar", "BF16", "[]", "[0,2]") + "," + entry("none", "U8", "[0,7]", "[2,2]") +
         "," + entry("four", "F4", "[2,3]", "[2,5]") + "}",
     std::string(5, 'v')},
};

const std::vector<std::string> kNumbers = {"0",
                                           "1",
                                           "-1",
                                           "7",
                                           "8",
                                           "9",
                                           "255",
                                           "65536",
                                           "2147483647",
                                           "2147483648",
                                           "-0",
                                           "1e18",
                                           "1e19",
                                           "1e308",
                                           "0.5",
                                           "4294967296",
                                           "9007199254740991",
                                           "9007199254740992",
                                           "9223372036854775807",
                                           "18446744073709551615",
                                           "99999999999999999999999999",
                                           "01",
                                           "1e-5"};

const std::vector<std::string> kPieces = {"{",
                                          "}",
                                          "[",
                                          "]",
                                          ",",
                                          ":",
                                          "\"",
                                          "\\",
                                          "null",
                                          "true",
                                          "\"dtype\"",
                                          "\"shape\":[]",
                                          "[[[[[[",
                                          "\"data_offsets\":[0,0]",
                                          "\"__metadata__\":{}",
                                          "\"F32\"",
                                          "\"F64\"",
                                          "\"F6_E2M3\"",
                                          "\\ud800",
                                          "\\u0000",
                                          "\xff",
                                          "\xe2\x82",
                                          std::string(1, '\0'),
                                          "{\"a\":",
                                          "\"a\"",
                                          " ",
                                          "\n",
                                          "1e999"};

struct Entry {
  std::string dtype;
  std::vector<uint64_t> shape;
  uint64_t begin, end;
};

const std::vector<std::pair<std::string, uint64_t>> kDtypes = {
    {"U8", 8}, {"F16", 16}, {"F32", 32}, {"I64", 64}, {"F4", 4}};

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string next() {
    const bool plausible = below(2) == 0;
    File file = plausible ? plausible_file() : pick(kCorpus);
    uint64_t length_error = 0;
    std::string bytes;
    for (size_t i = 0, changes = below(plausible ? 2 : 4); i < changes; i++) change(file);
    if (below(8) == 0) length_error = below(2) ? random_() : random_() % 9 - 4;
    bytes = safetensors_bytes(file.header, file.values, file.header.size() + length_error);
    if (below(16) == 0) bytes.resize(below(bytes.size() + 1));
    if (below(16) == 0 && !bytes.empty()) bytes[below(bytes.size())] ^= char(1 << below(8));
    return bytes;
  }

 private:
  size_t below(size_t end) { return size_t(random_() % end); }
  template <typename T>
  const T& pick(const std::vector<T>& list) {
    return list[below(list.size())];
  }

  // Several tensors, one after the other, with up to one lie that fits the rest well.
  File plausible_file() {
    std::vector<Entry> entries(1 + below(4));
    uint64_t size = 0;
    for (Entry& entry : entries) {
      const auto& [dtype, bits] = pick(kDtypes);
      entry = {dtype, {1 + below(3), 2 * (1 + below(2))}, size, 0};
      size += entry.shape[0] * entry.shape[1] * bits / 8;
      entry.end = size;
    }
    Entry& victim = entries[below(entries.size())];
    const uint64_t shift = 1 + below(4);
    switch (below(8)) {
      case 0:  // over its neighbour
        victim.begin -= shift, victim.end -= shift;
        break;
      case 1:
        victim.begin += shift, victim.end += shift;
        break;
      case 2:  // another tensor's values
        victim = pick(entries);
        break;
      case 3:  // as many bytes as an overflowing product
        victim.shape[0] += uint64_t(1) << (48 + below(5));
        victim.shape[1] *= uint64_t(1) << (8 + below(8));
        break;
      case 4:
        victim.shape = {uint64_t(1) << 32, uint64_t(1) << (28 + below(5))};
        victim.end = victim.begin;
        break;
      case 5:
        size -= std::min(size, shift);
        break;
      case 6:
        size += shift;
        break;
    }
    File file{"{", std::string(size, 'v')};
    for (const Entry& e : entries) {
      std::vector<int64_t> range = {int64_t(e.begin), int64_t(e.end)};
      file.header +=
          (file.header.size() > 1 ? "," : "") +
          entry(std::string(1, char('a' + (&e - entries.data()))), e.dtype,
                to_string(std::vector<int64_t>(e.shape.begin(), e.shape.end())), to_string(range));
    }
    if (below(16) == 0) file.header += ",\"a\":" + file.header.substr(5, file.header.find('}') - 4);
    file.header += "}";
    return file;
  }

  void change(File& file) {
    std::string& text = file.header;
    const size_t at = below(text.size() + 1), length = below(text.size() - at + 1);
    switch (below(8)) {
      case 0:
        return change_number(text);
      case 1:
        text.insert(at, pick(kPieces));
        return;
      case 2:
        text.erase(at, below(2) ? 1 : length);
        return;
      case 3:
        text.insert(below(text.size() + 1), text.substr(at, length));
        return;
      case 4:
        if (at < text.size()) text[at] = char(below(256));
        return;
      case 5:
        file.values.resize(below(40));
        return;
      case 6:
        return change_number(text);
      case 7:
        text.replace(at, below(2) ? length : 1 % (text.size() - at + 1), pick(kPieces));
        return;
    }
  }

  void change_number(std::string& text) {
    const char* digits = "0123456789";
    const size_t from = text.find_first_of(digits, below(text.size() + 1));
    if (from == std::string::npos) return;
    const size_t end = std::min(text.find_first_not_of(digits, from), text.size());
    text.replace(from, end - from, pick(kNumbers));
  }

  std::mt19937_64 random_;
};

// What a reader may rely on. Computed apart from the code under test.
bool believable(const std::vector<TensorInfo>& tensors, const std::string& file) {
  const size_t file_size = file.size();
  uint64_t header = 0;
  std::memcpy(&header, file.data(), 8);
  std::set<std::string> names;
  size_t bytes = 0;
  for (const TensorInfo& tensor : tensors) {
    if (!names.insert(tensor.name).second) return false;
    if (tensor.offset < 8 + header || tensor.offset > file_size) return false;
    if (tensor.bytes > file_size - tensor.offset) return false;
    long double bits = bits_of_dtype(tensor.dtype);
    if (bits == 0) return false;
    for (const int64_t extent : tensor.shape) {
      if (extent < 0) return false;
      bits *= static_cast<long double>(extent);
    }
    if (bits != static_cast<long double>(tensor.bytes) * 8) return false;
    bytes += tensor.bytes;
    for (const TensorInfo& other : tensors)
      if (&other != &tensor && other.bytes > 0 && tensor.offset < other.offset + other.bytes &&
          other.offset < tensor.offset + tensor.bytes)
        return false;
  }
  return bytes == file_size - 8 - header;  // every byte belongs to a tensor
}

void report(const std::string& problem, long iteration, const std::string& bytes) {
  std::printf("iteration %ld: %s\n", iteration, problem.c_str());
  for (const unsigned char byte : bytes) std::printf("%02x", byte);
  std::printf("\n");
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const long iterations = argc > 1 ? std::atol(argv[1]) : 100000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  Mutator mutator(seed);
  long accepted = 0;
  for (long i = 0; i < iterations; i++) {
    const std::string bytes = mutator.next();
    // An allocation of exactly this size, so that reading past it is noticed.
    const auto data = std::make_unique<unsigned char[]>(bytes.size());
    std::memcpy(data.get(), bytes.data(), bytes.size());
    try {
      std::map<std::string, std::string> metadata;
      const auto tensors = SafetensorsFile::parse(data.get(), bytes.size(), "fuzzed", &metadata);
      if (!believable(tensors, bytes)) report("believed a lie", i, bytes);
      accepted++;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidWeights) report(error.what(), i, bytes);
    } catch (const std::exception& error) {
      report(std::string("an uncoded exception: ") + error.what(), i, bytes);
    }
  }
  std::printf("%ld files, %ld of them accepted, no lie believed (seed %llu)\n", iterations,
              accepted, static_cast<unsigned long long>(seed));
  return 0;
}
