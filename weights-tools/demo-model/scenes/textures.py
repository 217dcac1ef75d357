"""Patterns in step with the latent cells (8 pixels): a surface is drawn in two colours, and the pattern says which one shows."""
import numpy as np
from PIL import Image

from canvas import OVERSAMPLING, mix


def striped(x, y):
    return y % 8 >= 4


def dotted(x, y):
    return (x % 8 - 4) ** 2 + (y % 8 - 4) ** 2 < 6.5


def checked(x, y):
    return (x // 8 + y // 8) % 2 >= 1


def brick(x, y):
    """The joints of a wall: stones of 16 by 8 pixels, every other row moved by half a stone."""
    return (y % 8 < 1.5) | ((x + 8 * (y // 8 % 2)) % 16 < 1.5)


def tiled(x, y):
    return (x // 16 + y // 16) % 2 >= 1


def furrowed(x, y):
    return y % 16 >= 8


PATTERNS = {"striped": striped, "dotted": dotted, "checked": checked, "brick": brick, "tiled": tiled,
            "furrowed": furrowed}


def second_color(color):
    """What a texture shows beside `color`: white, or beside light colours their own shade."""
    light = 0.3 * color[0] + 0.6 * color[1] + 0.1 * color[2]
    return mix(color, (60, 50, 70), 0.6) if light > 150 else mix(color, (255, 255, 255), 0.8)


def mask(pattern, box):
    """box: left, top, right, bottom in the canvas's own pixels. Returns a black and white picture of this size."""
    left, top, right, bottom = box
    x = (np.arange(left, right) / OVERSAMPLING)[None, :]
    y = (np.arange(top, bottom) / OVERSAMPLING)[:, None]
    shown = np.broadcast_to(PATTERNS[pattern](x, y), (bottom - top, right - left))
    return Image.fromarray(np.where(shown, 255, 0).astype(np.uint8))


def textured(canvas, pattern, box, draw, color, second):
    """Calls draw(color) and draw(second) and shows the second where the pattern says so.

    box: left, top, right, bottom in units; nothing outside of it is drawn twice.
    """
    left, top, right, bottom = (int(round(value * canvas.scale)) for value in box)
    corners = max(0, left), max(0, top), min(canvas.side, right), min(canvas.side, bottom)
    before = canvas.image.crop(corners)
    draw(second)
    other = canvas.image.crop(corners)
    canvas.image.paste(before, corners[:2])
    draw(color)
    canvas.image.paste(other, corners[:2], mask(pattern, corners))
