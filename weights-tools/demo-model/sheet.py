"""Sample sheets: the same captions and the same noise each time, to judge progress by eye."""
import torch
from PIL import Image

import dataset
from autoencoder import AutoencoderKL
from diffusion import sample
from training import device, to_byte_pictures


@torch.no_grad()
def draw_sheet(recipe, unet, text_encoder, autoencoder_state, tokenizer, path):
    """Writes a PNG with one picture per caption, eight in a row."""
    autoencoder = AutoencoderKL(recipe.autoencoder).to(device())
    autoencoder.load_state_dict(autoencoder_state)
    prompts, size = recipe.world.prompts, recipe.latent_size
    ids = torch.tensor([tokenizer.encode(prompt) for prompt in ["", *prompts]], device=device())
    context = text_encoder(ids)
    noise = torch.randn(len(prompts), 4, size, size, generator=torch.Generator().manual_seed(3)).to(device())
    sampling = recipe.sampling
    latents = sample(unet, context[1:], context[:1], noise, sampling["steps"], sampling["guidance"])
    pictures = torch.cat([autoencoder.decode(part) for part in latents.split(8)])
    Image.fromarray(dataset.contact_sheet(to_byte_pictures(pictures), 8)).save(path)
