"""What there is to draw and to tell of: a model's little world, behind one face."""
from dataclasses import dataclass
from typing import Callable

import canvas
import captions
import demo_card
import painter
import scene
import scenes.captions
import scenes.card
import scenes.painter
import scenes.scene


@dataclass(frozen=True)
class World:
    size: int  # pixels in width and height
    sample_scene: Callable  # random.Random to a scene
    caption: Callable  # (scene, random.Random, filler_probability=0.0) to a line of text
    draw_scene: Callable  # (scene, seed) to uint8 [size, size, 3]
    prompts: tuple  # for the sample sheets
    card: Callable  # (recipe, facts, lines on the training) to the model card; facts: see card.py


DEMO = World(canvas.SIZE, scene.sample_scene, captions.caption, painter.draw_scene, (
    "a red barn under a blue sky", "a blue house in the snow at night with a yellow moon",
    "a yellow boat on the sea at sunset", "a black cat in a meadow under a blue sky",
    "a pink flower in the desert on a sunny day", "a purple balloon at sunset",
    "a white car in the snow at night", "an orange fish on the water under a blue sky",
    "a green tree on the left and an orange house on the right under a blue sky",
    "a red mushroom on green grass with mountains", "a pink house by the sea at sunset with a red sun",
    "a red kite in a meadow under a blue sky with clouds",
    "a blue car to the right of a yellow flower in the desert", "an orange cat at night under the stars",
    "a white boat and a red balloon on the right in the sky on the sea", "a purple tree in the snow",
), demo_card.text)

SCENES = World(
    scenes.painter.EXTENT * canvas.SIZE, scenes.scene.sample_scene, scenes.captions.caption, scenes.painter.draw_scene, (
        "a red barn in the back on the left and a blue car in front on the right under a blue sky in a meadow",
        "a striped yellow tree behind a white cat on the left and a black house in front on the right, in the snow at night",
        "a red kite above a green barn in the back in the middle at sunset, on red bricks",
        "a purple boat in the back on the right, a pink flower left of a dotted red mushroom in front, by the sea under a "
        "blue sky with clouds",
        "a checked blue house in front in the middle, an orange cat in the back on the left and a white balloon in the sky "
        "on the right, in the desert on a sunny day",
        "a green tree to the left of a red house in the background and a yellow car in the foreground in the middle, on a "
        "checked floor at night with a white moon",
        "a striped pink balloon in the sky on the left and a yellow flower in front of a black barn on the right in a brown "
        "field at sunset with a red sun",
        "a white fish in the background on the left, an orange cat in the foreground on the left, a purple tree in front "
        "on the right and a red kite in the sky in the middle, at the beach on a clear day",
    ), scenes.card.text)
