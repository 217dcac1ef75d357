#include "machine.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <thread>

#include "report.h"

namespace deepcache::bench {
namespace {

// The value of the first line that starts with `key`.
std::string line_of(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line.rfind(key, 0) == 0) {
      const size_t colon = line.find(':');
      return line.substr(line.find_first_not_of(" \t", colon + 1));
    }
  return "unknown";
}

}  // namespace

std::string output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  char text[128] = "";
  if (pipe) {
    if (!std::fgets(text, sizeof text, pipe)) text[0] = 0;
    pclose(pipe);
  }
  std::string out = text;
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out.empty() ? "unknown" : out;
}

std::string machine_json() {
  const std::time_t now = std::time(nullptr);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  double load[1] = {0};
  if (getloadavg(load, 1) != 1) load[0] = -1;
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, "\"cores\": %u, \"load\": %.2f",
                std::thread::hardware_concurrency(), load[0]);
  return "{\"processor\": " + json_string(line_of("/proc/cpuinfo", "model name")) + ", " + numbers +
         ", \"date\": " + json_string(date) + ", \"commit\": " +
         json_string(output_of("git describe --always --dirty 2>/dev/null || echo \"$COMMIT\"")) +
         "}";
}

}  // namespace deepcache::bench
