#!/usr/bin/env python3
"""Puts the files of one run of bench/gpu.sh side by side, and writes ratios.md beside them.

  bench/ratios.py FOLDER

Ours (the steps `time...` of results.json), PyTorch's best (its steps `peers...`) and the predictions for an H200
(bench/results/predictions-h200*.json) have the same names of rows. Needs Python alone.
"""
import glob
import json
import os
import sys

RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")
PREDICTIONS = sorted(glob.glob(os.path.join(RESULTS, "predictions-h200*.json")))


def read(path):
    with open(path) as file:
        return json.load(file)


def collect(reports, key):
    """{row's name: the smallest value of that key} over all reports."""
    out = {}
    for report in reports:
        for row in report["rows"]:
            if row.get(key) is not None:
                out[row["name"]] = min(row[key], out.get(row["name"], row[key]))
    return out


def reports_of(steps, head):
    """What was measured with all features of the GPU: others are not what is to be compared."""
    return [step["report"] for step in steps
            if step["step"].startswith(head) and step["report"] and step["step"] != "time.without.overlap"]


def rows_of(steps):
    times, predictions = reports_of(steps, "time."), [read(path) for path in PREDICTIONS]
    ours, bound = (collect(times, key) for key in ("ms", "of_bound"))
    theirs = collect(reports_of(steps, "peers."), "ms")
    predicted, floors = (collect(predictions, key) for key in ("predicted_ms", "floor_ms"))
    number = lambda value, form="{:.3f}": "" if value is None else form.format(value)
    for name in [n for n in ours if not n.startswith("op.")]:
        general = name.replace(".bf16", ".fp16")  # predictions hold for both
        peer, guess = theirs.get(name), predicted.get(general)
        yield [
            name, number(ours[name]), number(peer), number(peer and peer / ours[name], "{:.2f}"),
            number(guess), number(floors.get(general)), number(guess and ours[name] / guess, "{:.2f}"),
            number(100 * bound.get(name, 0), "{:.0f} %"),
        ]


def images(steps):
    times = reports_of(steps, "time.")
    rates, speedups, shares = (collect(times, key) for key in ("images_per_second", "speedup", "of_ideal"))
    guess = collect([read(path) for path in PREDICTIONS], "predicted_images_per_second")
    for name, rate in rates.items():
        cells = [name, f"{rate:.2f}"]
        cells += [f"{speedups[name]:.2f}", f"{100 * shares[name]:.0f} %"] if name in speedups else ["", ""]
        general = name.replace(".bf16", ".fp16")
        yield cells + [f"{guess[general]:.2f}" if general in guess else ""]


def deepcache(steps):
    """What runs with every 5th call full could gain by the times of the calls alone, in PyTorch and here, and what was had."""
    interval = 5
    ideal = lambda full, retrieve: full and retrieve and interval * full / (full + (interval - 1) * retrieve)
    ours, theirs = (collect(reports_of(steps, head), "ms") for head in ("time.", "peers."))
    speedups = collect(reports_of(steps, "time."), "speedup")
    number = lambda value: "" if value is None else f"{value:.2f}"
    for name in [n for n in theirs if ".full." in n]:
        of = lambda times, what: ideal(times.get(name), times.get(name.replace(".full.", f".{what}.")))
        model, _, rest = name.partition(".full.")
        had = [s for n, s in speedups.items() if n.startswith(model + ".images.") and n.endswith(f".i{interval}.{rest}")]
        yield [model + "." + rest, number(of(theirs, "helper0")), number(of(theirs, "retrieve0")),
               number(of(ours, "retrieve0")), number(max(had, default=None))]


def main(folder):
    steps, tables = read(os.path.join(folder, "results.json")), []
    for head, rows in (
        (["ms", "ours", "PyTorch", "ratio", "predicted (H200)", "floor (H200)", "of predicted", "of bound"],
         list(rows_of(steps))),
        (["images/s", "ours", "DeepCache's speed-up", "of the ideal", "predicted (H200)"], list(images(steps))),
        (["DeepCache, every 5th full: ideal speed-up", "PyTorch, original DeepCache", "PyTorch", "ours", "ours, measured"],
         list(deepcache(steps))),
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
