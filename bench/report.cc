#include "report.h"

#include <cmath>
#include <cstdio>
#include <fstream>

#include "../native/runtime/error.h"

namespace deepcache::bench {

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + '"';
}

JsonObject& JsonObject::add(const std::string& name, double number, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*g", digits, number);
  return raw(name, std::isfinite(number) ? text : "null");
}

JsonObject& JsonObject::raw(const std::string& name, const std::string& json) {
  members_ += (members_.empty() ? "" : ", ") + json_string(name) + ": " + json;
  return *this;
}

JsonObject& JsonObject::append(const JsonObject& other) {
  if (!other.members_.empty()) members_ += (members_.empty() ? "" : ", ") + other.members_;
  return *this;
}

void Report::add(const std::string& object) {
  rows_ += (rows_.empty() ? "\n    " : ",\n    ") + object;
  write();
}

void Report::end(const std::string& members) {
  tail_ = members;
  write();
}

void Report::write() const {
  if (file_.empty()) return;
  const std::string unfinished = file_ + ".part";
  std::ofstream out(unfinished);
  out << "{\n  " << head_ << ",\n  \"rows\": [" << rows_ << "\n  ]";
  if (!tail_.empty()) out << ",\n  " << tail_;
  out << "\n}\n";
  out.close();
  if (!out || std::rename(unfinished.c_str(), file_.c_str()) != 0)
    throw Error(ErrorCode::kInvalidArgument, file_ + " cannot be written");
}

}  // namespace deepcache::bench
