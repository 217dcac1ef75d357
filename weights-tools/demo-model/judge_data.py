"""What the judge (lib/judge) works with: prototypes of everything a scene is made of, and drawn pictures to test it.

    python3 judge_data.py prototypes ../../lib/judge
    python3 judge_data.py pictures ../../test/fixtures/judge
    python3 judge_data.py pictures /tmp/drawn --count 2000

Both at half size, 64x64: the judge looks at no more. Needs NumPy and Pillow. `npx weights-tools judge FOLDER` tells the
judge's error on drawn pictures.
"""
import argparse
import json
import os
import random

import numpy as np
from PIL import Image

import background
import painter
from canvas import CELL, Canvas
from captions import caption
from painter import draw_scene
from scene import COLORS, GROUNDS, KINDS, MOON_COLORS, SKIES, SUN_COLORS, sample_scene

SIDE = 64
ATLAS_WIDTH = 640
SHEET_COLUMNS = 20
# Far from the scenes that are trained on, whose seeds count from 0.
FIRST_SEED = 10_000_000


class Even:
    """Instead of a random.Random: colours as they are on average."""

    def uniform(self, low, high):
        return (low + high) / 2


def half(picture):
    """uint8 [128, 128, 3] to float [64, 64, 3]."""
    return picture.astype(float).reshape(SIDE, 2, SIDE, 2, 3).mean((1, 3))


def draw_base(sky, ground, mountains):
    """Sky and ground with nothing on them; "water" is the sea that boats float on."""
    scene = {"sky": sky, "ground": "sea" if ground == "water" else ground, "mountains": mountains, "clouds": False,
             "sun": None, "moon": None, "objects": [{"kind": "boat" if ground == "water" else "house"}]}
    canvas = Canvas(sky)
    background.draw_background(canvas, scene, Even())
    return half(canvas.picture())


def draw_layer(sky, draw):
    """A layer over black and over white: together they say its colour and how much it covers."""
    layers = []
    for shade in ((0, 0, 0), (255, 255, 255)):
        canvas = Canvas(sky)
        canvas.fill_rows(0, [(0, shade), (1, shade)])
        draw(canvas)
        layers.append(half(canvas.picture()))
    return layers


def draw_clouds(canvas):
    for column, row in background.CLOUDS:
        background.draw_cloud(canvas, column * CELL, row * CELL)


def layers():
    """Yields (name, [over black, over white]), each with its thing in the middle."""
    yield "clouds/day", draw_layer("day", draw_clouds)
    for sky in SKIES:
        lights = [("moon", background.draw_moon, MOON_COLORS)] if sky == "night" else \
            [("sun", background.draw_sun, SUN_COLORS)]
        for name, draw, colors in lights:
            for color in colors:
                light = {"color": color, "position": "center"}
                yield f"{name}/{sky}/{color}", draw_layer(sky, lambda canvas: draw(canvas, light))
        for kind in KINDS:
            for color in COLORS:
                thing = {"kind": kind, "color": color, "position": "center"}
                yield f"{kind}/{sky}/{color}", draw_layer(sky, lambda canvas: painter.draw_object(canvas, thing, Even()))


def cut(black, white):
    """The rectangle of a layer in which it covers anything: left, top, width, height."""
    covered = (white - black).min(2) < 250
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


class Atlas:
    """Tiles in rows on one picture."""

    def __init__(self):
        self.tiles, self.x, self.y, self.row = [], 0, 0, 0

    def add(self, tile):
        """Returns where it lies."""
        height, width = tile.shape[:2]
        if self.x + width > ATLAS_WIDTH:
            self.x, self.y, self.row = 0, self.y + self.row, 0
        place = (self.x, self.y)
        self.tiles.append((place, tile))
        self.x, self.row = self.x + width, max(self.row, height)
        return list(place)

    def picture(self):
        sheet = np.zeros((self.y + self.row, ATLAS_WIDTH, 3), np.uint8)
        for (x, y), tile in self.tiles:
            sheet[y:y + tile.shape[0], x:x + tile.shape[1]] = np.rint(tile)
        return sheet


def write_prototypes(folder):
    """prototypes.png and, with the places in it, prototypes.json."""
    atlas, bases, sprites = Atlas(), {}, {}
    for sky in SKIES:
        for ground in GROUNDS + ["water"]:
            for mountains in (False, True):
                name = f"{sky}/{ground}" + ("/mountains" if mountains else "")
                bases[name] = atlas.add(draw_base(sky, ground, mountains))
    for name, (black, white) in sorted(layers(), key=lambda item: cut(*item[1])[3]):
        left, top, width, height = cut(black, white)
        tiles = [tile[top:top + height, left:left + width] for tile in (black, white)]
        sprites[name] = [left, top, width, height] + [at for tile in tiles for at in atlas.add(tile)]
    save(atlas.picture(), folder, "prototypes.png")
    save_json({"bases": bases, "sprites": dict(sorted(sprites.items()))}, folder, "prototypes.json")


def write_pictures(folder, count):
    """pictures.png, a sheet, and pictures.json with the scene and a caption of each."""
    rows = []
    tiles = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        scene = sample_scene(random.Random(seed))
        rows.append({"caption": caption(scene, random.Random(seed), filler_probability=0.1), "scene": scene})
        tiles.append(np.rint(half(draw_scene(scene, seed))).astype(np.uint8))
    sheet = np.stack(tiles).reshape(-1, SHEET_COLUMNS, SIDE, SIDE, 3).transpose(0, 2, 1, 3, 4)
    save(sheet.reshape(-1, SHEET_COLUMNS * SIDE, 3), folder, "pictures.png")
    save_json(rows, folder, "pictures.json")


def save(picture, folder, name):
    os.makedirs(folder, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(picture)).save(os.path.join(folder, name), optimize=True)


def save_json(value, folder, name):
    """One entry a line."""
    entries = value if isinstance(value, list) else None
    with open(os.path.join(folder, name), "w") as file:
        if entries is not None:
            file.write("[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n")
        else:
            groups = [f"{json.dumps(group)}: {{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in
                      entries.items()) + "\n}" for group, entries in value.items()]
            file.write("{\n" + ",\n".join(groups) + "\n}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["prototypes", "pictures"])
    parser.add_argument("folder")
    parser.add_argument("--count", type=int, default=240, help=f"pictures to draw, a multiple of {SHEET_COLUMNS}")
    arguments = parser.parse_args()
    if arguments.count < 1 or arguments.count % SHEET_COLUMNS:
        parser.error(f"--count must be a multiple of {SHEET_COLUMNS}")
    if arguments.what == "prototypes":
        write_prototypes(arguments.folder)
    else:
        write_pictures(arguments.folder, arguments.count)
