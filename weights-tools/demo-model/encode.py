"""Turns the pictures into latents, once, so that the U-Net's training never sees a pixel."""
import os

import numpy as np
import torch

import dataset
from autoencoder import AutoencoderKL
from training import device, reduced_precision, to_float_pictures


def normalise(model, mean, std):
    """Folds z' = (z - mean) / std, per channel, into quant_conv and its inverse into post_quant_conv.

    The latents then have mean 0 and standard deviation 1, and the model's scaling_factor is 1.
    """
    into, back = model.quant_conv, model.post_quant_conv
    with torch.no_grad():
        into.weight[:4] /= std[:, None, None, None]
        into.bias[:4] = (into.bias[:4] - mean) / std
        into.bias[4:] -= 2 * torch.log(std)
        back.bias += back.weight[:, :, 0, 0] @ mean
        back.weight *= std[None, :, None, None]


@torch.no_grad()
def encode_all(model, pictures):
    """Returns float16 [pictures, 8, size / 8, size / 8]: mean and log-variance."""
    count, size = pictures.shape[0], pictures.shape[1] // 8
    latents = torch.empty(count, 8, size, size, dtype=torch.float16)
    for i in range(0, count, 64):
        x = to_float_pictures(np.array(pictures[i:i + 64])).contiguous(memory_format=torch.channels_last)
        with reduced_precision():
            latents[i:i + 64] = torch.cat(model.encode(x), 1).half().cpu()
    return latents


def encode(recipe, work):
    """Reads pictures.npy and autoencoder.ckpt; writes latents.pt: the latents and the normalised autoencoder."""
    path = os.path.join(work, "latents.pt")
    if os.path.exists(path):
        return
    model = AutoencoderKL(recipe.autoencoder).to(device(), memory_format=torch.channels_last)
    averaged = torch.load(os.path.join(work, "autoencoder.ckpt"), map_location="cpu")["averaged"]
    model.load_state_dict(averaged["autoencoder"])
    pictures = dataset.load(os.path.join(work, "pictures.npy"))
    latents = encode_all(model, pictures)
    means = latents[:, :4].float()
    mean, std = means.mean((0, 2, 3)), means.std((0, 2, 3))
    latents[:, :4] = ((means - mean[None, :, None, None]) / std[None, :, None, None]).half()
    latents[:, 4:] -= 2 * torch.log(std)[None, :, None, None].half()
    normalise(model, mean.to(device()), std.to(device()))
    state = {"latents": latents, "autoencoder": {key: value.cpu() for key, value in model.state_dict().items()}}
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)
    print("latents: mean", mean.tolist(), "std", std.tolist(), flush=True)
