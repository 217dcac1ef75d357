#include "safetensors.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "checked.h"
#include "error.h"
#include "json.h"
#include "tensor.h"

namespace deepcache {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr size_t kStart = 32;               // bytes that tell what a file is
constexpr size_t kMaxHeader = 100'000'000;  // as the reference implementation

uint64_t read_length(const unsigned char* data) {
  uint64_t length = 0;
  for (int i = 7; i >= 0; i--) length = length << 8 | data[i];
  return length;
}

// Where the values begin. `start`: the file's first bytes, all of them or kStart.
size_t header_end(const unsigned char* start, size_t size, const std::string& path) {
  const auto fail = [&](const std::string& problem) {
    throw Error(ErrorCode::kInvalidWeights, path + ": " + problem);
  };
  static constexpr char kPointer[] = "version https://git-lfs";
  static_assert(sizeof kPointer <= kStart);
  if (size >= sizeof kPointer - 1 && std::memcmp(start, kPointer, sizeof kPointer - 1) == 0)
    fail("is a Git LFS pointer, not the weights; fetch them with `git lfs pull`");
  if (size < kLengthBytes)
    fail("only " + std::to_string(size) + " bytes long; the file is empty or truncated");
  const uint64_t length = read_length(start);
  if (length > size - kLengthBytes || length > kMaxHeader)
    fail("not a safetensors file, or truncated: the header would be " + std::to_string(length) +
         " bytes long, the file is " + std::to_string(size) + " (headers are limited to 100 MB)");
  return kLengthBytes + size_t(length);
}

// The header's checks, with a name for what is being looked at.
class HeaderReader {
 public:
  // `data`: at least the header.
  HeaderReader(const unsigned char* data, size_t size, const std::string& path)
      : data_(data), size_(size), path_(path) {}

  std::vector<TensorInfo> read(std::map<std::string, std::string>* metadata) {
    const Json header = parse_header();
    std::vector<TensorInfo> tensors;
    tensors.reserve(header.members().size());
    for (const auto& [name, value] : header.members()) {
      if (name == "__metadata__")
        read_metadata(value, metadata);
      else
        tensors.push_back(read_tensor(name, value));
    }
    check_coverage(tensors);
    return tensors;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorCode::kInvalidWeights, path_ + ": " + problem);
  }

  [[noreturn]] void fail_tensor(const std::string& name, const std::string& problem) const {
    fail("tensor \"" + name.substr(0, 200) + "\": " + problem);
  }

  Json parse_header() {
    values_ = header_end(data_, size_, path_);
    const size_t length = values_ - kLengthBytes;
    const char* text = reinterpret_cast<const char*>(data_ + kLengthBytes);
    if (length == 0 || text[0] != '{') fail("the header does not begin with '{'");
    try {
      return Json::parse({text, length});
    } catch (const Error& error) {
      fail(std::string("the header is ") + error.what());
    }
  }

  void read_metadata(const Json& value, std::map<std::string, std::string>* metadata) const {
    if (!value.is_object()) fail("__metadata__ must be an object");
    for (const auto& [key, text] : value.members()) {
      if (!text.is_string()) fail("__metadata__ may hold strings only, not so \"" + key + "\"");
      if (metadata) (*metadata)[key] = text.string(key);
    }
  }

