"""What is measured of a model, and what the report and models.json make of it."""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from training import __main__ as program
from training import data, evaluate, export, labs, report, train
from training import tokenizer as tokens

from .test_data import CHINESE, ENGLISH

QUARTET = data.QUARTETS["en-fr"]
WORDS = {"the": "le", "red": "rouge", "old": "vieux", "cat": "chat", "dog": "chien", "sleeps": "dort", "eats": "mange", "here": "ici"}
PAIRS = [(f"The {a} {b} {c} here.", f"Le {WORDS[b]} {WORDS[a]} {WORDS[c]} ici.") for a, b, c in product(("red", "old"), ("cat", "dog"), ("sleeps", "eats"))]


@pytest.fixture(scope="module")
def tokenizer():
    return tokens.train([side for pair in PAIRS * 30 for side in pair], 400)


@pytest.fixture(scope="module")
def work(tmp_path_factory, tokenizer):
    """The last two pairs are held out; half of the others have the sources of the first two."""
    work = tmp_path_factory.mktemp("work")
    folder = work / "en-fr"
    folder.mkdir()
    (folder / "train.tsv").write_text("".join(f"{e}\t{f}\n" for e, f in PAIRS[:-2]))
    items = [{"id": str(i), "words": n, "source": e, "references": [f]} for i, (n, (e, f)) in enumerate(zip((5, 5, 8, 8), PAIRS[:2] + PAIRS[-2:]))]
    for split in ("validation", "test"):
        (folder / f"{split}.json").write_text(json.dumps(items))
    tokenizer.save(str(folder / "tokenizer.json"))
    return work


def exported(work: Path, objective: str, models: Path) -> Path:
    settings = train.Settings(objective, batch_tokens=100, warm_up_tokens=1000, decay=0)
    train.train(work / "en-fr" / "runs" / objective, work, QUARTET, settings, train.Budget(None, 2, None), precision="f32")
    folder = models / f"en-fr-{objective}"
    export.export(work / "en-fr" / "runs" / objective, folder, work, QUARTET, average=False, logs=None)
    return folder


@pytest.fixture
def measure(work, monkeypatch):
    # Two steps teach nothing, and sacrebleu's bootstrap refuses outputs of which nothing is right.
    monkeypatch.setattr(evaluate, "translations", lambda model, tokenizer, sources: [PAIRS[0][1]] * len(sources))
    return lambda folder, out: evaluate.evaluate(folder, work, QUARTET, "test", None, out)


def test_a_packed_model_is_held_against_the_one_before_it_was_rounded(work, measure, tmp_path):
    models, results = tmp_path / "models", tmp_path / "results"
    folder = exported(work, "prefix", models)
    mine = results / "en-fr"
    before = mine / export.UNROUNDED / "prefix.json"
    measure(folder, before)
    export.pack_measured(folder, before)
    measured = measure(folder, mine / "prefix.json")
    packed = measure(folder.with_name(f"{folder.name}-int8"), mine / export.PACKED / "prefix.json")
    noted = json.loads(before.read_text())
    assert noted["rounded_sha256"] == evaluate.digest(folder) != noted["model_sha256"]
    listed = lambda: "packed" in export.models_file(models, results)["models"][0]
    assert listed()
    export.pack_measured(folder, before)
    assert json.loads(before.read_text()) == noted, "what was rounded stays, and so does the note"
    told = report.packed_part({"prefix": measured}, {"prefix": noted}, {"prefix": packed})
    assert f"`{noted['model_sha256'][:12]}`" in told and f"`{packed['model_sha256'][:12]}`" in told

    better = noted["quality"] | {"bleu": packed["quality"]["bleu"] + 0.6}
    before.write_text(json.dumps(noted | {"quality": better}))
    assert not listed(), "it lost more than half a point"
    before.write_text(json.dumps(noted | {"rounded_sha256": "of other weights"}))
    assert not listed()
    measure(folder, before)
    export.pack_measured(folder, before)
    assert not listed(), "what is measured after the rounding says nothing about it"
    assert report.packed_part({"prefix": measured}, {"prefix": json.loads(before.read_text())}, {"prefix": packed}) == ""


def test_sentences_whose_source_was_trained_on_are_told_apart(work, measure, tmp_path):
    found = measure(exported(work, "causal", tmp_path), tmp_path / "causal.json")
    assert found["unseen"]["sentences"] == 2 and found["references_trained_on"] == 2
    told = report.unseen_part({"causal": found})
    assert "of the 4\nsentences, 2 have a source that was trained on" in told
    chinese = tokens.train(CHINESE * 30 + ENGLISH * 30, 500, rare=5)
    items = [{"source": source} for source in ("我愛學習漢語。", "他在学校学习。", "我学习。")]
    assert evaluate.new_sources(chinese, items, [("我爱学习汉语。", "x"), ("他在学校。", "y")]) == [1, 2]


