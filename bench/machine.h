#pragma once

#include <string>

namespace deepcache::bench {

// A JSON object that says where and when a figure was taken: processor, cores, load, date, commit.
std::string machine_json();

// The first line that a shell command prints; "unknown" when there is none.
std::string output_of(const std::string& command);

}  // namespace deepcache::bench