  TensorInfo read_tensor(const std::string& name, const Json& value) const {
    if (!value.is_object()) fail_tensor(name, "must be an object");
    const Json* dtype = value.find("dtype");
    const Json* shape = value.find("shape");
    const Json* offsets = value.find("data_offsets");
    if (!dtype || !shape || !offsets) fail_tensor(name, "lacks dtype, shape or data_offsets");

    TensorInfo info;
    info.name = name;
    std::vector<int64_t> range;
    try {
      info.dtype = dtype->string("dtype");
      for (const Json& extent : shape->array("shape"))
        info.shape.push_back(extent.integer("an extent of shape"));
      for (const Json& offset : offsets->array("data_offsets"))
        range.push_back(offset.integer("a data_offset"));
    } catch (const Error& error) {
      fail_tensor(name, error.what());
    }
    const int bits = bits_of_dtype(info.dtype);
    if (bits == 0) fail_tensor(name, "unknown dtype \"" + info.dtype.substr(0, 40) + "\"");
    size_t bytes = 0;
    if (!tensor_bytes(info.shape, bits, &bytes))
      fail_tensor(name, "impossible shape " + to_string(info.shape) + " of " + info.dtype);
    if (range.size() != 2) fail_tensor(name, "data_offsets must be two numbers");
    const std::string where =
        "data_offsets [" + std::to_string(range[0]) + ", " + std::to_string(range[1]) + "]";
    if (range[0] < 0 || range[0] > range[1]) fail_tensor(name, where + " make no range");
    if (uint64_t(range[1]) > size_ - values_)
      fail_tensor(name, where + " lie outside of the file, which holds " +
                            std::to_string(size_ - values_) +
                            " bytes of values; the file is truncated or damaged");
    if (uint64_t(range[1] - range[0]) != bytes)
      fail_tensor(name, where + " hold " + std::to_string(range[1] - range[0]) + " bytes, but " +
                            info.dtype + " of shape " + to_string(info.shape) + " takes " +
                            std::to_string(bytes));
    info.offset = values_ + size_t(range[0]);
    info.bytes = bytes;
    return info;
  }

  // The format wants every byte after the header to belong to exactly one tensor.
  void check_coverage(const std::vector<TensorInfo>& tensors) const {
    std::vector<const TensorInfo*> order;
    for (const TensorInfo& info : tensors) order.push_back(&info);
    std::sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) {
      return std::pair(a->offset, a->bytes) < std::pair(b->offset, b->bytes);
    });
    size_t end = values_;
    for (const TensorInfo* info : order) {
      if (info->offset < end) fail_tensor(info->name, "its values overlap another tensor's");
      if (info->offset > end)
        fail_tensor(info->name, "there are " + std::to_string(info->offset - end) +
                                    " bytes before its values that belong to no tensor");
      end = info->offset + info->bytes;
    }
    if (end != size_)
      fail("has " + std::to_string(size_ - end) +
           " bytes at its end that belong to no tensor; the file is damaged");
  }

  const unsigned char* data_;
  size_t size_;
  const std::string& path_;
  size_t values_ = 0;  // where the values begin
};

}  // namespace

int bits_of_dtype(const std::string& dtype) {
  static const std::map<std::string, int> kBits = {
      {"BOOL", 8},    {"U8", 8},   {"I8", 8},      {"F8_E5M2", 8}, {"F8_E4M3", 8},
      {"F8_E8M0", 8}, {"F4", 4},   {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"I16", 16},
      {"U16", 16},    {"F16", 16}, {"BF16", 16},   {"I32", 32},    {"U32", 32},
      {"F32", 32},    {"I64", 64}, {"U64", 64},    {"F64", 64},    {"C64", 64}};
  const auto found = kBits.find(dtype);
  return found == kBits.end() ? 0 : found->second;
}

bool tensor_bytes(const std::vector<int64_t>& shape, int bits, size_t* bytes) {
  Count total = bits;
  for (const int64_t extent : shape) total = total * extent;
  if (!total.fits()) return false;
  const size_t all = total.value("the tensor");
  *bytes = all / 8;
  return all % 8 == 0;
}

std::vector<TensorInfo> SafetensorsFile::parse(const unsigned char* data, size_t size,
                                               const std::string& path,
                                               std::map<std::string, std::string>* metadata) {
  return HeaderReader(data, size, path).read(metadata);
}

std::shared_ptr<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile(path));
  const size_t size = file->file_.size();
  std::vector<unsigned char> header(std::min(size, kStart));
  file->file_.read(header.data(), header.size(), 0);
  header.resize(header_end(header.data(), size, path));
  file->file_.read(header.data(), header.size(), 0);
  file->tensors_ = parse(header.data(), size, path, &file->metadata_);
  return file;
}

}  // namespace deepcache
