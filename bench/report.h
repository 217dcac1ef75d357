#pragma once

// What a command found out, as a JSON file that is complete after every row: a run that is cut off
// leaves what it had.

#include <cstdint>
#include <string>
#include <vector>

namespace deepcache::bench {

std::string json_string(const std::string& text);

// An object under construction.
class JsonObject {
 public:
  JsonObject& add(const std::string& name, const std::string& text) {
    return raw(name, json_string(text));
  }
  JsonObject& add(const std::string& name, const char* text) {
    return add(name, std::string(text));
  }
  // With `digits` significant ones; null when it is not finite.
  JsonObject& add(const std::string& name, double number, int digits = 5);
  JsonObject& add(const std::string& name, int number) { return raw(name, std::to_string(number)); }
  JsonObject& add(const std::string& name, bool flag) { return raw(name, flag ? "true" : "false"); }
  JsonObject& raw(const std::string& name, const std::string& json);
  // All members of another one.
  JsonObject& append(const JsonObject& other);
  std::string str() const { return "{" + members_ + "}"; }
  std::string members() const { return members_; }

 private:
  std::string members_;
};

class Report {
 public:
  // `head`: members before the rows. Nothing is written when `file` is empty.
  explicit Report(std::string file, const JsonObject& head = {})
      : file_(std::move(file)), head_(head.members()) {}
  // The members before the rows, where they are not known earlier.
  void begin(const std::string& members) { head_ = members; }
  // Throws Error(kInvalidArgument) when the file cannot be written.
  void add(const JsonObject& row) { add(row.str()); }
  void add(const std::string& object);
  void summary(const JsonObject& members) { end(members.members()); }
  // The members behind the rows.
  void end(const std::string& members);

 private:
  void write() const;

  std::string file_, head_, rows_, tail_;
};

}  // namespace deepcache::bench
