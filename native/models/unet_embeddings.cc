#include "unet_embeddings.h"

#include <map>

#include "bounds.h"
#include "config.h"
#include "unet_config.h"

namespace deepcache {
namespace {

void set_classes(const ConfigReader& in, const UnetConfig& config, UnetEmbeddings& out) {
  const char* field = "class_embed_type";
  in.only(field, {"timestep", "identity", "projection", "simple_projection"});
  const std::string type = in.string(field, "");
  const char* input = "projection_class_embeddings_input_dim";
  if (type.empty() && in.has("num_class_embeds")) {
    out.classes = UnetClasses::table;
    out.class_count = in.integer("num_class_embeds");
  } else if (type == "timestep") {
    out.classes = UnetClasses::timestep;
  } else if (type == "identity") {
    out.classes = UnetClasses::identity;
    out.class_width = config.time_width();
  } else if (!type.empty()) {
    out.classes = type == "projection" ? UnetClasses::projection : UnetClasses::simple_projection;
    out.class_width = in.integer(input);
  }
  out.classes_join = in.boolean("class_embeddings_concat", false);
  if (out.classes_join && out.classes == UnetClasses::none)
    in.fail("has \"class_embeddings_concat\" without a class embedding");
}

}  // namespace

Activation parse_activation(const ConfigReader& in, const char* field, Activation fallback) {
  in.only(field, {"silu", "swish", "mish", "gelu"});
  const std::string name = in.string(field, "");
  return name.empty()     ? fallback
         : name == "mish" ? Activation::mish
         : name == "gelu" ? Activation::gelu
                          : Activation::silu;
}

void set_unet_embeddings(const ConfigReader& in, UnetConfig& config) {
  if (config.takes_videos())
    for (const char* field :
         {"class_embed_type", "num_class_embeds", "encoder_hid_dim", "encoder_hid_dim_type",
          "time_embedding_dim", "time_embedding_act_fn", "timestep_post_act", "addition_embed_type",
          "class_embeddings_concat"})
      in.never(field);
  in.only("time_embedding_type", {"positional", "fourier"});
  UnetEmbeddings& out = config.embeddings;
  out.fourier = in.string("time_embedding_type", "positional") == "fourier";
  if (in.has("time_embedding_dim"))
    out.time_width = in.integer("time_embedding_dim", 0, 1, bounds::kAddedWidth);
  if (out.fourier && config.time_width() % 2) in.fail("has an odd \"time_embedding_dim\"");
  out.timestep_post = parse_activation(in, "timestep_post_act", Activation::none);
  out.time_act = parse_activation(in, "time_embedding_act_fn", Activation::none);
  set_classes(in, config, out);

  static const std::map<std::string, UnetAddition> kAdditions = {
      {"text", UnetAddition::text},
      {"text_image", UnetAddition::text_image},
      {"image", UnetAddition::image},
      {"text_time", UnetAddition::text_time},
  };
  in.only("addition_embed_type", {"text", "text_image", "image", "text_time"});
  if (in.has("addition_embed_type"))
    out.addition = kAdditions.at(in.string("addition_embed_type", ""));
  if (out.classes_join && out.addition != UnetAddition::none)
    in.fail(
        "has \"class_embeddings_concat\" beside \"addition_embed_type\", which then has not its "
        "width");
  out.addition_heads = in.integer("addition_embed_type_num_heads", 64);

  static const std::map<std::string, UnetContexts> kContexts = {
      {"text_proj", UnetContexts::text_proj},
      {"text_image_proj", UnetContexts::text_image_proj},
      {"image_proj", UnetContexts::image_proj},
  };
  in.only("encoder_hid_dim_type", {"text_proj", "text_image_proj", "image_proj"});
  // diffusers: a width alone means a projection of the text.
  if (in.has("encoder_hid_dim")) {
    out.encoder_width = in.integer("encoder_hid_dim", 0, 1, bounds::kContextWidth);
    out.contexts = kContexts.at(in.string("encoder_hid_dim_type", "text_proj"));
  } else if (in.has("encoder_hid_dim_type")) {
    in.fail("has \"encoder_hid_dim_type\" without \"encoder_hid_dim\"");
  }
  if (out.addition == UnetAddition::image && !out.encoder_width)
    in.fail("lacks \"encoder_hid_dim\", which \"addition_embed_type\": \"image\" needs");
}

}  // namespace deepcache
