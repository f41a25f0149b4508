"""Curves as SVG, from the logs alone."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

from . import control

matplotlib.use("svg")
import matplotlib.pyplot as plt

# Told apart by colour-blind readers and, through the dashes, in grey.
LOOK = {
    "encoder": ("#0072b2", ":"),
    "causal": ("#d55e00", "-"),
    "prefix": ("#009e73", "--"),
    "encoder-decoder": ("#cc79a7", "-."),
    "control": ("#000000", (0, (6, 3))),
}


def read_log(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def logs(results: Path) -> dict[str, list[dict]]:
    """{objective: the lines of its log}, in the order of LOOK; of the control its run with the first seed."""
    paths = {name: results / "logs" / f"{name}.jsonl" for name in LOOK} | {"control": results / control.FOLDER / "control-1.jsonl"}
    return {name: read_log(path) for name, path in paths.items() if path.exists()}


def curve(lines: list[dict], kind: str, x: str, y: str) -> tuple[list, list]:
    points = [(line[x] / 1e6, line[y]) for line in lines if line["kind"] == kind and y in line]
    return [p[0] for p in points], [p[1] for p in points]


def draw(path: Path, title: str, across: str, up: str, curves: dict[str, tuple[list, list]]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for name, (x, y) in curves.items():
        colour, dashes = LOOK[name]
        axes.plot(x, y, color=colour, linestyle=dashes, label=name, marker="o" if len(x) < 15 else None, markersize=3)
    axes.set(title=title, xlabel=across, ylabel=up)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def plot(results: Path, figures: Path) -> None:
    plt.rcParams["svg.hashsalt"] = "unmasked"  # the same log gives the same file
    plt.rcParams["svg.fonttype"] = "none"
    of = logs(results)
    writers = {name: lines for name, lines in of.items() if name != "encoder"}
    draw(figures / "loss.svg", "Held-out loss (no smoothing)", "million tokens seen", "cross-entropy of a supervised token",
         {n: curve(lines, "validation", "tokens", "loss") for n, lines in of.items()})  # fmt: skip
    draw(figures / "quality.svg", "Translation, running average of the weights", "million tokens seen", "chrF, 200 validation sentences",
         {n: curve(lines, "quality", "tokens", "chrf") for n, lines in writers.items()})  # fmt: skip
    draw(figures / "quality-by-supervised.svg", "The same by positions that carried a loss", "million supervised positions",
         "chrF, 200 validation sentences", {n: curve(lines, "quality", "supervised", "chrf") for n, lines in writers.items()})  # fmt: skip
    if "encoder" in of:
        draw(figures / "masked.svg", "Blanks filled rightly, translation in view", "million tokens seen", "share of blanks",
             {"encoder": curve(of["encoder"], "quality", "tokens", "masked_accuracy")})  # fmt: skip
    by_length(results, figures / "length.svg", "Quality by length", "chrf", "chrF, test split")
    by_length(results, figures / "length-encoder.svg", "Blanks filled rightly by length, translation in view", "blanks", "share of blanks, test split")


def by_length(results: Path, path: Path, title: str, number: str, up: str) -> None:
    curves = {}
    for name in LOOK:
        measured = results / f"{name}.json"
        parts = json.loads(measured.read_text()).get("by_length", {}) if measured.exists() else {}
        if parts and all(number in part for part in parts.values()):
            curves[name] = (list(parts), [part[number] for part in parts.values()])
    if curves:
        draw(path, title, "words in the English sentence", up, curves)
