"""The control experiment: how much of a difference between two decoders is the mask's, and how much the objective's.

Three decoders of one stack from the same beginnings, on the same batches, under one schedule, with several seeds:
`causal` (loss everywhere), `control` (causal mask, loss on the answer) and `prefix` (open source, loss on the answer).
causal - control is what the objective does, prefix - control what the mask does. With the shipped models' budget and
seed, the runs of causal and prefix are theirs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from .data import Quartet
from .evaluate import references_of, resampled

FOLDER = "control"  # of results/<quartet>
OBJECTIVES = ("causal", "control", "prefix")
EFFECTS = (("objective", "causal", "control"), ("mask", "prefix", "control"), ("both", "causal", "prefix"))


def run_name(objective: str, seed: int) -> str:
    """What `train` calls it too, so that what is trained already is not trained again."""
    return f"{objective}-{seed}"


def keep_logs(run: Path, results: Path, objective: str, seed: int) -> None:
    """A run's log and settings go beside its measurement."""
    results.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / "log.jsonl", results / f"{objective}-{seed}.jsonl")
    shutil.copyfile(run / "settings.json", results / f"{objective}-{seed}.settings.json")


def seeds_of(results: Path) -> list[int]:
    """The seeds with which all three were measured."""
    measured = {path.stem for path in results.glob("*-*.json")}
    seeds = {int(name.rsplit("-", 1)[1]) for name in measured if name.rsplit("-", 1)[1].isdigit()}
    return sorted(seed for seed in seeds if all(f"{objective}-{seed}" in measured for objective in OBJECTIVES))


def effects(results: Path, work: Path, quartet: Quartet) -> dict:
    """Each effect for each seed, and their mean with a paired bootstrap interval over the test sentences."""
    seeds = seeds_of(results)
    read = lambda objective, seed: json.loads((results / f"{objective}-{seed}.json").read_text())
    outputs = {(o, seed): read(o, seed)["outputs"] for o in OBJECTIVES for seed in seeds}
    rows = []
    for metric, whole, drawn in resampled(outputs, references_of(work, quartet)):
        for effect, a, b in EFFECTS:
            each = [whole[a, seed] - whole[b, seed] for seed in seeds]
            low, high = np.quantile(np.mean([drawn[a, seed] - drawn[b, seed] for seed in seeds], 0), [0.025, 0.975])
            rows.append({"effect": effect, "a": a, "b": b, "metric": metric, "seeds": [round(float(d), 2) for d in each],
                         "mean": round(float(np.mean(each)), 2), "interval": [round(float(low), 2), round(float(high), 2)]})  # fmt: skip
    return {"seeds": seeds, "rows": rows}
