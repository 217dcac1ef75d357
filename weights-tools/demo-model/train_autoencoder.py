"""Trains the autoencoder on the drawn pictures.

Loss: absolute and squared error, weighted towards places of local contrast (objects rather than sky), the error of
the pictures' gradients (sharp edges), and a little KL divergence that keeps the latents near a normal distribution.
"""
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import dataset
from autoencoder import AutoencoderKL
from training import Budget, Trainer, device, load_matching, reduced_precision, to_byte_pictures, to_float_pictures

CROP = 64  # early batches are crops with much in them; the size of the whole picture comes in the last part
WHOLE_FROM = 0.6


def sample_batch(pictures, whole, rng, batch, first_held_out):
    """Whole pictures, or three times as many crops: of two random ones the one with more contrast."""
    if whole:
        return np.stack([pictures[i] for i in rng.randint(0, first_held_out, batch)])
    crops, last = [], (pictures.shape[1] - CROP) // 8
    for i in rng.randint(0, first_held_out, 3 * batch):
        corners = 8 * rng.randint(0, last + 1, (2, 2))
        pair = [pictures[i, y:y + CROP, x:x + CROP] for y, x in corners]
        crops.append(max(pair, key=lambda crop: crop[::3, ::3].std()))
    return np.stack(crops)


def differences(x):
    return x[..., 1:] - x[..., :-1], x[:, :, 1:] - x[:, :, :-1]


def contrast_weight(x):
    """[B, 1, H, W], 1 in flat places and more where there is detail."""
    def resize(y):
        return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)
    detail = (x - resize(F.avg_pool2d(x, 16))).abs().mean(1, keepdim=True)
    return 1 + 8 * resize(F.avg_pool2d(detail, 8))


def loss_terms(y, x, mean, log_variance, kl_weight):
    """Returns (loss, reconstruction L1, KL divergence)."""
    with torch.no_grad():
        weight = contrast_weight(x)
    absolute = ((y - x).abs() * weight).mean()
    squared = ((y - x).pow(2) * weight).mean()
    edges = sum((a - b).abs().mean() for a, b in zip(differences(y), differences(x)))
    kl = 0.5 * (mean * mean + log_variance.exp() - 1 - log_variance).mean()
    return absolute + 1.5 * squared + edges + kl_weight * kl, absolute.detach(), kl.detach()


@torch.no_grad()
def evaluate(recipe, state, pictures, sheet_path):
    """PSNR on held-out pictures with averaged weights; also draws originals beside reconstructions."""
    model, first = AutoencoderKL(recipe.autoencoder).to(device()), recipe.pictures - recipe.validation
    model.load_state_dict(state)
    x = to_float_pictures(np.array(pictures[first:first + 32]))
    y = model.decode(model.encode(x)[0]).clamp(-1, 1)
    psnr = -10 * torch.log10(((x - y) / 2).pow(2).mean((1, 2, 3)))
    pairs = np.stack([to_byte_pictures(x), to_byte_pictures(y)], 1).reshape(-1, *pictures.shape[1:])
    Image.fromarray(dataset.contact_sheet(pairs[:32], 8)).save(sheet_path)
    return float(psnr.mean())


def train(recipe, work, deadline, warm_start):
    """work: working directory; deadline: seconds since the epoch or None; warm_start: state dict or None."""
    first_held_out = recipe.pictures - recipe.validation
    options, checkpoint = recipe.autoencoder_training, os.path.join(work, "autoencoder.ckpt")
    pictures = dataset.load(os.path.join(work, "pictures.npy"))
    torch.manual_seed(0)
    model = AutoencoderKL(recipe.autoencoder).to(device(), memory_format=torch.channels_last)
    if warm_start:
        print("autoencoder: warm start,", load_matching(model, warm_start), "tensors")
    trainer = Trainer({"autoencoder": model}, options, os.path.join(work, "autoencoder.jsonl"))
    started = trainer.load(checkpoint) if os.path.exists(checkpoint) else None
    budget = Budget(options["pictures"], deadline, started)
    evaluated = time.time()
    while True:
        progress = budget.progress(trainer.seen)
        if progress >= 1:
            break
        rng = np.random.RandomState(trainer.step_count)
        x = to_float_pictures(sample_batch(pictures, progress > WHOLE_FROM, rng, options["batch"], first_held_out))
        x = x.contiguous(memory_format=torch.channels_last)
        generator = torch.Generator().manual_seed(trainer.step_count)
        noise = torch.randn(len(x), 4, x.shape[2] // 8, x.shape[3] // 8, generator=generator).to(device())
        with reduced_precision():
            y, mean, log_variance = model(x, noise)
        loss, absolute, kl = loss_terms(y.float(), x, mean.float(), log_variance.float(), options["kl_weight"])
        norm = trainer.step(loss, len(x), progress)
        if trainer.step_count % 50 == 0:
            trainer.log(l1=float(absolute), kl=float(kl), gradient=norm, progress=progress)
        if time.time() - evaluated > 240:
            trainer.save(checkpoint, budget.started)
            trainer.log(psnr=evaluate(recipe, trainer.averaged()["autoencoder"], pictures, work + "/autoencoder.png"))
            evaluated = time.time()
    trainer.save(checkpoint, budget.started)
    trainer.log(psnr=evaluate(recipe, trainer.averaged()["autoencoder"], pictures, work + "/autoencoder.png"))
