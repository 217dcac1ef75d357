#include "fullsize.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <regex>
#include <sstream>

#include "../native/runtime/error.h"
#include "../native/runtime/safetensors.h"
#include "models.h"

namespace deepcache::bench {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw Error(ErrorCode::kInvalidArgument, path + " cannot be read");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

double relative_l2(const std::vector<float>& a, const float* b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    norm += double(b[i]) * b[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace

int check_fullsize(const std::string& config_file, const std::string& outputs_file,
                   double tolerance, std::shared_ptr<Backend> backend) {
  const std::shared_ptr<SafetensorsFile> outputs = SafetensorsFile::open(outputs_file);
  const std::unique_ptr<Unet> unet = synthetic_unet(read_file(config_file), std::move(backend));
  const std::regex form(R"(b(\d+)_(\d+)x(\d+)\.(full|shallow_b(\d+))_t(\d+)(_from(\d+))?)");
  int failed = 0, passed = 0;
  for (const TensorInfo& info : outputs->tensors()) {
    std::smatch match;
    if (!std::regex_match(info.name, match, form)) continue;
    const int batch = std::stoi(match[1]);
    const UnetInputs inputs(unet->config(), batch, std::stoi(match[2]), std::stoi(match[3]), 77);
    UnetForward request = inputs.at(std::stof(match[6]));
    if (match[5].matched) {
      const int branch = std::stoi(match[5]);
      UnetForward before = inputs.at(std::stof(match[8]));
      before.features = {branch};
      unet->forward(before, nullptr, nullptr);
      request.retrieve = branch;
    }
    const std::vector<float> out = unet->forward(request, nullptr, nullptr);
    std::vector<float> expected(out.size());
    if (info.bytes != out.size() * sizeof(float))
      throw Error(ErrorCode::kInvalidArgument, info.name + " has another size than our output");
    outputs->read(info, expected.data());
    const double error = relative_l2(out, expected.data());
    const bool ok = error <= tolerance;
    ok ? ++passed : ++failed;
    std::printf("%-40s relative L2 %.2e  %s\n", info.name.c_str(), error, ok ? "ok" : "FAILED");
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed;
}

}  // namespace deepcache::bench
