#pragma once

// safetensors files, checked before anything is believed. The format:
// https://huggingface.co/docs/safetensors (a length of 8 bytes, a JSON header, the values).

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "files.h"

namespace deepcache {

// A tensor of any dtype that the format knows; stored_weights.h has the ones that weights may have.
struct TensorInfo {
  std::string name, dtype;  // "F32", "F16", "BF16", "I64", ...
  std::vector<int64_t> shape;
  size_t offset = 0, bytes = 0;  // in the file
};

class SafetensorsFile {
 public:
  // Throws Error(kInvalidWeights) naming the file and what is wrong with it.
  static std::shared_ptr<SafetensorsFile> open(const std::string& path);
  // The same checks over a file's bytes in memory (tests and fuzzing).
  static std::vector<TensorInfo> parse(const unsigned char* data, size_t size,
                                       const std::string& path,
                                       std::map<std::string, std::string>* metadata = nullptr);

  const std::string& path() const { return file_.path(); }
  // In the order of the header.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Copies a tensor's little-endian bytes. Throws Error(kInvalidWeights) when the file has changed
  // since it was opened.
  void read(const TensorInfo& info, void* target) const {
    file_.read(target, info.bytes, info.offset);
  }
  const InputFile& file() const { return file_; }

 private:
  explicit SafetensorsFile(const std::string& path) : file_(path) {}

  InputFile file_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Bits of one value ("F32": 32); 0 for a dtype that the format does not know.
int bits_of_dtype(const std::string& dtype);
// False when the number of bytes does not fit, or does not come out whole.
bool tensor_bytes(const std::vector<int64_t>& shape, int bits, size_t* bytes);

// A safetensors file in the making: all shapes are known first, values may come in any order and
// from several threads. The file appears under its name with finish(), complete or not at all.
class SafetensorsWriter {
 public:
  // Tensors follow each other in the given order; `offset` and `bytes` are filled in here. Throws
  // Error(kInvalidArgument) for a bad list or a path that cannot be written.
  SafetensorsWriter(const std::string& path, std::vector<TensorInfo> tensors,
                    const std::map<std::string, std::string>& metadata);

  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // Bytes [offset, offset + bytes) of a tensor.
  void write(const TensorInfo& tensor, const void* data, size_t bytes, size_t offset = 0);
  // Throws Error(kInternal) when values are missing.
  void finish();

 private:
  std::vector<TensorInfo> tensors_;
  OutputFile file_;
  std::atomic<size_t> missing_{0};  // bytes still to be written
};

}  // namespace deepcache
