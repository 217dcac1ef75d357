#include "options.h"

#include <cstdlib>
#include <sstream>

#include "../native/runtime/error.h"

namespace deepcache::bench {
namespace {

[[noreturn]] void invalid(const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, what);
}

double to_number(const std::string& name, const std::string& value) {
  char* end = nullptr;
  const double out = std::strtod(value.c_str(), &end);
  if (value.empty() || *end || !(out >= 0))
    invalid("--" + name + " must be a number, got " + value);
  return out;
}

}  // namespace

Options::Options(int argc, char** argv, int first) {
  for (int i = first; i < argc; i += 2) {
    const std::string name = argv[i];
    if (name.rfind("--", 0) != 0 || i + 1 >= argc) invalid("expected --option value, got " + name);
    values_[name.substr(2)] = argv[i + 1];
  }
}

std::string Options::text(const std::string& name, const std::string& fallback) {
  const auto found = values_.find(name);
  if (found == values_.end()) return fallback;
  const std::string value = found->second;
  values_.erase(found);
  return value;
}

double Options::number(const std::string& name, double fallback) {
  const std::string value = text(name);
  return value.empty() ? fallback : to_number(name, value);
}

std::vector<std::string> Options::list(const std::string& name, const std::string& fallback) {
  std::vector<std::string> out;
  std::istringstream words(text(name, fallback));
  for (std::string word; std::getline(words, word, ',');)
    if (!word.empty()) out.push_back(word);
  return out;
}

std::vector<int> Options::integers(const std::string& name, const std::string& fallback) {
  std::vector<int> out;
  for (const std::string& word : list(name, fallback)) out.push_back(int(to_number(name, word)));
  return out;
}

void Options::finish() const {
  if (!values_.empty()) invalid("there is no option --" + values_.begin()->first);
}

}  // namespace deepcache::bench
