"""The model card that is exported with the model."""
import json
import os
import platform
from datetime import datetime, timedelta

import torch

import captions
from canvas import SIZE
from config import SAMPLING, TEXT_ENCODER
from scene import COLORS


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


def names():
    return ", ".join(sorted({name for words in captions.NAMES.values() for name in words}))


def text(facts, work):
    """facts: pictures, steps, commit, warm_start, threads. Returns the card as Markdown."""
    autoencoder_log, unet_log = os.path.join(work, "autoencoder.jsonl"), os.path.join(work, "unet.jsonl")
    psnr, loss = last_value(autoencoder_log, "psnr"), last_value(unet_log, "held_out_loss")
    autoencoder_pictures = last_value(autoencoder_log, "seen")
    warm = ("Autoencoder, U-Net and text encoder started from this model's previous export, and so on back to weights\n"
            "  that an earlier prototype of these scripts had trained on the same kind of drawings; those first weights\n"
            "  are not in the repository, and what they were given is not counted below.")
    start = warm if facts["warm_start"] else "All weights started at random."
    return f"""# Demo model

A very small text-to-image model of Stable Diffusion's structure (CLIP text encoder, four-level U-Net with cross
attention, KL autoencoder), trained from drawings. It exists so that examples and measurements have a real model
that fits in a package; it knows nothing but its little world.

- Pictures: {SIZE}x{SIZE}, {SAMPLING["steps"]} DDIM steps, guidance scale {SAMPLING["guidance"]} (more makes colours heavy and things double). Other
  sizes were never seen in training.
- Format: a diffusers directory, float16 safetensors.

## What it can draw

Postcards: one or two objects on a ground under a sky, for example `a red barn under a blue sky`,
`a yellow boat on the sea at sunset`, `a green tree on the left and an orange house on the right`.

- Objects: {names()}
- Colours: {", ".join(COLORS)}
- Places: on the left, in the middle, on the right, left of, right of.
- Skies: blue sky, sunset, night; with a sun, a moon, clouds. Grounds: meadow, snow, desert, sea; with mountains.

The whole grammar is in `weights-tools/demo-model/captions.py`.

## How it was trained

- Data: drawn by `weights-tools/demo-model`, no photographs, no other data set. Commit {facts["commit"]}.
- {start}
- U-Net and text encoder: {facts["pictures"]:,} pictures in {facts["steps"]:,} steps, {minutes(unet_log)} minutes
  (v-prediction, min-SNR weights, averaged weights), weighted loss on held-out pictures {rounded(loss, 4)}.
- Autoencoder: {autoencoder_pictures:,} pictures and crops, {minutes(autoencoder_log)} minutes,
  {rounded(psnr, 1)} dB PSNR on drawings.
- Machine: {processor()}, {facts["threads"]} thread{"" if facts["threads"] == 1 else "s"} shared with other work, PyTorch {torch.__version__}.

## What it can't do

Anything outside the list above: no people, no text, no numbers of things, no more than two objects. Words it does not
know are mostly ignored. Captions are cut after {TEXT_ENCODER["max_tokens"] - 2} tokens (about 25 words). Everything
has one size, and three places. Small details are soft and thin lines break. A sun or moon may appear twice, or in
another place than asked.
"""
