"""REPORT.md, written from the logs and measurements in `results/` and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from . import control
from .data import QUARTETS
from .export import PACKED, TEMPLATES, UNROUNDED
from .objectives import TORN
from .plot import read_log

ORDER = list(TEMPLATES)


def table(head: list[str], rows: list[list]) -> str:
    line = lambda cells: "| " + " | ".join(str(c) for c in cells) + " |"
    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)])


def read(results: Path, name: str, suffix: str) -> dict | None:
    path = results / f"{name}{suffix}"
    return json.loads(path.read_text()) if path.exists() else None


def quartet_report(name: str, results: Path, splits: Path) -> str:
    facts = json.loads((splits / f"{name}.json").read_text())
    measured = {n: found for n in ORDER if (found := read(results, n, ".json"))}
    settings = {n: found for n in ORDER if (found := read(results / "logs", n, ".settings.json"))}
    logs = {n: read_log(results / "logs" / f"{n}.jsonl") for n in settings}
    if not measured:
        return f"## {name}\n\nNot trained yet.\n"
    parts = [f"## {name}", data_part(name, facts), training_part(settings, logs), quality_part(measured)]
    unrounded, packed = ({n: found for n in ORDER if (found := read(results / kind, n, ".json"))} for kind in (UNROUNDED, PACKED))
    parts += [unseen_part(measured), packed_part(measured, unrounded, packed), length_part(measured)]
    parts += [curves_part(name), comparison_part(results), equal_part(logs), control_part(results / control.FOLDER, logs), samples_part(measured)]
    return "\n\n".join(part for part in parts if part)


def data_part(name: str, facts: dict) -> str:
    counts, quartet = facts["counts"], QUARTETS[name]
    beside = f"""

Every second batch is of English sentences alone, those that {quartet.beside} trains on: the encoder fills their blanks, the others write
them out from what blanks ({TORN:.0%}) have left of them.""" if quartet.beside else ""  # fmt: skip
    return f"""### Data

`{facts["file"]}`, SHA-256 `{facts["sha256"]}`. Sentences of 1 to {facts["most_words"]} English words: {counts["pairs"]:,} pairs;
{counts["train_pairs"]:,} pairs ({counts["train_english"]:,} English sentences) to train on, {counts["validation_sentences"]:,} sentences to validate
({counts["validation_references"]:,} references), {counts["test_sentences"]:,} to test ({counts["test_references"]:,} references). Split by English
sentence without case and punctuation, seed {facts["seed"]}; the ids are in `splits/`.{beside}"""


def training_part(settings: dict, logs: dict) -> str:
    rows = []
    for name, lines in logs.items():
        last = max(lines, key=lambda line: line["step"])
        rows.append([name, settings[name]["architecture"], f"{settings[name]['parameters']:,}", f"{last['step']:,}", f"{last['tokens']:,}",
                     f"{last['supervised']:,}", f"{last['seconds'] / 3600:.2f}", round(last["tokens"] / max(1, last["seconds"])), settings[name]["seed"]])  # fmt: skip
    first = next(iter(settings.values()))
    shown = ("batch_tokens", "rate", "muon_rate", "weight_decay", "smoothing", "warm_up_tokens", "pair_weight", "dropout", "clip")
    of = lambda s, k: s.get(k, 0.0)  # runs of an older program had no `dropout`
    differ = [k for k in shown if len({of(s, k) for s in settings.values()}) > 1]
    numbers = ", ".join(f"`{k}` {of(first, k)}" for k in shown if k not in differ)
    own = "".join(f" `{k}`: " + ", ".join(f"{n} {of(s, k)}" for n, s in settings.items()) + "." for k in differ)
    hardware = sorted({f"{line['device']}, {line['threads']} thread(s), {line['precision']}, torch {line['torch']}"
                       for lines in logs.values() for line in lines if line["kind"] == "start"})  # fmt: skip
    head = ["run", "architecture", "parameters", "steps", "tokens seen", "supervised positions", "hours", "tokens/s", "seed"]
    model = first["model"]
    return f"""### Training

