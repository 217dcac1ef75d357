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

// The output that a tensor of that name has; empty for another name.
std::vector<float> output_of(Unet& unet, const std::string& name) {
  static const std::regex form(R"(b(\d+)_(\d+)x(\d+)\.(full|shallow_b(\d+))_t(\d+)(_from(\d+))?)");
  std::smatch match;
  if (!std::regex_match(name, match, form)) return {};
  const UnetInputs inputs(unet.config(), std::stoi(match[1]), std::stoi(match[2]),
                          std::stoi(match[3]), 77);
  UnetForward request = inputs.at(std::stof(match[6]));
  if (match[5].matched) {
    const int branch = std::stoi(match[5]);
    UnetForward before = inputs.at(std::stof(match[8]));
    before.features = {branch};
    unet.forward(before, nullptr, nullptr);
    request.retrieve = branch;
  }
  return unet.forward(request, nullptr, nullptr);
}

}  // namespace

void write_fullsize(const std::string& config_file, const std::string& outputs_file, int side,
                    std::shared_ptr<Backend> backend) {
  const std::unique_ptr<Unet> unet = synthetic_unet(read_file(config_file), std::move(backend));
  const std::string size = std::to_string(side), head = "b2_" + size + "x" + size + ".";
  const UnetConfig& config = unet->config();
  const std::vector<int64_t> shape = {2, config.out_channels, side, side};
  std::vector<TensorInfo> tensors;
  for (const char* name : {"full_t601", "shallow_b0_t581_from601"})
    tensors.push_back({head + name, "F32", shape});
  SafetensorsWriter writer(outputs_file, tensors, {});
  for (const TensorInfo& tensor : writer.tensors()) {
    const std::vector<float> out = output_of(*unet, tensor.name);
    writer.write(tensor, out.data(), out.size() * sizeof(float));
  }
  writer.finish();
}

int check_fullsize(const std::string& config_file, const std::string& outputs_file,
                   double tolerance, std::shared_ptr<Backend> backend) {
  const std::shared_ptr<SafetensorsFile> outputs = SafetensorsFile::open(outputs_file);
  const std::unique_ptr<Unet> unet = synthetic_unet(read_file(config_file), std::move(backend));
  int failed = 0, passed = 0;
  for (const TensorInfo& info : outputs->tensors()) {
    const std::vector<float> out = output_of(*unet, info.name);
    if (out.empty()) continue;
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