def test_the_encoder_is_told_by_sentence_and_by_length(work, measure, tmp_path):
    found = measure(exported(work, "encoder", tmp_path), tmp_path / "encoder.json")
    assert [(at, one["sentences"]) for at, one in found["by_length"].items()] == [("4-6", 2), ("7-9", 2)]
    assert all(0 <= one[what] <= 1 for one in found["by_length"].values() for what in ("blanks", "pairs"))
    assert found["pair"]["counts"] == {"true": 4, "easy": 4, "hard": 4, "nearest": 4}
    for sample in found["samples"]:
        text = f"{sample['blanked']['source']} | {sample['blanked']['target']}"
        assert text.count("_") == len(sample["blanks"]) > 0
        for blank in sample["blanks"]:
            text = text.replace("_", blank["truth"], 1)
        assert text == f"{sample['source']} | {sample['references'][0]}"
        assert sample["blanked"]["target"] in report.encoder_said(sample)
    told = report.samples_part({"encoder": found}) + report.length_part({"encoder": found})
    assert "   - encoder: " in told and "### Encoder: blanks filled / pairs told rightly by English words" in told


def test_equal_tokens_have_no_row_twice():
    quality = lambda n: {"kind": "quality", "tokens": n * 10**6, "supervised": n * 10**6, "chrf": 10.0 * n}
    for points, rows in ((1, 1), (3, 3), (9, 4)):
        line = [quality(n + 1) for n in range(points)]
        told = report.equal_part({"causal": line, "prefix": line}).split("\n\n")[1].splitlines()[2:]
        assert len(told) == len(set(told)) == rows


def test_words_that_cross_are_counted_by_the_head_that_agrees(tokenizer, monkeypatch):
    machines = object.__new__(labs.Machines)
    machines.tokenizer = tokenizer
    crossing, straight = PAIRS[0], ("The cat sleeps here.", "Le chat dort ici.")
    looked_at = {crossing[0]: [0, 2, 1, 3, 4, 5], straight[0]: [0, 1, 2, 3, 4]}

    def looks(machines, source, output):
        """Two heads of one layer: the first looks straight on, the second at the words that it translates."""
        at = looked_at[source]
        assert len(machines.ids(source)) == len(machines.ids(output)) == len(at), "a piece a word, and the mark at the end"
        heads = torch.zeros(1, 2, len(at) + 1, len(at))
        heads[0, 0, range(len(at)), range(len(at))] = 1
        heads[0, 1, range(len(at)), at] = torch.tensor(mass)[: len(at)]
        return heads

    monkeypatch.setattr(labs, "looks", looks)
    items = [{"id": str(i), "words": 5, "source": s, "references": [t]} for i, (s, t) in enumerate((straight, crossing))]
    outputs = {item["id"]: item["references"][0] for item in items}
    lexicon = labs.Lexicon([*WORDS.items()], items, [])
    mass = [1.0] * 6
    shares = labs.agreement([labs.alignment(machines, lexicon, item, outputs[item["id"]]) for item in items])
    assert shares[0, 0, 1] == 1 and shares[0, 0, 0] == pytest.approx(7 / 9)
    assert max(shares, key=shares.get) == (0, 0, 1)
    counts = lambda: [(one["id"], one["head"], one["crossed_words"], one["sure_words"]) for one in labs.crossed_alignments(machines, lexicon, items, outputs)]
    assert counts() == [("1", 2, 1, 5), ("0", 2, 0, 4)]
    mass[2] = 0.4  # "rouge" and, in the other sentence, "dort" are no longer sure
    assert counts() == [("1", 2, 0, 4), ("0", 2, 0, 3)]


def test_hard_negatives_do_not_depend_on_how_python_hashes():
    code = """
import numpy as np
from training.data import hard_negatives
sides = [(f"I see {a} {b}.", f"Je vois {a} {b} ici.") for a in "abcdefgh" for b in "klmnopqr"]
print(hard_negatives(sides, np.random.default_rng(0), nearest=2, drawn=1, tries=5).tolist())
"""
    of = lambda seed: subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, cwd=program.HERE.parent,
                                     capture_output=True, text=True, check=True).stdout  # fmt: skip
    first, second = of("1"), of("2")
    assert first == second and len(json.loads(first)) == 64


@pytest.mark.parametrize("quartet", data.QUARTETS.values(), ids=data.QUARTETS.keys())
def test_what_is_not_given_is_the_quartets(quartet, monkeypatch):
    called = []
    monkeypatch.setattr(train, "train", lambda *arguments: called.append(arguments))
    command = lambda *words: program.main(["train", *words, "--quartet", quartet.name])
    command("prefix")
    command("encoder", "--steps", "5", "--decay", "0")
    of = [(call[3].batch_tokens, call[3].decay, call[3].dropout, call[4].tokens) for call in called]
    assert of == [(quartet.batch_tokens, quartet.decay, quartet.dropout, quartet.tokens), (quartet.batch_tokens, 0, 0, None)]


def test_all_measures_before_it_rounds(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(program, "run_step", lambda options, *words: steps.append(words))
    program.main(["all", "--data", "somewhere", "--work", str(tmp_path)])
    at = lambda *words: steps.index(words)
    assert ("train", "prefix", "--seed", 1, "--threads", 1) in steps, "the budget is the quartet's"
    for name in ("encoder", "causal", "prefix", "encoder-decoder"):
        exports = next(i for i, words in enumerate(steps) if words[0] == "export")
        assert exports < at("evaluate", name, "--unrounded") < at("pack") < at("evaluate", name) < at("evaluate", name, "--packed") < at("export")
