#!/usr/bin/env python3
"""Puts the files of one run of bench/gpu.sh side by side, and writes ratios.md beside them.

  bench/ratios.py FOLDER

Ours (time*.json), PyTorch's best (peers*.json) and the predictions for an H200 (bench/results/predictions-h200.json)
have the same names of rows. Needs Python alone.
"""
import glob
import json
import os
import sys

PREDICTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results", "predictions-h200.json")


def read(pattern, key):
    """{row's name: the smallest value of that key} over all files."""
    out = {}
    for path in sorted(glob.glob(pattern)):
        with open(path) as file:
            for row in json.load(file)["rows"]:
                if row.get(key) is not None:
                    out[row["name"]] = min(row[key], out.get(row["name"], row[key]))
    return out


def rows_of(folder):
    ours = read(os.path.join(folder, "time*.json"), "ms")
    theirs = read(os.path.join(folder, "peers*.json"), "ms")
    predicted, floors = (read(PREDICTIONS, key) for key in ("predicted_ms", "floor_ms"))
    bound = read(os.path.join(folder, "time*.json"), "of_bound")
    number = lambda value, form="{:.3f}": "" if value is None else form.format(value)
    for name in [n for n in ours if not n.startswith("op.")]:
        general = name.replace(".bf16", ".fp16")  # predictions hold for both
        peer, guess = theirs.get(name), predicted.get(general)
        yield [
            name, number(ours[name]), number(peer), number(peer and peer / ours[name], "{:.2f}"),
            number(guess), number(floors.get(general)), number(guess and ours[name] / guess, "{:.2f}"),
            number(100 * bound.get(name, 0), "{:.0f} %"),
        ]


def images(folder):
    rates, speedups, shares = (
        read(os.path.join(folder, "time.json"), key) for key in ("images_per_second", "speedup", "of_ideal")
    )
    guess = read(PREDICTIONS, "predicted_images_per_second")
    for name, rate in rates.items():
        cells = [name, f"{rate:.2f}"]
        cells += [f"{speedups[name]:.2f}", f"{100 * shares[name]:.0f} %"] if name in speedups else ["", ""]
        general = name.replace(".bf16", ".fp16")
        yield cells + [f"{guess[general]:.2f}" if general in guess else ""]


def main(folder):
    tables = []
    for head, rows in (
        (["ms", "ours", "PyTorch", "ratio", "predicted (H200)", "floor (H200)", "of predicted", "of bound"],
         list(rows_of(folder))),
        (["images/s", "ours", "DeepCache's speed-up", "of the ideal", "predicted (H200)"], list(images(folder))),
    ):
        lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
        tables.append("\n".join(lines))
    text = "\n\n".join(tables) + "\n"
    with open(os.path.join(folder, "ratios.md"), "w") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
