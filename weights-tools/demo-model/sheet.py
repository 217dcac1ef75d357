"""Sample sheets: the same captions and the same noise each time, to judge progress by eye."""
import torch
from PIL import Image

import dataset
from autoencoder import AutoencoderKL
from config import AUTOENCODER, SAMPLING
from diffusion import sample
from training import device, to_byte_pictures

PROMPTS = [
    "a red barn under a blue sky", "a blue house in the snow at night with a yellow moon",
    "a yellow boat on the sea at sunset", "a black cat in a meadow under a blue sky",
    "a pink flower in the desert on a sunny day", "a purple balloon at sunset",
    "a white car in the snow at night", "an orange fish on the water under a blue sky",
    "a green tree on the left and an orange house on the right under a blue sky",
    "a red mushroom on green grass with mountains", "a pink house by the sea at sunset with a red sun",
    "a red kite in a meadow under a blue sky with clouds",
    "a blue car to the right of a yellow flower in the desert", "an orange cat at night under the stars",
    "a white boat and a red balloon on the right in the sky on the sea", "a purple tree in the snow",
]


@torch.no_grad()
def draw_sheet(unet, text_encoder, autoencoder_state, tokenizer, path):
    """Writes a PNG with one picture per caption, eight in a row."""
    autoencoder = AutoencoderKL(AUTOENCODER).to(device())
    autoencoder.load_state_dict(autoencoder_state)
    ids = torch.tensor([tokenizer.encode(prompt) for prompt in [""] + PROMPTS], device=device())
    context = text_encoder(ids)
    noise = torch.randn(len(PROMPTS), 4, 16, 16, generator=torch.Generator().manual_seed(3)).to(device())
    latents = sample(unet, context[1:], context[:1], noise, SAMPLING["steps"], SAMPLING["guidance"])
    pictures = torch.cat([autoencoder.decode(part) for part in latents.split(8)])
    Image.fromarray(dataset.contact_sheet(to_byte_pictures(pictures), 8)).save(path)
