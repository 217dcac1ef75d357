"""The demo model's card: what it draws and what it can't."""
import captions
from scene import COLORS


def names():
    return ", ".join(sorted({name for words in captions.NAMES.values() for name in words}))


def text(recipe, facts, training):
    """training: the card's lines on how the weights came about. Returns the card as Markdown."""
    size, sampling, max_tokens = recipe.world.size, recipe.sampling, recipe.text_encoder["max_tokens"]
    warm = ("Autoencoder, U-Net and text encoder started from this model's previous export, and so on back to weights\n"
            "  that an earlier prototype of these scripts had trained on the same kind of drawings; those first weights\n"
            "  are not in the repository, and what they were given is not counted below.")
    start = warm if facts["warm_start"] else "All weights started at random."
    return f"""# Demo model

A very small text-to-image model of Stable Diffusion's structure (CLIP text encoder, four-level U-Net with cross
attention, KL autoencoder), trained from drawings. It exists so that examples and measurements have a real model
that fits in a package; it knows nothing but its little world.

- Pictures: {size}x{size}, {sampling["steps"]} DDIM steps, guidance scale {sampling["guidance"]} (more makes colours heavy and things double). Other
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
{training}

## What it can't do

Anything outside the list above: no people, no text, no numbers of things, no more than two objects. Words it does not
know are mostly ignored. Captions are cut after {max_tokens - 2} tokens (about 25 words). Everything
has one size, and three places. Small details are soft and thin lines break. A sun or moon may appear twice, or in
another place than asked.
"""
