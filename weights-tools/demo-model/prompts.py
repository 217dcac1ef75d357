"""Prints captions that no training has seen, one a line: for `npx deepcache quality --prompts` and `tune --prompts`.

    python3 prompts.py --recipe scenes --count 24 > prompts.txt

Needs NumPy and Pillow.
"""
import argparse
import random

from config import RECIPES

# Far from the scenes that are trained on, whose seeds count from 0, and from the judge's, which count from 10,000,000.
FIRST_SEED = 20_000_000


def prompt(world, seed):
    rng = random.Random(seed)
    return world.caption(world.sample_scene(rng), rng)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", choices=list(RECIPES), default="demo")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--first", type=int, default=0, help="so many captions are left out, for a second list beside the first")
    arguments = parser.parse_args()
    for number in range(arguments.first, arguments.first + arguments.count):
        print(prompt(RECIPES[arguments.recipe].world, FIRST_SEED + number))