{table(head, rows)}

Width {model["width"]}, {model["attention_heads"]} heads, feed-forward {model["feed_forward_width"]}, vocabulary {model["vocab_size"]}. Settings, the same for
all: {numbers}.{own} Hardware: {"; ".join(hardware)}. Hours are those of training steps, on a machine that did other work as well.

The runs went in stretches; `decay` is the share of the budget, from its end, over which the rate falls to 0.

{chr(10).join(stretches(name, lines) for name, lines in logs.items())}"""


def stretches(name: str, lines: list[dict]) -> str:
    """From how many tokens to how many a run went under one budget, and what was noted on the way."""
    parts, start = [], None
    last = [line["settings"] for line in lines if line["kind"] == "start"][-1]
    for line in lines:
        if line["kind"] == "start":
            start = line
        elif line["kind"] == "stop" and start and line["tokens"] > start["tokens"]:
            taken = ", from the weights of another quartet" if start.get("initial") and not start["tokens"] else ""
            # The table above has the settings of the last stretch.
            other = "".join(f", `{k}` {v}" for k, v in start["settings"].items() if k != "decay" and v != last.get(k) and (k != "pair_weight" or name == "encoder"))
            parts.append(f"{start['tokens']:,} to {line['tokens']:,} (`decay` {start['settings']['decay']}{other}{taken})")
        elif line["kind"] == "note":
            parts.append(f"note: {line['text']}")
    return f"- {name}: {'; '.join(parts)}."


def with_interval(found: dict, name: str) -> str:
    low, high = found[f"{name}_interval"]
    return f"{found[name]} ({low} to {high})"


def quality_part(measured: dict) -> str:
    writers = {n: f for n, f in measured.items() if "quality" in f}
    split = {f"{f['split']}, {f['sentences']} sentences" for f in measured.values()}
    rows = [[n, with_interval(f["quality"], "bleu"), with_interval(f["quality"], "chrf"), f"{f['quality']['exact']:.1%}", f"`{f['model_sha256'][:12]}`"] for n, f in writers.items()]
    text = f"### Quality ({'; '.join(sorted(split))})\n\n"
    if rows:
        signatures = next(iter(writers.values()))["quality"]
        text += table(["model", "BLEU", "chrF", "equal to a reference", "weights"], rows)
        text += f"""

Greedy, as many references as the data has. In brackets: 95 % bootstrap intervals over test sentences (other sentences, not
other training runs). `{signatures["bleu_signature"]}`, `{signatures["chrf_signature"]}`."""
    if "encoder" in measured:
        masked, pair = measured["encoder"]["masked"], measured["encoder"]["pair"]
        low, high = masked["pair_in_view_interval"]
        text += "\n\n" + table(["encoder", "share right"], [
            ["blanks, translation in view", f"{masked['pair_in_view']:.1%} ({low:.1%} to {high:.1%})"],
            ["... in the source / in the target", f"{masked['pair_in_view_source']:.1%} / {masked['pair_in_view_target']:.1%}"],
            ["blanks, sentence alone: source / target", f"{masked['alone_source']:.1%} / {masked['alone_target']:.1%}"],
            ["pair head, half true, half false", f"{pair['accuracy']:.1%}"],
            ["... true pairs", f"{pair['true']:.1%}"],
            ["... false pairs: drawn at random / of like length, two shared words or more", f"{pair['easy']:.1%} / {pair['hard']:.1%}"],
            ["not counted above: the nearest false pair in the whole corpus", f"{pair['nearest']:.1%}"],
        ])  # fmt: skip
        text += f"""\n\nBlanks: {masked['how']}; {masked['blanks']:,} in all.

