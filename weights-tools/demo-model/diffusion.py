"""The diffusion process: noise schedule, v-prediction, loss weights, and a DDIM sampler to look at results.

x_t = sqrt(a) x_0 + sqrt(1 - a) e,  v = sqrt(a) e - sqrt(1 - a) x_0   (Salimans and Ho 2022), a = alphas_cumprod[t].
"""
import torch

from config import SCHEDULE
from training import device, reduced_precision

STEPS = SCHEDULE["num_train_timesteps"]


def alphas_cumprod():
    betas = torch.linspace(SCHEDULE["beta_start"], SCHEDULE["beta_end"], STEPS)
    return torch.cumprod(1 - betas, 0).to(device())


def add_noise(latents, noise, timesteps):
    """Returns (noisy latents, the v to predict), each shaped like latents [B, 4, H, W]."""
    a = alphas_cumprod()[timesteps].view(-1, 1, 1, 1)
    return a.sqrt() * latents + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * latents


def loss_weight(timesteps):
    """Min-SNR weights for v-prediction: nearly clean pictures, whose rest is invisible noise, count less."""
    a = alphas_cumprod()[timesteps]
    snr = a / (1 - a)
    return snr.clamp(max=5.0) / (snr + 1) + 1 / (snr + 1)


@torch.no_grad()
def sample(unet, context, empty_context, noise, steps, guidance_scale):
    """DDIM with "leading" timesteps and offset 1, classifier-free guidance. Returns latents shaped like noise."""
    alphas, x, stride = alphas_cumprod(), noise, STEPS // steps
    contexts = torch.cat([empty_context.expand_as(context), context])
    for t in reversed([i * stride + 1 for i in range(steps)]):
        a, previous = alphas[t], alphas[max(t - stride, 0)]
        timesteps = torch.full((2 * len(x),), t, device=x.device)
        with reduced_precision():
            unconditional, conditional = unet(torch.cat([x, x]), timesteps, contexts).float().chunk(2)
        v = unconditional + guidance_scale * (conditional - unconditional)
        x0, e = a.sqrt() * x - (1 - a).sqrt() * v, a.sqrt() * v + (1 - a).sqrt() * x
        x = previous.sqrt() * x0 + (1 - previous).sqrt() * e
    return x
