#include "ip_adapter.h"

#include <utility>

#include "models/unet_layout.h"
#include "runtime/error.h"
#include "values.h"

namespace deepcache::addon {
namespace {

constexpr int kMaxBatch = 1024;
constexpr int kMaxLength = 1 << 16;  // tokens of a picture
constexpr size_t kMaxPrompts = 16;   // adapters of a run
constexpr int kMaxTokens = 1 << 14;  // of an adapter's pictures
constexpr size_t kMaxScales = 1 << 12;

}  // namespace

std::shared_ptr<IpAdapter> NativeIpAdapter::make(const ModelSource& source,
                                                 std::shared_ptr<WeightSource> weights,
                                                 std::shared_ptr<Backend> backend) {
  return std::make_shared<IpAdapter>(IpAdapterConfig::parse(source.config), std::move(weights),
                                     std::move(backend));
}

void NativeIpAdapter::describe(Napi::Object object, IpAdapter&) { object.TypeTag(&kTypeTag); }

void NativeIpAdapter::count_memory(Napi::Object object, const IpAdapter& model) {
  object["weights"] = to_js(object.Env(), model.weight_bytes());
}

NativeIpAdapter::Methods NativeIpAdapter::methods() {
  return {InstanceMethod<&NativeIpAdapter::project>("project")};
}

Napi::Value NativeIpAdapter::project(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Argument request(info[0], "request");
    const std::shared_ptr<IpAdapter> model = this->model();
    const IpAdapterConfig& config = model->config();
    const int batch = int(request["batch"].integer(1, kMaxBatch));
    const int most = config.projection == ImageProjection::linear ? 1 : kMaxLength;
    const int length = int(request["length"].integer(1, most));
    auto image =
        request["image"].floats({size_t(batch), size_t(length), size_t(config.image_width)});
    const auto work = [=, image = std::move(image)](IpAdapter& model,
                                                    JobContext& context) -> Finish {
      return context.hand_over(model.project(image.data(), batch, length, context.cancel_flag()));
    };
    return start(info.Env(), work);
  });
}

std::vector<ImagePrompt> parse_image_prompts(const Argument& in, const UnetConfig& config, size_t n,
                                             std::vector<Floats>& arrays) {
  std::vector<ImagePrompt> out;
  if (!in.given()) return out;
  const size_t contexts = UnetLayout(config).contexts.size();
  for (const Argument& given : in.elements(kMaxPrompts)) {
    ImagePrompt prompt;
    prompt.adapter =
        unwrap<NativeIpAdapter>(given["adapter"], "an IP-Adapter made by this addon").shared();
    require_fit(prompt.adapter->config(), config);
    prompt.count = int(given["length"].integer(1, kMaxTokens));
    arrays.push_back(
        given["tokens"].floats({n, size_t(prompt.count), size_t(config.context_width)}));
    prompt.tokens = arrays.back().data();
    const Argument scales = given["scales"];
    for (const Argument& scale : scales.elements(kMaxScales))
      prompt.scales.push_back(float(scale.number()));
    if (prompt.scales.size() != contexts)
      scales.fail("a number for each cross attention (" + std::to_string(contexts) + ")",
                  std::to_string(prompt.scales.size()));
    out.push_back(std::move(prompt));
  }
  return out;
}

}  // namespace deepcache::addon
