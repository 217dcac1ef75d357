#pragma once

#include <map>
#include <string>
#include <vector>

namespace deepcache::bench {

// "--name value" pairs; no library, so that the harness needs nothing but what builds the addon.
// Each getter takes its option away, so that finish() can name what nobody knows. All throw
// Error(kInvalidArgument).
class Options {
 public:
  Options(int argc, char** argv, int first);

  std::string text(const std::string& name, const std::string& fallback = "");
  // At least zero.
  double number(const std::string& name, double fallback);
  // Words with commas between them.
  std::vector<std::string> list(const std::string& name, const std::string& fallback);
  std::vector<int> integers(const std::string& name, const std::string& fallback);
  void finish() const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace deepcache::bench
