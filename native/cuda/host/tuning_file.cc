#include "cuda/host/tuning_file.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "runtime/files.h"

namespace deepcache::cuda {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string cache_folder() {
  if (const std::string folder = variable("DEEPCACHE_CACHE_DIR"); !folder.empty()) return folder;
  if (const std::string folder = variable("XDG_CACHE_HOME"); !folder.empty())
    return folder + "/deepcache";
  const std::string home = variable("HOME");
  return (home.empty() ? std::filesystem::temp_directory_path().string() : home + "/.cache") +
         "/deepcache";
}

}  // namespace

TuningFile::TuningFile(const Api& api, const DeviceInfo& info) : folder_(cache_folder()) {
  std::string name =
      std::string("tiles ") + info.name + " cuda" + std::to_string(info.driver) + " " + api.build;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.') c = '-';
  path_ = folder_ + "/" + name + ".txt";
}

std::string TuningFile::read() const {
  std::ifstream file(path_);
  return {std::istreambuf_iterator<char>(file), {}};
}

void TuningFile::write(const std::string& text) const {
  std::error_code ignored;  // the file itself says what is wrong
  std::filesystem::create_directories(folder_, ignored);
  OutputFile file(path_);
  file.write(text.data(), text.size(), 0);
  file.commit();
}

bool tuning_is_asked_for() {
  const std::string value = variable("DEEPCACHE_TUNE");
  return !value.empty() && value != "0";
}

}  // namespace deepcache::cuda
