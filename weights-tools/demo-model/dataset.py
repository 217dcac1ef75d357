"""The pictures: drawn once into a file, read from there at random. Scenes follow from the index and are not stored."""
import os
import random
from functools import partial
from multiprocessing import Pool

import numpy as np


def scene_of(world, index):
    """The scene of picture `index`; the same on every machine."""
    return world.sample_scene(random.Random(index))


def draw(world, index):
    return world.draw_scene(scene_of(world, index), index)


def draw_all(recipe, path, workers):
    """Writes uint8 [pictures, size, size, 3] to `path` unless it is there already (the demo's: 0.8 GB, a minute)."""
    if os.path.exists(path):
        return
    world, size = recipe.world, recipe.world.size
    pictures = np.lib.format.open_memmap(path + ".part", "w+", np.uint8, (recipe.pictures, size, size, 3))
    with Pool(workers) as pool:
        for index, picture in enumerate(pool.imap(partial(draw, world), range(recipe.pictures), chunksize=256)):
            pictures[index] = picture
    pictures.flush()
    os.replace(path + ".part", path)


def load(path):
    return np.load(path, mmap_mode="r")


def contact_sheet(pictures, columns):
    """pictures: uint8 [N, H, W, 3]. Returns one array with N pictures in rows of `columns`."""
    blank = np.full_like(pictures[0], 255)
    cells = list(pictures) + [blank] * (-len(pictures) % columns)
    rows = [np.concatenate(cells[i:i + columns], axis=1) for i in range(0, len(cells), columns)]
    return np.concatenate(rows, axis=0)