Of like length: as many different words as the true one, one more or less. The nearest shares most words with it, and often means the
same ("We are not late." for "We aren't late."): a head that is always right stays under 100 % there. Until 2026-11-26 (commit 79d5f4f)
the nearest were counted as the hard ones: with that change of the question alone, the same en-fr encoder went from 85.9 % of the hard ones to 97.5 %."""
    return text


def unseen_part(measured: dict) -> str:
    """The models that write on the sentences whose source no training pair has."""
    writers = {n: f for n, f in measured.items() if "unseen" in f}
    if not writers:
        return ""
    first = next(iter(writers.values()))
    seen, references = first["sentences"] - first["unseen"]["sentences"], first["references_trained_on"]
    rows = [[n, f["unseen"]["sentences"], f"{f['unseen']['bleu']} / {f['unseen']['chrf']}", f"{f['quality']['bleu']} / {f['quality']['chrf']}"] for n, f in writers.items()]
    return f"""### Sentences whose source no training pair has

{table(["model", "sentences", "BLEU / chrF of these", "of all"], rows)}

The split goes by English sentence, so that another side may occur in training beside another English sentence: of the {first["sentences"]:,}
sentences, {seen} have a source that was trained on with another translation, and {references} a reference that is the target of another source."""


def packed_part(measured: dict, unrounded: dict, packed: dict) -> str:
    """What rounding to int8 did: the models before it, and both folders of each after it."""
    rows = []
    for name, before in unrounded.items():
        if name not in packed or before.get("rounded_sha256") != measured[name]["model_sha256"]:
            continue
        if "quality" in before:
            of = lambda found: [found["quality"]["bleu"], found["quality"]["chrf"]]
            unit = "BLEU / chrF"
        else:
            of = lambda found: [round(100 * found["masked"]["pair_in_view"], 2), round(100 * found["pair"]["accuracy"], 2)]
            unit = "blanks / pairs, %"
        numbers = [of(found) for found in (before, measured[name], packed[name])]
        difference = " / ".join(f"{b - a:+.2f}" for a, b in zip(numbers[0], numbers[2]))
        rows.append([name, unit, *(" / ".join(map(str, found)) for found in numbers), difference, f"`{before['model_sha256'][:12]}`", f"`{packed[name]['model_sha256'][:12]}`"])
    if not rows:
        return ""
    head = ["model", "", "before rounding", "f16 as shipped", "int8 as shipped", "int8 - before", "weights before", "weights of int8"]
    return f"""### Packed int8

Each model was measured, then rounded once; both of its shipped folders hold the rounded numbers, bit by bit (`pack.py`), and each was
measured by itself.

{table(head, rows)}"""


def length_part(measured: dict) -> str:
    """Quality by length: of the models that write, and of the encoder."""
    parts = {n: f["by_length"] for n, f in measured.items() if "by_length" in f}
    told = []
    for title, first, second, shown in (("BLEU / chrF", "bleu", "chrf", str), ("Encoder: blanks filled / pairs told rightly", "blanks", "pairs", "{:.1%}".format)):
        mine = {n: lengths for n, lengths in parts.items() if all(first in one for one in lengths.values())}
        if mine:
            head = [f"{at} ({one['sentences']})" for at, one in next(iter(mine.values())).items()]
            rows = [[n] + [f"{shown(one[first])} / {shown(one[second])}" for one in lengths.values()] for n, lengths in mine.items()]
            told.append(f"### {title} by English words\n\n" + table(["model"] + head, rows))
    return "\n\n".join(told)


def curves_part(name: str) -> str:
    return f"""### Curves

![Held-out loss](figures/{name}/loss.svg)
![chrF by tokens seen](figures/{name}/quality.svg)
![chrF by supervised positions](figures/{name}/quality-by-supervised.svg)
![Quality by length](figures/{name}/length.svg)
![Blanks filled](figures/{name}/masked.svg)
![Blanks filled by length](figures/{name}/length-encoder.svg)

