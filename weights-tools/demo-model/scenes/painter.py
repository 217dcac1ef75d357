"""Draws a scene of the larger world: background, then the objects from the sky to the front."""
import random

import objects
from background import jitter
from canvas import CELL, Canvas, mix
from painter import SHADOW, SIZE_FACTOR
from scene import COLORS
from scenes.background import draw_background
from scenes.scene import ROWS
from scenes.textures import second_color, textured

EXTENT = 2
POSITION_X = {"left": 6 * CELL, "center": 16 * CELL, "right": 26 * CELL}
FOOT = {"sky": 5, "back": 20, "front": 30}  # in cells
RAISED = {"fish": 1, "boat": 0.5}  # how much higher than the row's foot, in cells
REACH = 0.26, 0.55, 0.42  # how far a drawing goes to the sides, up and down from its foot, in units


def draw_object(canvas, thing, rng):
    kind, x = thing["kind"], POSITION_X[thing["position"]]
    y = (FOOT[thing["row"]] - RAISED.get(kind, 0)) * CELL
    color = jitter(COLORS[thing["color"]], rng)
    if kind in SHADOW:
        shadow = mix(canvas.pixel(x, y + 0.01), (20, 30, 50), 0.3)
        canvas.ellipse(x + 0.02, y, SHADOW[kind] * SIZE_FACTOR, 0.024, shadow, raw=True)

    def draw(shade):
        getattr(objects, kind)(canvas, x, y, SIZE_FACTOR, shade)

    if not thing["texture"]:
        return draw(color)
    side, up, down = REACH
    return textured(canvas, thing["texture"], (x - side, y - up, x + side, y + down), draw, color, second_color(color))


def draw_scene(scene, seed):
    """scene: see scene.py. Returns uint8 [256, 256, 3], the same for the same seed."""
    rng = random.Random(seed)
    canvas = Canvas(scene["sky"], EXTENT)
    draw_background(canvas, scene, rng)
    for thing in sorted(scene["objects"], key=lambda thing: ROWS.index(thing["row"])):
        draw_object(canvas, thing, rng)
    return canvas.picture()
