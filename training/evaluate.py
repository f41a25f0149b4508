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
from typing import NamedTuple

import numpy as np
import torch
from sacrebleu.metrics import BLEU, CHRF

from .data import SEED, Quartet, hard_negatives, read_train
from .model import EOS, MASK, PAIR_YES, greedy, load, padded
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


@torch.no_grad()
def evaluate(folder: Path, work: Path, quartet: Quartet, split: str, sentences: int | None, out: Path) -> dict:
    model, tokenizer = load(folder), load_tokenizer(folder / "tokenizer.json")
    items = read_split(work, quartet, split, sentences)
    began = time.monotonic()
    if model.config.architecture == "encoder":
        found = understanding(model, tokenizer, items, work, quartet)
    else:
        found = generation(model, tokenizer, items, [pair.sides(quartet) for pair in read_train(work / quartet.name)])
    head = {"folder": folder.name, "architecture": model.config.architecture, "model_sha256": digest(folder),
            "parameters": model.parameters_count(), "split": split, "sentences": len(items)}  # fmt: skip
    result = {**head, **found, "seconds": round(time.monotonic() - began, 1)}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return result


def by_words(items: list[dict]) -> dict[str, list[int]]:
    """{"1-3": which sentences have so many English words, ...}, without lengths that none has."""
    parts = {f"{low}-{high}": [i for i, item in enumerate(items) if low <= item["words"] <= high] for low, high in LENGTHS}
    return {name: part for name, part in parts.items() if part}


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


def generation(model, tokenizer, items: list[dict], train: list[tuple[str, str]]) -> dict:
    outputs = translations(model, tokenizer, [item["source"] for item in items])
    references = [item["references"] for item in items]
    of = lambda part: scores([outputs[i] for i in part], [references[i] for i in part])
    by_length = {name: of(part) for name, part in by_words(items).items()}
    for found in by_length.values():
        found.pop("bleu_signature"), found.pop("chrf_signature")
    targets, new = {target for _, target in train}, new_sources(tokenizer, items, train)
    unseen = {"sentences": len(new)} | ({k: v for k, v in of(new).items() if k in ("bleu", "chrf")} if new else {})
    return {"quality": scores(outputs, references, bootstrap=True), "by_length": by_length, "unseen": unseen,
            "references_trained_on": sum(not targets.isdisjoint(mine) for mine in references),
            "samples": [{k: item[k] for k in ("id", "source", "references")} | {"output": o} for item, o in zip(items[:SAMPLES], outputs)],
            "outputs": {item["id"]: output for item, output in zip(items, outputs)}}  # fmt: skip


def new_sources(tokenizer, items: list[dict], train: list[tuple[str, str]]) -> list[int]:
    """The sentences whose source no training pair has. The split goes by English sentence: one Chinese sentence may
    have been trained on with another English one. Compared as the model reads it, so a traditional one is the simplified one."""
    read = tokenizer.normalizer.normalize_str
    trained = {read(source) for source, _ in train}
    return [i for i, item in enumerate(items) if read(item["source"]) not in trained]


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
    beside = [fill_blanks(model, [pair_side(*pair) for pair in pairs], rng) for _ in range(ROUNDS)]
    is_target = np.concatenate([np.arange(len(pair_side(*p))) > len(p[0]) + 1 for p in pairs])
    hits = np.concatenate([filled.hits for filled in beside])
    where = np.concatenate([is_target[filled.places] for filled in beside])
    sentence = np.concatenate([filled.owners for filled in beside])
    alone = {}
    for name, side in (("source", 0), ("target", 1)):
        found = [fill_blanks(model, [[pair_side([], [])[0], *pair[side], pair_side([], [])[1]] for pair in pairs], rng) for _ in range(ROUNDS)]
        alone[name] = share(np.concatenate([filled.hits for filled in found]))
    masked = {
        "pair_in_view": share(hits), "pair_in_view_interval": interval(hits, sentence),
        "pair_in_view_source": share(hits[~where]), "pair_in_view_target": share(hits[where]),
        "alone_source": alone["source"], "alone_target": alone["target"],
        "blanks": len(hits), "how": f"{BLANKS:.0%} of the tokens, at least one a sentence, all replaced by [MASK]; {ROUNDS} draws",
    }  # fmt: skip
    answers = verdicts(model, encode, items, pairs, work, quartet, rng)
    right = {name: answer.right for name, answer in answers.items()}
    pair = {name: share(one) for name, one in right.items()} | {"accuracy": accuracy(right), "counts": {name: len(one) for name, one in right.items()}}
    by_length = {}
    for name, part in by_words(items).items():
        mine = {kind: answer.right[np.isin(answer.owners, part)] for kind, answer in answers.items()}
        by_length[name] = {"sentences": len(part), "blanks": share(hits[np.isin(sentence, part)]), "pairs": accuracy(mine)}
    return {"masked": masked, "pair": pair, "by_length": by_length,
            "samples": encoder_samples(tokenizer, items[:SAMPLES], pairs, beside[0], answers["true"].chances)}  # fmt: skip


