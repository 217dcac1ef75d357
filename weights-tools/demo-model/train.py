"""From nothing to an exported model in one command: draws, trains, exports. See README.md.

    python3 train.py --work FOLDER --out FOLDER [--recipe NAME] [--until HH:MM] [--warm-start FILE]

Each stage leaves its result in the working folder and is skipped, or continued, when started again.
"""
import argparse
import datetime
import os
import shutil
import subprocess
import time
from dataclasses import replace

import torch

import card
import dataset
import encode
import export
import tokenizer
import train_autoencoder
import train_unet
from config import RECIPES

HERE = os.path.dirname(os.path.abspath(__file__))


def moment(text):
    """"HH:MM" today as seconds since the epoch."""
    hour, minute = map(int, text.split(":"))
    return datetime.datetime.now().replace(hour=hour, minute=minute, second=0).timestamp()


def parse():
    parser = argparse.ArgumentParser(description="Train the demo model.")
    parser.add_argument("--recipe", choices=list(RECIPES), default="demo", help="which model of config.py")
    parser.add_argument("--work", required=True, help="folder for pictures, latents, checkpoints and logs (2 GB)")
    parser.add_argument("--out", required=True, help="folder for the finished model")
    parser.add_argument("--until", type=moment, help="HH:MM: be done by then; default: the budgets in config.py")
    parser.add_argument("--autoencoder-until", type=moment, help="HH:MM: go on to the U-Net by then")
    parser.add_argument("--warm-start",
                        help="an exported folder, or a torch file with state dicts vae, unet, text_encoder "
                             "and the same vocabulary")
    parser.add_argument("--snapshots", help="folder that gets an early export now and then")
    parser.add_argument("--snapshot-minutes", type=float, default=30)
    parser.add_argument("--pictures", type=int, help="draw and encode only so many: less work before a short training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="use torch.compile (minutes to start, then faster)")
    arguments = parser.parse_args()
    least = 2 * RECIPES[arguments.recipe].validation
    if arguments.pictures is not None and arguments.pictures < least:
        parser.error(f"--pictures must be at least {least}, half of which are held out")
    return arguments


def check_drawn(recipe, path):
    """Pictures that an earlier start has drawn must be as many as are wanted now: what is held out depends on it."""
    if os.path.exists(path) and len(dataset.load(path)) != recipe.pictures:
        raise SystemExit(f"{path} has {len(dataset.load(path))} pictures, not {recipe.pictures}: say --pictures as before, or "
                         "remove this file, latents.pt and the checkpoints to start with others.")


def commit():
    """The commit these scripts are at, or "unknown" outside a repository."""
    command = ["git", "-C", HERE, "log", "-1", "--format=%h", "--", "."]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"


def main():
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    os.makedirs(arguments.work, exist_ok=True)
    recipe = RECIPES[arguments.recipe]
    if arguments.pictures:
        recipe = replace(recipe, pictures=arguments.pictures)
    work, began = arguments.work, time.time()
    words = tokenizer.build_once(recipe, os.path.join(work, "tokenizer"))
    warm_start = export.load_states(arguments.warm_start, words) if arguments.warm_start else {}

    pictures = os.path.join(work, "pictures.npy")
    check_drawn(recipe, pictures)
    dataset.draw_all(recipe, pictures, arguments.threads)
    if not os.path.exists(os.path.join(work, "latents.pt")):
        train_autoencoder.train(recipe, work, arguments.autoencoder_until, warm_start.get("vae"))
    encode.encode(recipe, work)

    def write(folder, averaged, autoencoder, trainer):
        shutil.rmtree(folder + ".part", ignore_errors=True)
        facts = {"pictures": trainer.seen, "steps": trainer.step_count, "commit": commit(),
                 "warm_start": bool(warm_start), "threads": arguments.threads}
        text = card.text(recipe, facts, work)
        size = export.export(recipe, folder + ".part", {**averaged, "vae": autoencoder}, words, text)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.dirname(os.path.abspath(folder)), exist_ok=True)
        shutil.move(folder + ".part", folder)
        print(f"{folder}: {size / 1e6:.2f} MB after {trainer.seen} pictures", flush=True)

    def snapshot(averaged, autoencoder, trainer):
        if arguments.snapshots:
            write(arguments.snapshots, averaged, autoencoder, trainer)

    states = {name: warm_start[name] for name in ("unet", "text_encoder") if name in warm_start}
    averaged, autoencoder, trainer = train_unet.train(
        recipe, work, arguments.until, words, states, snapshot, arguments.snapshot_minutes, arguments.compile)
    write(arguments.out, averaged, autoencoder, trainer)
    print(f"done in {(time.time() - began) / 60:.0f} minutes", flush=True)


if __name__ == "__main__":
    main()
