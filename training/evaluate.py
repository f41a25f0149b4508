"""What a model is worth, measured on held-out sentences, from the exported folder and nothing else.

Every number goes to a JSON file with the model's hash beside it; the report and models.json read those files.
Intervals are bootstrap intervals over test sentences: they say what another draw of sentences would do, not
what another training run would.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sacrebleu.metrics import BLEU, CHRF

from .data import SEED, Quartet, hard_negatives, read_train
from .model import EOS, MASK, PAIR_NO, PAIR_YES, greedy, load, padded
from .objectives import FIRST_ORDINARY, pair_side, source_side
from .tokenizer import load as load_tokenizer

LENGTHS = ((1, 3), (4, 6), (7, 9), (10, 12))  # English words
BOOTSTRAP = 1000
SAMPLES = 20  # shown in the report
BLANKS = 0.15
ROUNDS = 3  # different blanks for the same sentences


def read_split(work: Path, quartet: Quartet, split: str, sentences: int | None) -> list[dict]:
    return json.loads((work / quartet.name / f"{split}.json").read_text())[:sentences]


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def evaluate(folder: Path, work: Path, quartet: Quartet, split: str, sentences: int | None, out: Path) -> dict:
    torch.set_grad_enabled(False)
    model, tokenizer = load(folder), load_tokenizer(folder / "tokenizer.json")
    items = read_split(work, quartet, split, sentences)
    began = time.monotonic()
    if model.config.architecture == "encoder":
        found = understanding(model, tokenizer, items, work, quartet)
    else:
        found = generation(model, tokenizer, items)
    head = {"folder": folder.name, "architecture": model.config.architecture, "model_sha256": digest(folder),
            "parameters": model.parameters_count(), "split": split, "sentences": len(items)}  # fmt: skip
    result = {**head, **found, "seconds": round(time.monotonic() - began, 1)}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return result


# ---- the three that generate ---------------------------------------------------------------------------


def translations(model, tokenizer, sources: list[str], batch: int = 100) -> list[str]:
    """Greedy translations; sentences of like length go together."""
    encoded = [source_side(tokenizer.encode(text).ids) for text in sources]
    order = sorted(range(len(sources)), key=lambda i: len(encoded[i]))
    outputs = [""] * len(sources)
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        answers, _ = greedy(model, [encoded[i] for i in part])
        for i, ids in zip(part, answers):
            outputs[i] = tokenizer.decode([t for t in ids if t != EOS])
    return outputs


def scores(outputs: list[str], references: list[list[str]], bootstrap: bool = False) -> dict:
    """Corpus BLEU and chrF against as many references as each sentence has."""
    most = max(map(len, references))
    streams = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
    found = {"sentences": len(outputs)}
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF())):
        if bootstrap:
            score = metric.corpus_score(outputs, streams, n_bootstrap=BOOTSTRAP)
            found[name] = round(score.score, 2)
            middle, half = float(score._mean), float(score._ci)
            found[f"{name}_interval"] = [round(middle - half, 2), round(middle + half, 2)]
        else:
            found[name] = round(metric.corpus_score(outputs, streams).score, 2)
        found[f"{name}_signature"] = str(metric.get_signature())
    exact = sum(output in reference for output, reference in zip(outputs, references))
    return {**found, "exact": round(exact / len(outputs), 4)}


def generation(model, tokenizer, items: list[dict]) -> dict:
    outputs = translations(model, tokenizer, [item["source"] for item in items])
    references = [item["references"] for item in items]
    by_length = {}
    for low, high in LENGTHS:
        part = [i for i, item in enumerate(items) if low <= item["words"] <= high]
        if part:
            by_length[f"{low}-{high}"] = scores([outputs[i] for i in part], [references[i] for i in part])
    for found in by_length.values():
        found.pop("bleu_signature"), found.pop("chrf_signature")
    return {"quality": scores(outputs, references, bootstrap=True), "by_length": by_length,
            "samples": [{k: item[k] for k in ("id", "source", "references")} | {"output": o} for item, o in zip(items[:SAMPLES], outputs)],
            "outputs": {item["id"]: output for item, output in zip(items, outputs)}}  # fmt: skip


def references_of(work: Path, quartet: Quartet) -> dict[str, list[str]]:
    return {item["id"]: item["references"] for item in read_split(work, quartet, "test", None)}


def resampled(outputs: dict, references: dict[str, list[str]]) -> Iterator[tuple[str, dict, dict]]:
    """For BLEU and chrF: {name: score} over all sentences, and {name: scores of the same draws of sentences, with repetition}.

    `outputs` is {name: {sentence's id: translation}}.
    """
    ids = [i for i in references if all(i in o for o in outputs.values())]
    most = max(len(references[i]) for i in ids)
    streams = [[references[i][n] if n < len(references[i]) else None for i in ids] for n in range(most)]
    draws = np.random.default_rng(SEED).integers(0, len(ids), (BOOTSTRAP, len(ids)))
    for label, metric in (("BLEU", BLEU(references=streams)), ("chrF", CHRF(references=streams))):
        stats = {n: np.array(metric._extract_corpus_statistics([o[i] for i in ids], None)) for n, o in outputs.items()}
        score = lambda sums: metric._compute_score_from_stats(list(sums)).score
        drawn = {n: np.array([score(s[d].sum(0)) for d in draws]) for n, s in stats.items()}
        yield label, {n: score(s.sum(0)) for n, s in stats.items()}, drawn


def compare(results: Path, work: Path, quartet: Quartet) -> dict:
    """Differences between every two models that generate, with paired bootstrap intervals over the test sentences."""
    found = {p.stem: json.loads(p.read_text()) for p in sorted(results.glob("*.json"))}
    outputs = {name: f["outputs"] for name, f in found.items() if "outputs" in f}
    references, rows = references_of(work, quartet), []
    for label, whole, drawn in resampled(outputs, references):
        for a in outputs:
            for b in outputs:
                if a < b:
                    low, high = np.quantile(drawn[a] - drawn[b], [0.025, 0.975])
                    rows.append({"a": a, "b": b, "metric": label, "difference": round(whole[a] - whole[b], 2),
                                 "interval": [round(float(low), 2), round(float(high), 2)]})  # fmt: skip
    return {"sentences": len(references), "seeds": 1, "rows": rows}


# ---- the one that understands --------------------------------------------------------------------------


def understanding(model, tokenizer, items: list[dict], work: Path, quartet: Quartet) -> dict:
    rng = np.random.default_rng(SEED)
    encode = lambda text: tokenizer.encode(text).ids
    pairs = [(encode(item["source"]), encode(item["references"][0])) for item in items]
    beside = [blank_hits(model, [pair_side(*pair) for pair in pairs], rng) for _ in range(ROUNDS)]
    side_of = [np.concatenate([np.arange(len(pair_side(*p))) > len(p[0]) + 1 for p in pairs])] * ROUNDS
    hits = np.concatenate([b[0] for b in beside])
    where = np.concatenate([side[b[1]] for side, b in zip(side_of, beside)])
    sentence = np.concatenate([b[2] for b in beside])
    alone = {}
    for name, side in (("source", 0), ("target", 1)):
        found = [blank_hits(model, [[pair_side([], [])[0], *pair[side], pair_side([], [])[1]] for pair in pairs], rng) for _ in range(ROUNDS)]
        alone[name] = share(np.concatenate([f[0] for f in found]))
    masked = {
        "pair_in_view": share(hits), "pair_in_view_interval": interval(hits, sentence),
        "pair_in_view_source": share(hits[~where]), "pair_in_view_target": share(hits[where]),
        "alone_source": alone["source"], "alone_target": alone["target"],
        "blanks": len(hits), "how": f"{BLANKS:.0%} of the tokens, at least one a sentence, all replaced by [MASK]; {ROUNDS} draws",
    }  # fmt: skip
    return {"masked": masked, "pair": verdicts(model, encode, items, pairs, work, quartet, rng)}


def share(hits: np.ndarray) -> float:
    return round(float(hits.mean()), 4)


def interval(hits: np.ndarray, group: np.ndarray) -> list[float]:
    """The middle 95 % of the shares that draws of sentences, with repetition, give."""
    size = group.max() + 1
    good, all_ = np.bincount(group, hits, size), np.bincount(group, minlength=size)
    rng = np.random.default_rng(SEED)
    draws = rng.integers(0, size, (BOOTSTRAP, size))
    found = good[draws].sum(1) / all_[draws].sum(1)
    return [round(float(q), 4) for q in np.quantile(found, [0.025, 0.975])]


def blank_hits(model, sequences: list[list[int]], rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blanks some tokens of each sequence. -> for every blank: was it guessed, its flat position, its sequence."""
    flat = np.concatenate(sequences)
    owner = np.repeat(np.arange(len(sequences)), [len(s) for s in sequences])
    picked = (rng.random(len(flat)) < BLANKS) & (flat >= FIRST_ORDINARY)
    for i in np.setdiff1d(np.arange(len(sequences)), owner[picked]):
        mine = np.flatnonzero((owner == i) & (flat >= FIRST_ORDINARY))
        picked[rng.choice(mine)] = True
    blanked = np.where(picked, MASK, flat)
    guesses = np.concatenate(best_guesses(model, np.split(blanked, np.cumsum([len(s) for s in sequences])[:-1])))
    return (guesses == flat)[picked].astype(float), np.flatnonzero(picked), owner[picked]


def beside_accuracy(model, pairs: list[tuple]) -> float:
    """The share of blanks filled rightly with the pair in view, one draw of blanks."""
    return share(blank_hits(model, [pair_side(*pair) for pair in pairs], np.random.default_rng(SEED))[0])


def best_guesses(model, sequences, batch: int = 100) -> list[np.ndarray]:
    found = []
    for start in range(0, len(sequences), batch):
        part = [list(map(int, s)) for s in sequences[start : start + batch]]
        rows = model.encode(*on_device(model, part))
        best = model.logits(rows).argmax(-1).cpu().numpy()
        found += [best[i, : len(s)] for i, s in enumerate(part)]
    return found


def verdicts(model, encode, items, pairs, work: Path, quartet: Quartet, rng) -> dict:
    """The pair head on true pairs, and on three kinds of false ones: drawn at random; of like length and with words in
    common, drawn; and the nearest in the whole corpus by the words in common. Accuracy weighs true and false alike, and
    of the false ones the first two kinds: many of the nearest mean nearly the same as the sentence that they replace."""
    train = [pair.sides(quartet) for pair in read_train(work / quartet.name)]
    mine = [(item["source"], reference) for item in items for reference in item["references"]]
    first_of = np.cumsum([0] + [len(item["references"]) for item in items])[:-1]
    sides = mine + train
    alike = hard_negatives(sides, np.random.default_rng(SEED), nearest=1, drawn=1, first=len(mine))[first_of]
    others = (np.arange(len(items)) + rng.integers(1, len(items), len(items))) % len(items)
    beside = lambda column: [pair_side(pairs[i][0], encode(sides[j][1])) for i, j in enumerate(column) if j >= 0]
    kinds = {
        "true": ([pair_side(*p) for p in pairs], PAIR_YES),
        "easy": ([pair_side(pairs[i][0], pairs[j][1]) for i, j in enumerate(others)], PAIR_NO),
        "hard": (beside(alike[:, 1]), PAIR_NO),
        "nearest": (beside(alike[:, 0]), PAIR_NO),
    }
    right = {name: said(model, sequences) == truth for name, (sequences, truth) in kinds.items()}
    found = {name: share(hits) for name, hits in right.items()}
    return {**found, "accuracy": round((found["true"] + (found["easy"] + found["hard"]) / 2) / 2, 4), "counts": {n: len(h) for n, h in right.items()}}


def said(model, sequences, batch: int = 100) -> np.ndarray:
    found = []
    for start in range(0, len(sequences), batch):
        part = sequences[start : start + batch]
        rows = model.encode(*on_device(model, part))
        found.append(model.pair(rows[:, 0]).argmax(-1).cpu().numpy())
    return np.concatenate(found)


def on_device(model, sequences) -> tuple[torch.Tensor, torch.Tensor]:
    device = model.token.weight.device
    return padded(sequences).to(device), torch.tensor([len(s) for s in sequences], device=device)
