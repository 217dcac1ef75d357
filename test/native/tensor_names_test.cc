#include "runtime/tensor_names.h"

#include "runtime/error.h"
#include "test.h"

using namespace deepcache;

TEST(tensor_names_former) {
  const auto check = [](const std::string& present, const std::string& former) {
    CHECK_EQ(former_name(present), former);
  };
  const std::string module = "decoder.mid_block.attentions.0.";
  check(module + "to_q.weight", module + "query.weight");
  check(module + "to_k.bias", module + "key.bias");
  check(module + "to_v.weight", module + "value.weight");
  check(module + "to_out.0.bias", module + "proj_attn.bias");
  for (const char* same :
       {"conv_in.weight", "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight",
        "attentions.x.to_q.weight", "to_q.weight", "myattentions.0.to_q.weight"})
    check(same, same);
}

TEST(tensor_names_wrapped) {
  const auto check = [](const std::string& stored, const std::string& plain) {
    CHECK_EQ(plain_name(stored), plain);
  };
  for (const char* wrapper : {"module.", "_orig_mod.", "model.", "_orig_mod.module.",
                              "module._orig_mod.", "model.unet._orig_mod.", "vae.module."})
    check(wrapper + std::string("conv_in.weight"), "conv_in.weight");
  check("down_blocks.0._orig_mod.resnets.1._orig_mod.conv1.weight",
        "down_blocks.0.resnets.1.conv1.weight");
  for (const char* same : {"conv_in.weight", "my_orig_mod.weight", "submodule.weight",
                           "encoder.module.weight", "modular.weight"})
    check(same, same);
}

TEST(tensor_names_found) {
  TensorNames names("file");
  for (const char* name :
       {"module.conv_in.weight", "conv_out.weight", "embeddings.token_embedding.weight",
        "vision_model.post_layernorm.bias", "_orig_mod.mid.attentions.0.query.weight",
        "model.diffusion_model.out.0.bias", "position_ids"})
    names.add(name);
  const auto check = [&](const std::string& name, const std::string& stored) {
    const std::string* found = names.find(name);
    CHECK_EQ(found ? *found : "none", stored);
  };
  check("conv_in.weight", "module.conv_in.weight");
  check("conv_out.weight", "conv_out.weight");
  check("text_model.embeddings.token_embedding.weight", "embeddings.token_embedding.weight");
  check("vision_model.post_layernorm.bias", "vision_model.post_layernorm.bias");
  check("mid.attentions.0.to_q.weight", "_orig_mod.mid.attentions.0.query.weight");
  check("model.diffusion_model.out.0.bias", "model.diffusion_model.out.0.bias");
  check("conv_in.bias", "none");
  check("text_model.post_layernorm.bias", "none");
}

TEST(tensor_names_ambiguous) {
  for (const char* other : {"module.a.weight", "_orig_mod.a.weight", "vae.a.weight"}) {
    TensorNames names("file");
    names.add("a.weight");
    names.add(other);
    CHECK_THROWS(names.find("a.weight"), ErrorCode::kInvalidWeights);
  }
  TensorNames names;
  for (const char* name : {"text_model.a", "a"}) names.add(name);
  CHECK_THROWS(names.find("text_model.a"), ErrorCode::kInvalidWeights);
  CHECK_EQ(*names.find("a"), "a");
}
