#pragma once

// What a configuration must keep to, whatever its format: one pass over the finished one, before
// anything is planned or allocated. Messages name the fields as the file spells them.

#include "clip_text.h"
#include "clip_vision.h"
#include "ip_adapter_plan.h"
#include "t2i_adapter_plan.h"
#include "unet_config.h"
#include "vae.h"

namespace deepcache {

// The largest that are taken. Published models have at most what stands behind, so all of them are
// taken; in return no size that follows from a configuration wraps, and planning takes moments.
namespace bounds {
constexpr int kLevels = 10;                  // 7
constexpr int kVaeLevels = 8;                // 6
constexpr int kLayers = 32;                  // 7, of a level
constexpr int kDepth = 64;                   // 10 (SDXL), transformer blocks behind a resnet
constexpr int kBlocks = 256;                 // 87 (SDXL), resnets and transformer blocks in all
constexpr int kChannels = 1 << 14;           // 2560, of a level or an input
constexpr int kNormGroups = 32;              // of contexts, fixed in diffusers
constexpr int kGroups = kChannels;           // 32
constexpr int kContextWidth = 1 << 15;       // 4096, of a prompt's tokens
constexpr int kAddedWidth = 1 << 16;         // 5632, what joins the time embedding
constexpr int kSide = 1 << 13;               // 1024, of the samples that a U-Net was trained on
constexpr int kFrames = 1 << 10;             // 25
constexpr int kCodes = 1 << 20;              // 16384
constexpr int kEncoderLayers = 256;          // 48
constexpr int kEncoderWidth = 1 << 14;       // 1792
constexpr int kMlpWidth = 1 << 16;           // 15360
constexpr int kPositions = 1 << 16;          // 248 of a text, 1601 of a picture
constexpr int kImageTokens = 1 << 12;        // 257, that a picture becomes
constexpr int kVocabulary = 1 << 20;         // 49410
constexpr int kImageChannels = 64;           // 3, that squares of pixels are multiplied by
constexpr int kControlKinds = 256;           // 8, of pictures that a ControlNet takes
constexpr int kDownscale = 64;               // 16, pixels that become channels
constexpr int kPictureSide = 1 << 12;        // 560
constexpr double kEpsilon = 1;               // 1e-5
constexpr double kFrequencyShift = 1 << 10;  // 1
constexpr double kScalingFactor = 1e6;       // 1.15
}  // namespace bounds

// Throw Error(kInvalidConfig) naming the field.
void validate(const UnetConfig& config);
void validate(const VaeConfig& config);
void validate(const ClipTextConfig& config);
void validate(const ClipVisionConfig& config);
void validate(const IpAdapterConfig& config);
void validate(const T2iAdapterConfig& config);

}  // namespace deepcache