Losses are of different positions (everywhere, the answer, blanks) and compare within a model, not between models."""


def comparison_part(results: Path) -> str:
    found = read(results, "compare", ".json")
    if not found:
        return ""
    rows = [[f"{row['a']} - {row['b']}", row["metric"], f"{row['difference']:+.2f}", f"{row['interval'][0]:+.2f} to {row['interval'][1]:+.2f}"] for row in found["rows"]]
    text = "### Differences\n\n" + table(["models", "metric", "difference", "95 % bootstrap over sentences"], rows)
    seeds = found["seeds"]
    return text + f"\n\nSeeds a model: {seeds}." + (" With one seed each, no difference is given a cause here." if seeds < 2 else "")


def at(lines: list[dict], axis: str, value: int) -> float:
    """chrF of the validation sentences where a run's `axis` was at `value`, between two of its measurements in a straight line."""
    points = [(line[axis], line["chrf"]) for line in lines if line["kind"] == "quality" and "chrf" in line]
    return float(np.interp(value, *zip(*points)))


def equal_part(logs: dict) -> str:
    """Causal beside prefix when both have seen as many tokens, and when both have been corrected at as many positions."""
    if not {"causal", "prefix"} <= logs.keys():
        return ""
    prefix = [line for line in logs["prefix"] if line["kind"] == "quality" and "chrf" in line]
    rows = []
    # Of a short run two of the four may be one.
    for line in [prefix[i] for i in sorted({round(part * (len(prefix) - 1)) for part in (0.25, 0.5, 0.75, 1)})]:
        tokens, supervised = line["tokens"], line["supervised"]
        rows.append([f"{tokens / 1e6:.1f} M", f"{supervised / 1e6:.1f} M", f"{line['chrf']:.1f}", f"{at(logs['causal'], 'tokens', tokens):.1f}",
                     f"{at(logs['causal'], 'supervised', supervised):.1f}"])  # fmt: skip
    head = ["prefix: tokens seen", "supervised positions", "chrF, prefix", "causal at as many tokens", "causal at as many supervised positions"]
    return f"""### Causal beside prefix: at equal tokens, and at equal supervised positions

{table(head, rows)}

200 validation sentences, the running average of the weights, from the logs. The causal decoder is corrected at the source's tokens too, so it
reaches a number of supervised positions with about half of the tokens, and there its rate has not fallen as far."""


def control_part(results: Path, shipped: dict) -> str:
    """What `training control` found, of the seeds that were measured. `shipped`: the logs of the shipped models."""
    found = read(results, "effects", ".json")
    if not found:
        return ""
    seeds = found["seeds"]
    runs, starts = [], []
    for objective in control.OBJECTIVES:
        measured = [read(results, f"{objective}-{seed}", ".json")["quality"] for seed in seeds]
        lines = [read_log(results / f"{objective}-{seed}.jsonl") for seed in seeds]
        last = max(lines[0], key=lambda line: line["step"])
        starts += [line for log in lines for line in log if line["kind"] == "start"]
        runs.append([objective, "open source" if objective == "prefix" else "causal", "every token" if objective == "causal" else "the answer",
                     f"{last['tokens']:,}", f"{last['supervised']:,}", " / ".join(str(m["bleu"]) for m in measured), " / ".join(str(m["chrf"]) for m in measured)])  # fmt: skip
    rows = [[f"{row['effect']}: {row['a']} - {row['b']}", row["metric"], " / ".join(f"{d:+.2f}" for d in row["seeds"]), f"{row['mean']:+.2f}",
             f"{row['interval'][0]:+.2f} to {row['interval'][1]:+.2f}"] for row in found["rows"]]  # fmt: skip
    hardware = sorted({f"{s['device']}, {s['threads']} thread(s), {s['precision']}" for s in starts})
    same = [f"{o} with seed {seed}" for o in control.OBJECTIVES for seed in seeds if read_log(results / f"{o}-{seed}.jsonl") == shipped.get(o)]
    cuts = sorted(s["tokens"] for s in starts if s["tokens"])
    stretches = f"in stretches that were cut at {cuts[0] / 1e6:.1f} to {cuts[-1] / 1e6:.1f} M tokens" if cuts else "in one stretch each"
    theirs = f"Of these runs, {' and '.join(same)} became the shipped models." if same else "None of these runs is shipped."
    return f"""### The control: is it the mask, or the objective?

From the same beginnings, on the same batches, {stretches}, under one schedule (`decay` {starts[0]["settings"]["decay"]}),
seeds {", ".join(map(str, seeds))}. {theirs} `control` has the causal decoder's mask and the prefix decoder's objective. {"; ".join(hardware)}.

{table(["run", "mask", "loss on", "tokens seen", "supervised positions", "BLEU, seed by seed", "chrF, seed by seed"], runs)}

{table(["what differs", "metric", "seed by seed", "mean", "95 % bootstrap over sentences, of the mean"], rows)}

{told(found)}"""


