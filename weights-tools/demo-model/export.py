"""Writes the model as a diffusers directory: configs and float16 safetensors."""
import json
import os

import torch

from config import SCHEDULE
from safetensors_file import read_safetensors, write_safetensors
from tokenizer import carry_embeddings, carry_positions, read_ids

FILES = {
    "unet": "unet/diffusion_pytorch_model.safetensors", "vae": "vae/diffusion_pytorch_model.safetensors",
    "text_encoder": "text_encoder/model.safetensors",
}
VERSION = "0.24.0"  # the diffusers whose configs these are


def write_json(content, *path):
    os.makedirs(os.path.join(*path[:-1]), exist_ok=True)
    with open(os.path.join(*path), "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")


def pipeline_config():
    return {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": VERSION,
        "feature_extractor": [None, None], "image_encoder": [None, None],
        "requires_safety_checker": False, "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def scheduler_config():
    return {
        "_class_name": "DDIMScheduler", "_diffusers_version": VERSION, **SCHEDULE, "clip_sample": False,
        "prediction_type": "v_prediction", "set_alpha_to_one": False, "steps_offset": 1,
        "timestep_spacing": "leading", "trained_betas": None,
    }


def generation_config(sampling):
    return {"num_inference_steps": sampling["steps"], "guidance_scale": sampling["guidance"]}


def unet_config(unet, size):
    """size: of the latents."""
    levels = len(unet["channels"])
    return {
        "_class_name": "UNet2DConditionModel", "_diffusers_version": VERSION, "act_fn": "silu",
        # Despite its name diffusers reads this one as the number of heads.
        "attention_head_dim": [width // unet["head_channels"] for width in unet["channels"]],
        "block_out_channels": list(unet["channels"]), "center_input_sample": False,
        "cross_attention_dim": unet["context_channels"],
        "down_block_types": ["CrossAttnDownBlock2D"] * (levels - 1) + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (levels - 1),
        "downsample_padding": 1, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4,
        "layers_per_block": unet["layers"], "mid_block_scale_factor": 1, "norm_eps": 1e-05,
        "norm_num_groups": unet["groups"], "out_channels": 4, "sample_size": size,
    }


def autoencoder_config(autoencoder, size):
    """size: of the pictures."""
    levels = len(autoencoder["channels"])
    return {
        "_class_name": "AutoencoderKL", "_diffusers_version": VERSION, "act_fn": "silu",
        "block_out_channels": list(autoencoder["channels"]), "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels, "in_channels": 3, "out_channels": 3, "latent_channels": 4,
        "layers_per_block": autoencoder["layers"], "norm_num_groups": autoencoder["groups"], "sample_size": size,
        "scaling_factor": 1.0,
    }


def text_encoder_config(text_encoder, vocabulary):
    width = text_encoder["width"]
    return {
        "architectures": ["CLIPTextModel"], "attention_dropout": 0.0, "bos_token_id": vocabulary - 2, "dropout": 0.0,
        "eos_token_id": vocabulary - 1, "hidden_act": "quick_gelu", "hidden_size": width, "initializer_factor": 1.0,
        "initializer_range": 0.02, "intermediate_size": 4 * width, "layer_norm_eps": 1e-05,
        "max_position_embeddings": text_encoder["max_tokens"], "model_type": "clip_text_model",
        "num_attention_heads": text_encoder["heads"], "num_hidden_layers": text_encoder["layers"],
        "pad_token_id": vocabulary - 1, "projection_dim": width, "torch_dtype": "float16",
        "transformers_version": "4.35.2", "vocab_size": vocabulary,
    }


def export(recipe, folder, states, tokenizer, card):
    """states: {"unet", "text_encoder", "vae"} to state dicts; card: text of the folder's README.md."""
    write_json(pipeline_config(), folder, "model_index.json")
    write_json(generation_config(recipe.sampling), folder, "generation_config.json")
    write_json(scheduler_config(), folder, "scheduler", "scheduler_config.json")
    write_json(unet_config(recipe.unet, recipe.latent_size), folder, "unet", "config.json")
    write_json(autoencoder_config(recipe.autoencoder, recipe.world.size), folder, "vae", "config.json")
    write_json(text_encoder_config(recipe.text_encoder, len(tokenizer)), folder, "text_encoder", "config.json")
    for name, path in FILES.items():
        write_safetensors(states[name], os.path.join(folder, path))
    tokenizer.save(os.path.join(folder, "tokenizer"))
    with open(os.path.join(folder, "README.md"), "w") as file:
        file.write(card)
    sizes = [os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names]
    return sum(sizes)


def load_states(path, tokenizer):
    """The weights of an exported folder, or of a torch file with the same names: {"unet", "text_encoder", "vae"}.

    A folder's token embeddings are put in the order of `tokenizer`, and its position embeddings get as many rows as
    captions have tokens.
    """
    if not os.path.isdir(path):
        return torch.load(path, map_location="cpu")
    states = {name: read_safetensors(os.path.join(path, file)) for name, file in FILES.items()}
    key, text = "text_model.embeddings.token_embedding.weight", states["text_encoder"]
    text[key] = carry_embeddings(text[key], read_ids(os.path.join(path, "tokenizer")), tokenizer)
    key = "text_model.embeddings.position_embedding.weight"
    text[key] = carry_positions(text[key], tokenizer.max_tokens)
    return states