def encoder_samples(tokenizer, items: list[dict], pairs: list[tuple], filled: Filled, chances: np.ndarray) -> list[dict]:
    """The first sentences beside their first reference, `_` for a blank of one draw; the pieces filled in and those that
    stood there; and how likely the pair head holds the two, without blanks, for a translation."""
    found, start = [], 0
    for i, item in enumerate(items):
        source, target = pairs[i]
        mine = filled.owners == i
        blanks = set((filled.places[mine] - start).tolist())
        pieces = [tokenizer.id_to_token(id) for id in pair_side(source, target)]
        gaps = ["\u2581_" if at in blanks and piece[0] == "\u2581" else "_" if at in blanks else piece for at, piece in enumerate(pieces)]
        text = lambda part: "".join(part).replace("\u2581", " ").strip()
        plain = lambda piece: piece.replace("\u2581", "") or piece  # a mark of a space alone stays what it is
        guesses = [tokenizer.id_to_token(int(id)) for id in filled.guesses[mine]]
        found.append({
            "id": item["id"], "source": item["source"], "references": item["references"],
            "blanked": {"source": text(gaps[1 : len(source) + 1]), "target": text(gaps[len(source) + 2 : -1])},
            "blanks": [{"truth": plain(pieces[at]), "filled": plain(guess)} for at, guess in zip(sorted(blanks), guesses)],
            "translation_probability": round(float(chances[i]), 4),
        })  # fmt: skip
        start += len(pieces)
    return found


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


class Filled(NamedTuple):
    """Of every blank, in the order of the text: was it guessed, its flat position, its sequence, and the guess."""

    hits: np.ndarray
    places: np.ndarray
    owners: np.ndarray
    guesses: np.ndarray


def fill_blanks(model, sequences: list[list[int]], rng) -> Filled:
    """Blanks some tokens of each sequence, and has the model fill them."""
    flat = np.concatenate(sequences)
    owner = np.repeat(np.arange(len(sequences)), [len(s) for s in sequences])
    picked = (rng.random(len(flat)) < BLANKS) & (flat >= FIRST_ORDINARY)
    for i in np.setdiff1d(np.arange(len(sequences)), owner[picked]):
        mine = np.flatnonzero((owner == i) & (flat >= FIRST_ORDINARY))
        picked[rng.choice(mine)] = True
    blanked = np.where(picked, MASK, flat)
    guesses = np.concatenate(best_guesses(model, np.split(blanked, np.cumsum([len(s) for s in sequences])[:-1])))
    return Filled((guesses == flat)[picked].astype(float), np.flatnonzero(picked), owner[picked], guesses[picked])


def beside_accuracy(model, pairs: list[tuple]) -> float:
    """The share of blanks filled rightly with the pair in view, one draw of blanks."""
    return share(fill_blanks(model, [pair_side(*pair) for pair in pairs], np.random.default_rng(SEED)).hits)


def best_guesses(model, sequences, batch: int = 100) -> list[np.ndarray]:
    found = []
    for start in range(0, len(sequences), batch):
        part = [list(map(int, s)) for s in sequences[start : start + batch]]
        rows = model.encode(*on_device(model, part))
        best = model.logits(rows).argmax(-1).cpu().numpy()
        found += [best[i, : len(s)] for i, s in enumerate(part)]
    return found


class Answers(NamedTuple):
    """The pair head's, one a pair: whose sentence, how likely it holds the pair for a translation, and whether it is right."""

    owners: np.ndarray
    chances: np.ndarray
    right: np.ndarray


def verdicts(model, encode, items, pairs, work: Path, quartet: Quartet, rng) -> dict[str, Answers]:
    """The pair head on true pairs, and on three kinds of false ones: drawn at random; of like length and with words in
    common, drawn; and the nearest in the whole corpus by the words in common."""
    train = [pair.sides(quartet) for pair in read_train(work / quartet.name)]
    mine = [(item["source"], reference) for item in items for reference in item["references"]]
    first_of = np.cumsum([0] + [len(item["references"]) for item in items])[:-1]
    sides = mine + train
    alike = hard_negatives(sides, np.random.default_rng(SEED), nearest=1, drawn=1, first=len(mine))[first_of]
    others = (np.arange(len(items)) + rng.integers(1, len(items), len(items))) % len(items)
    beside = lambda column: {i: encode(sides[j][1]) for i, j in enumerate(column) if j >= 0}
    kinds = {
        "true": dict(enumerate(target for _, target in pairs)),
        "easy": {i: pairs[j][1] for i, j in enumerate(others)},
        "hard": beside(alike[:, 1]),
        "nearest": beside(alike[:, 0]),
    }
    found = {}
    for name, targets in kinds.items():
        chances = believed(model, [pair_side(pairs[i][0], target) for i, target in targets.items()])
        found[name] = Answers(np.array(list(targets)), chances, (chances > 0.5) == (name == "true"))
    return found


def accuracy(right: dict[str, np.ndarray]) -> float:
    """Weighs true and false alike, and of the false ones the first two kinds: many of the nearest mean nearly the same
    as the sentence that they replace. Among few sentences one of the two may be missing."""
    false = [share(right[kind]) for kind in ("easy", "hard") if len(right[kind])]
    return round((share(right["true"]) + sum(false) / len(false)) / 2, 4)


def believed(model, sequences, batch: int = 100) -> np.ndarray:
    found = [np.zeros(0)]
    for start in range(0, len(sequences), batch):
        rows = model.encode(*on_device(model, sequences[start : start + batch]))
        found.append(model.pair(rows[:, 0]).softmax(-1)[:, PAIR_YES].cpu().numpy())
    return np.concatenate(found)


def on_device(model, sequences) -> tuple[torch.Tensor, torch.Tensor]:
    device = model.token.weight.device
    return padded(sequences).to(device), torch.tensor([len(s) for s in sequences], device=device)