def told(found: dict) -> str:
    """What the effects allow to be said, by one rule: of the same sign with every seed, and an interval without 0."""
    said = []
    for effect in ("objective", "mask"):
        rows = [row for row in found["rows"] if row["effect"] == effect]
        sign = lambda d: (d > 0) - (d < 0)
        shown = len(found["seeds"]) > 1 and {sign(d) for row in rows for d in [*row["seeds"], *row["interval"]]} in ({1}, {-1})
        helped = {"objective": "loss on every token", "mask": "an open source"}[effect]
        if shown:
            said.append(f"At this budget {helped} {'helps' if rows[0]['mean'] > 0 else 'harms'}: same sign with every seed and in both metrics, 0 outside of the intervals.")
        else:
            said.append(f"What {helped} does is not told apart from chance here.")
    return " ".join(said) + " It holds for this budget, data and size."


def samples_part(measured: dict) -> str:
    samples = {n: f["samples"] for n, f in measured.items() if "samples" in f}
    if not samples:
        return ""
    writers = [n for n in samples if n != "encoder"]
    parts = ["### The first 20 test sentences, unselected", ""]
    if "encoder" in samples:
        parts += ["The encoder's line: the pair with its first reference and one draw of blanks (`_`); what it filled in, in order, and what stood there where",
                  "it is wrong; and how likely its pair head holds the two, without blanks, for a translation.", ""]  # fmt: skip
    for i, sample in enumerate(next(iter(samples.values()))):
        lines = [f"{i + 1}. `{sample['id']}` **{sample['source']}**", f"   - references: {' / '.join(sample['references'])}"]
        lines += [f"   - {n}: {samples[n][i]['output']}" for n in writers]
        lines += [f"   - encoder: {encoder_said(samples['encoder'][i])}"] if "encoder" in samples else []
        parts.append("\n".join(lines))
    return "\n".join(parts)


def encoder_said(sample: dict) -> str:
    filled = ", ".join(f"`{blank['filled']}`" + ("" if blank["filled"] == blank["truth"] else f" (not `{blank['truth']}`)") for blank in sample["blanks"])
    verdict = "a translation" if sample["translation_probability"] > 0.5 else "no translation"
    return f"{sample['blanked']['source']} / {sample['blanked']['target']} Filled: {filled}. {verdict.capitalize()} ({sample['translation_probability']:.1%})"


def report(results: Path, splits: Path) -> str:
    head = """# The matched quartet: what was trained and what it reached

Written by `python -m training report` from the logs in `results/`; do not edit. Sentences of the data that appear below are
from tatoeba.org by way of manythings.org/anki, CC BY 2.0 FR."""
    known = [name for name in QUARTETS if (splits / f"{name}.json").exists()]
    return "\n\n".join([head] + [quartet_report(name, results / name, splits) for name in known]) + "\n"
