#pragma once

#include <string>

namespace deepcache::bench {

// A JSON object that says where and when a figure was taken: processor, cores, load, date, commit.
std::string machine_json();

// `text` as a JSON string.
std::string json_string(const std::string& text);

}  // namespace deepcache::bench
