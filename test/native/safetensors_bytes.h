#pragma once

#include <cstdint>
#include <string>

namespace deepcache::test {

// A safetensors file in memory: the header's length, the header, the values.
inline std::string safetensors_bytes(const std::string& header, const std::string& values,
                                     uint64_t header_length) {
  std::string bytes;
  for (int i = 0; i < 8; i++) bytes += char(header_length >> (8 * i) & 0xff);
  return bytes + header + values;
}

inline std::string safetensors_bytes(const std::string& header, const std::string& values) {
  return safetensors_bytes(header, values, header.size());
}

// One header entry.
inline std::string entry(const std::string& name, const std::string& dtype,
                         const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

}  // namespace deepcache::test
