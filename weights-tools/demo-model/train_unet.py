"""Trains text encoder and U-Net together on the cached latents."""
import os
import random
import time

import torch

from dataset import scene_of
from diffusion import STEPS, add_noise, loss_weight
from sheet import draw_sheet
from text_encoder import CLIPTextModel
from training import Budget, Trainer, device, load_matching, reduced_precision
from unet import UNet2DConditionModel


def build(recipe, vocabulary):
    return {"unet": UNet2DConditionModel(recipe.unet).to(device(), memory_format=torch.channels_last),
            "text_encoder": CLIPTextModel(vocabulary, recipe.text_encoder).to(device())}


class Batches:
    """Batches of latents, captions, noise and timesteps; batch n is the same in every run."""

    def __init__(self, recipe, latents, tokenizer):
        self.world, self.options = recipe.world, recipe.unet_training
        self.latents, self.tokenizer = latents, tokenizer
        self.first_held_out = recipe.pictures - recipe.validation
        self.scenes = [scene_of(self.world, i) for i in range(recipe.pictures)]
        self.empty = tokenizer.encode("")

    def caption_ids(self, index, rng):
        if rng.random() < self.options["caption_drop"]:
            return self.empty  # what classifier-free guidance calls the unconditional prediction
        text = self.world.caption(self.scenes[index], rng, self.options["filler_probability"])
        return self.tokenizer.encode(text)

    def get(self, number, size, held_out=False):
        """Returns latents [B, 4, H, W], token ids, timesteps (spread evenly over the schedule), noise."""
        generator, rng = torch.Generator().manual_seed(number), random.Random(number)
        first, last = (self.first_held_out, len(self.scenes)) if held_out else (0, self.first_held_out)
        indices = torch.randint(first, last, (size,), generator=generator)
        mean, log_variance = self.latents[indices].float().chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn(mean.shape, generator=generator)
        ids = torch.tensor([self.caption_ids(int(i), rng) for i in indices])
        spread = (torch.arange(size) + torch.rand(size, generator=generator)) / size
        timesteps = (spread * STEPS).long().clamp(max=STEPS - 1)
        noise = torch.randn(z.shape, generator=generator)
        return tuple(t.to(device()) for t in (z, ids, timesteps, noise))


def loss_of(modules, batch):
    """Returns (weighted loss, plain squared error of v)."""
    z, ids, timesteps, noise = batch
    x, v = add_noise(z, noise, timesteps)
    with reduced_precision():
        context = modules["text_encoder"](ids)
        predicted = modules["unet"](x.contiguous(memory_format=torch.channels_last), timesteps, context)
    error = (predicted.float() - v).pow(2).mean((1, 2, 3))
    return (loss_weight(timesteps) * error).mean(), error.detach().mean()


def evaluate(recipe, averaged, batches, autoencoder, tokenizer, sheet_path):
    """Weighted loss of the averaged weights on held-out pictures; also draws a sample sheet."""
    modules = build(recipe, len(tokenizer))
    for name, module in modules.items():
        module.load_state_dict(averaged[name])
    with torch.no_grad():
        held_out = [batches.get(i, 64, held_out=True) for i in range(4)]
        loss = sum(float(loss_of(modules, batch)[0]) for batch in held_out) / len(held_out)
    draw_sheet(recipe, modules["unet"], modules["text_encoder"], autoencoder, tokenizer, sheet_path)
    return loss


def train(recipe, work, deadline, tokenizer, warm_start, on_snapshot, snapshot_minutes, compiled=False):
    """warm_start: {"unet": state, "text_encoder": state} or None.

    on_snapshot(averaged weights, autoencoder weights, trainer) is called every `snapshot_minutes` and at the end.
    compiled: run the U-Net through torch.compile. Returns what on_snapshot gets.
    """
    options, checkpoint = recipe.unet_training, os.path.join(work, "unet.ckpt")
    stored = torch.load(os.path.join(work, "latents.pt"), map_location="cpu")
    torch.manual_seed(0)
    modules = build(recipe, len(tokenizer))
    if compiled:
        modules["unet"].forward = torch.compile(modules["unet"].forward)
    for name, state in (warm_start or {}).items():
        print(f"{name}: warm start, {load_matching(modules[name], state)} tensors", flush=True)
    trainer = Trainer(modules, options, os.path.join(work, "unet.jsonl"))
    started = trainer.load(checkpoint) if os.path.exists(checkpoint) else None
    budget = Budget(options["pictures"], deadline, started)
    batches = Batches(recipe, stored["latents"], tokenizer)

    def snapshot():
        trainer.save(checkpoint, budget.started)
        averaged = trainer.averaged()
        loss = evaluate(recipe, averaged, batches, stored["autoencoder"], tokenizer, os.path.join(work, "samples.png"))
        trainer.log(held_out_loss=loss)
        result = averaged, stored["autoencoder"], trainer
        on_snapshot(*result)
        return result

    last_snapshot, total, total_error = time.time(), 0.0, 0.0
    while True:
        progress = budget.progress(trainer.seen)
        if progress >= 1:
            break
        loss, error = loss_of(modules, batches.get(trainer.step_count, options["batch"]))
        norm = trainer.step(loss, options["batch"], progress)
        total, total_error = total + float(loss.detach()), total_error + float(error)
        if trainer.step_count % 50 == 0:
            trainer.log(loss=total / 50, v_error=total_error / 50, gradient=norm, progress=progress,
                        rate=trainer.learning_rate(progress))
            total = total_error = 0.0
        if time.time() - last_snapshot > 60 * snapshot_minutes:
            snapshot()
            last_snapshot = time.time()
    return snapshot()
