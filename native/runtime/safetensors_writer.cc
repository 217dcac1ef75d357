#include <algorithm>
#include <cstdio>
#include <set>

#include "checked.h"
#include "error.h"
#include "safetensors.h"

namespace deepcache {
namespace {

[[noreturn]] void bad_tensor(const TensorInfo& tensor, const std::string& problem) {
  throw Error(ErrorCode::kInvalidArgument, "tensor \"" + tensor.name + "\": " + problem);
}

std::string quote(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", unsigned(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// Fills in offsets from the start of the values.
void lay_out(std::vector<TensorInfo>& tensors) {
  std::set<std::string> names;
  Count end = 0;
  for (TensorInfo& tensor : tensors) {
    if (!names.insert(tensor.name).second) bad_tensor(tensor, "the name occurs twice");
    if (tensor.name == "__metadata__") bad_tensor(tensor, "the format reserves this name");
    const int bits = bits_of_dtype(tensor.dtype);
    if (bits == 0 || bits % 8 != 0)
      bad_tensor(tensor, "dtype \"" + tensor.dtype + "\" cannot be written");
    Count bytes = bits / 8;
    for (const int64_t extent : tensor.shape) {
      if (extent < 0) bad_tensor(tensor, "a negative extent");
      bytes = bytes * extent;
    }
    const Count next = end + bytes;
    // Files know no offsets of 2^63 and more.
    if (!(next * 2).fits()) bad_tensor(tensor, "too large");
    tensor.offset = end.value("the file");
    tensor.bytes = bytes.value("the tensor");
    end = next;
  }
}

std::string header_json(const std::vector<TensorInfo>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) json += quote(key) + ":" + quote(value) + ",";
    json.back() = '}';
    json += ',';
  }
  for (const TensorInfo& tensor : tensors) {
    json += quote(tensor.name) + ":{\"dtype\":\"" + tensor.dtype + "\",\"shape\":[";
    for (size_t i = 0; i < tensor.shape.size(); i++)
      json += (i > 0 ? "," : "") + std::to_string(tensor.shape[i]);
    json += "],\"data_offsets\":[" + std::to_string(tensor.offset) + "," +
            std::to_string(tensor.offset + tensor.bytes) + "]},";
  }
  if (json.back() == ',') json.pop_back();
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');  // aligns the values
  return json;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::string& path, std::vector<TensorInfo> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : tensors_((lay_out(tensors), std::move(tensors))), file_(path) {
  std::string header = header_json(tensors_, metadata);
  std::string length(8, '\0');
  for (int i = 0; i < 8; i++) length[size_t(i)] = char(header.size() >> (8 * i) & 0xff);
  header = length + header;
  for (TensorInfo& tensor : tensors_) {
    tensor.offset += header.size();
    missing_ += tensor.bytes;
  }
  file_.write(header.data(), header.size(), 0);
}

void SafetensorsWriter::write(const TensorInfo& tensor, const void* data, size_t bytes,
                              size_t offset) {
  if (offset > tensor.bytes || bytes > tensor.bytes - offset)
    throw Error(ErrorCode::kInternal, "writing beyond the end of tensor \"" + tensor.name + "\"");
  file_.write(data, bytes, tensor.offset + offset);
  missing_ -= bytes;
}

void SafetensorsWriter::finish() {
  if (missing_ != 0)
    throw Error(ErrorCode::kInternal, "a safetensors file was finished with values missing");
  file_.commit();
}

}  // namespace deepcache
