#pragma once

// What conditions a U-Net besides its sample, by diffusers' fields: which embeddings there are, and
// how wide.

#include <cstdint>

#include "../runtime/ops/common.h"

namespace deepcache {

class ConfigReader;
struct UnetConfig;

// class_embed_type; with num_class_embeds a table.
enum class UnetClasses : uint8_t { none, table, timestep, identity, projection, simple_projection };

// addition_embed_type: what joins the time embedding.
enum class UnetAddition : uint8_t { none, text, text_image, image, text_time };

// encoder_hid_dim_type: what cross-attention reads of the text and the image.
enum class UnetContexts : uint8_t { text, text_proj, text_image_proj, image_proj };

struct UnetEmbeddings {
  UnetClasses classes = UnetClasses::none;
  int class_count = 0;        // num_class_embeds
  int class_width = 1;        // of a label: a number, or a vector
  bool classes_join = false;  // class_embeddings_concat: behind the time embedding, not added to it

  UnetAddition addition = UnetAddition::none;
  int addition_heads = 64;  // addition_embed_type_num_heads

  UnetContexts contexts = UnetContexts::text;
  int encoder_width = 0;  // encoder_hid_dim

  bool fourier = false;                         // time_embedding_type
  int time_width = 0;                           // time_embedding_dim; 0: the type's own
  Activation timestep_post = Activation::none;  // timestep_post_act
  Activation time_act = Activation::none;       // time_embedding_act_fn

  bool reads_image() const {
    return addition == UnetAddition::text_image || addition == UnetAddition::image ||
           contexts == UnetContexts::text_image_proj || contexts == UnetContexts::image_proj;
  }
  bool reads_text() const { return contexts != UnetContexts::image_proj; }
  bool operator==(const UnetEmbeddings&) const = default;
};

// Throws Error(kInvalidConfig) or Error(kUnsupported) naming the field. After the channels are
// read.
void set_unet_embeddings(const ConfigReader& in, UnetConfig& config);
// Of a field that names one.
Activation parse_activation(const ConfigReader& in, const char* field, Activation fallback);

}  // namespace deepcache
