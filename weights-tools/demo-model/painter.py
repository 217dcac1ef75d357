"""Draws a scene: background, then the objects from the sky to the ground."""
import random

import objects
from background import draw_background, jitter
from canvas import CELL, Canvas, mix
from scene import COLORS, SEA_KINDS, SKY_KINDS

POSITION_X = {"left": 4 * CELL, "center": 8 * CELL, "right": 12 * CELL}
SIZE_FACTOR = 1.05
SHADOW = {"house": 0.19, "barn": 0.2, "tree": 0.13, "flower": 0.06, "car": 0.19, "cat": 0.12, "mushroom": 0.1}
HEIGHT = {"boat": 13.5, "fish": 13, "balloon": 4.5, "kite": 4.5}  # in cells; everything else stands at 14


def draw_object(canvas, thing, rng):
    kind, size = thing["kind"], SIZE_FACTOR
    x = POSITION_X[thing["position"]]
    y = HEIGHT.get(kind, 14) * CELL
    if kind in SHADOW:
        shadow = mix(canvas.pixel(x, y + 0.01), (20, 30, 50), 0.3)
        canvas.ellipse(x + 0.02, y, SHADOW[kind] * size, 0.024, shadow, raw=True)
    getattr(objects, kind)(canvas, x, y, size, jitter(COLORS[thing["color"]], rng))


def draw_scene(scene, seed):
    """scene: see scene.py. Returns uint8 [128, 128, 3], the same for the same seed."""
    rng = random.Random(seed)
    canvas = Canvas(scene["sky"])
    draw_background(canvas, scene, rng)
    for thing in sorted(scene["objects"], key=lambda o: o["kind"] not in SKY_KINDS + SEA_KINDS):
        draw_object(canvas, thing, rng)
    return canvas.picture()
