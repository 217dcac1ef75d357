#include "unet_control.h"

#include <algorithm>
#include <string>

#include "classes.h"
#include "models/controlnet.h"
#include "runtime/error.h"
#include "unet.h"

namespace deepcache::addon {
namespace {

constexpr size_t kMaxNetworks = 16;

std::vector<float> parse_scales(const Argument& in, size_t rows) {
  std::vector<float> out;
  for (const Argument& scale : in.elements(rows)) out.push_back(float(scale.number()));
  if (out.size() != rows)
    in.fail("an array of " + std::to_string(rows) + " numbers, one for each call",
            std::to_string(out.size()));
  return out;
}

void require_divisor(const Argument& in, int count, int images) {
  if (count < 1 || images % count)
    in.fail("of a number of pictures that divides the run's " + std::to_string(images),
            std::to_string(count));
}

}  // namespace

ControlNetUse parse_pictures(const Argument& in, const UnetConfig& config, const UnetShape& shape,
                             int most, ControlArrays& arrays) {
  const ControlConfig& control = *config.control;
  const size_t scale = size_t(control.scale());
  const size_t each =
      size_t(control.image_channels) * scale * size_t(shape.height) * scale * size_t(shape.width);
  ControlNetUse out;
  const Argument images = in["images"], kinds = in["kinds"];
  const size_t count = size_t(control.kinds ? control.kinds->count : 1);
  for (const Argument& image : images.elements(count)) {
    arrays.images.push_back(image.floats_of_multiple({each}));
    const int found = int(arrays.images.back().size() / each);
    require_divisor(image, found, most);
    if (!out.pictures.empty() && found != out.images)
      image.fail("of as many pictures as the others", std::to_string(found));
    out.images = found;
    out.pictures.push_back(arrays.images.back().data());
  }
  if (out.pictures.empty()) images.fail("an array of at least one picture", "none");
  if (!control.kinds) {
    if (kinds.given())
      throw Error(ErrorCode::kInvalidArgument,
                  kinds.name() + " must be left out: this ControlNet takes one kind of pictures");
    return out;
  }
  out.kinds = kinds.integers(count, 0, int(count) - 1);
  if (out.kinds.size() != out.pictures.size())
    kinds.fail("a number for each of the " + std::to_string(out.pictures.size()) + " pictures",
               std::to_string(out.kinds.size()));
  return out;
}

UnetControl parse_control(const Argument& in, const UnetConfig& config, const UnetShape& shape,
                          int images, size_t rows, ControlArrays& arrays) {
  UnetControl out;
  if (const Argument controls = in["controls"]; controls.given()) {
    const auto list = controls.elements(kMaxNetworks);
    for (size_t i = 0; i < list.size(); ++i) {
      const Argument network = list[i]["network"], guess = list[i]["guess"];
      arrays.networks.push_back(
          unwrap<NativeUnet>(network, "a ControlNet made by this addon").shared());
      SharedUnet& model = *arrays.networks.back();
      require_control_fits(model.config(), config);
      ControlNetUse use = parse_pictures(list[i], model.config(), shape, images, arrays);
      use.network = &model;
      use.scales = parse_scales(list[i]["scales"], rows);
      use.guess = guess.given() && guess.boolean();
      out.networks.push_back(std::move(use));
    }
  }
  const Argument features = in["blockFeatures"];
  if (!features.given()) return out;
  const auto levels = features["levels"].elements(size_t(config.levels()) + 1);
  if (int(levels.size()) < config.levels() || config.video)
    features["levels"].fail("an array of a feature for each level of the U-Net",
                            std::to_string(levels.size()));
  arrays.features.resize(levels.size());
  for (size_t i = 0; i < levels.size(); ++i) {
    const Shape size = block_feature_shape(config, shape, int(i));
    const size_t each = size_t(size.c) * size_t(size.h) * size_t(size.w);
    arrays.features[i] = levels[i].floats_of_multiple({each});
    const int count = int(arrays.features[i].size() / each);
    require_divisor(levels[i], count, images);
    if (i && count != out.feature_images)
      levels[i].fail("of as many pictures as the others", std::to_string(count));
    out.feature_images = count;
    out.block_features.push_back(arrays.features[i].data());
  }
  out.feature_scales = parse_scales(features["scales"], rows);
  return out;
}

}  // namespace deepcache::addon
