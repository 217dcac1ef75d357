"""The card of the model that draws the larger world."""
from demo_card import names
from scene import COLORS


def text(recipe, facts, training):
    """training: the card's lines on how the weights came about. Returns the card as Markdown."""
    size, sampling, max_tokens = recipe.world.size, recipe.sampling, recipe.text_encoder["max_tokens"]
    start = "All weights started at random."
    if facts["warm_start"]:
        start = ("Autoencoder, U-Net and text encoder started from another export: the demo model's, which has the same\n"
                 "  networks, or an earlier one of this model. What that was given is not counted below.")
    return f"""# Scenes

A very small text-to-image model: the demo model's networks, trained on larger drawings with more in them. It exists to
measure caches with a model that has more to do than the demo model; it knows nothing but its little world.

- Pictures: {size}x{size}, {sampling["steps"]} DDIM steps, guidance scale {sampling["guidance"]}. Other sizes were never seen in training.
- Format: a diffusers directory, float16 safetensors.

## What it is asked to draw

Two to six things in two rows and in the sky, each in one of three columns, for example
`{recipe.world.prompts[0]}`,
`{recipe.world.prompts[2]}`.

- Objects: {names()}
- Colours: {", ".join(COLORS)}. Textures: striped, dotted, checked.
- Places: in front, in the back, in the sky, each on the left, in the middle or on the right; left of, right of, behind,
  in front of, above, below.
- Skies: blue sky, sunset, night; with a sun, a moon, clouds. Grounds: meadow, snow, desert, sea behind a beach, bricks,
  tiles, a field of furrows; with mountains.

The whole grammar is in `weights-tools/demo-model/scenes/captions.py`.

## How it was trained

- Data: drawn by `weights-tools/demo-model`, recipe `scenes`; no photographs, no other data set. Commit {facts["commit"]}.
- {start}
{training}

## What it can't do

Anything outside the list above. Captions are cut after {max_tokens - 2} tokens. What it gets right of what it is asked for depends
on how long it was trained: look at its pictures.
"""
