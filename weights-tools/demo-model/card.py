"""The model card that is exported with the model."""
import json
import os
import platform
from datetime import datetime, timedelta

import torch


def last_value(path, key):
    """The last value logged under `key`, or None."""
    if not os.path.exists(path):
        return None
    with open(path) as file:
        values = [entry[key] for entry in map(json.loads, file) if key in entry]
    return values[-1] if values else None


def minutes(path):
    """Minutes between the first and the last logged step of a training (of less than a day), or None."""
    if not os.path.exists(path):
        return None
    with open(path) as file:
        steps = [entry for entry in map(json.loads, file) if "progress" in entry]
    times = [datetime.strptime(entry["at"], "%H:%M:%S") for entry in steps]
    return round((times[-1] - times[0]) % timedelta(days=1) / timedelta(minutes=1)) if times else None


def processor():
    """The processor's name, as the system gives it."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        if names:
            return names[0]
    return platform.machine()


def rounded(value, digits):
    """A logged value for people; it may be missing."""
    return value if value is None else round(value, digits)


def training(facts, work):
    """The card's part on the training, as Markdown. facts: see text()."""
    autoencoder_log, unet_log = os.path.join(work, "autoencoder.jsonl"), os.path.join(work, "unet.jsonl")
    psnr, loss = last_value(autoencoder_log, "psnr"), last_value(unet_log, "held_out_loss")
    autoencoder_pictures = last_value(autoencoder_log, "seen")
    return f"""- U-Net and text encoder: {facts["pictures"]:,} pictures in {facts["steps"]:,} steps, {minutes(unet_log)} minutes
  (v-prediction, min-SNR weights, averaged weights), weighted loss on held-out pictures {rounded(loss, 4)}.
- Autoencoder: {autoencoder_pictures:,} pictures and crops, {minutes(autoencoder_log)} minutes,
  {rounded(psnr, 1)} dB PSNR on drawings.
- Machine: {processor()}, {facts["threads"]} thread{"" if facts["threads"] == 1 else "s"} shared with other work, PyTorch {torch.__version__}."""


def text(recipe, facts, work):
    """facts: pictures, steps, commit, warm_start, threads. Returns the card as Markdown."""
    return recipe.world.card(recipe, facts, training(facts, work))
