"""Sentences worth a lesson, found by measuring: the test split, and sentences of our own, through the shipped models.

Five of each kind, the strongest first, with the numbers that make them worth showing. A lesson says what it
claims in these numbers; where the models get better or worse, the search is run again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import torch
from sacrebleu.metrics import CHRF
from torch import Tensor

from .data import Quartet, read_train, words
from .evaluate import digest, read_split
from .model import BOS, CLS, EOS, MASK, SEP, Transformer, Watch, greedy, load
from .objectives import FIRST_ORDINARY, source_side
from .tokenizer import load as load_tokenizer

EACH = 5
GUESSES = 20  # likeliest words of the first blank that the joint probability is summed over
GENERATORS = ("causal", "prefix", "encoder-decoder")

# Ours: two sentences that share a beginning; what comes late decides how the early word is read.
LATE = {
    "en-fr": [
        ("The bank of the river is green.", "The bank of the town is closed.", "bank"),
        ("The light is on.", "The light suitcase is mine.", "light"),
        ("Her watch is new.", "Her watch begins at night.", "watch"),
        ("I left my glasses at home.", "I left my glasses of water there.", "glasses"),
        ("He runs fast.", "He runs a company.", "runs"),
        ("She plays tennis.", "She plays the piano.", "plays"),
        ("They play chess.", "They play the guitar.", "play"),
        ("I know him.", "I know how to swim.", "know"),
        ("I know where he lives.", "I know your sister.", "know"),
        ("It takes time.", "It takes two men.", "takes"),
        ("He is cold.", "He is tired.", "is"),
        ("She is right.", "She is rich.", "is"),
        ("I am hungry.", "I am happy.", "am"),
        ("I am ten years old.", "I am at home.", "am"),
        ("You are a doctor, sir.", "You are my friends.", "You"),
        ("My mother.", "My father.", "My"),
        ("My new car is red.", "My new bicycles are red.", "My"),
        ("The old man is here.", "The old woman is here.", "old"),
        ("The cat is white.", "The house is white.", "The"),
        ("It is raining.", "It is a book.", "It"),
        ("It is late.", "It is my cat.", "It"),
        ("Turn left.", "Turn the light off.", "Turn"),
        ("I miss the train.", "I miss you.", "miss"),
        ("We have a dog.", "We have to go.", "have"),
        ("He has finished his work.", "He has a new car.", "has"),
        ("I used the phone.", "I used to smoke.", "used"),
        ("They are looking at the sea.", "They are looking for the cat.", "looking"),
    ],
    "zh-en": [
        ("他打电话。", "他打篮球。", "打"),
        ("她开门。", "她开车。", "开"),
        ("他会来。", "他会英语。", "会"),
        ("我想你。", "我想睡觉。", "想"),
        ("请上车。", "请上课。", "上"),
        ("我们看书。", "我们看医生。", "看"),
        ("他在银行。", "他在银河里。", "银"),
        ("他长大了。", "他长得很高。", "长"),
        ("下雨了。", "下车了。", "下"),
        ("行人很多。", "行李很重。", "行"),
        ("我要水。", "我要走。", "要"),
        ("他做饭。", "他做医生。", "做"),
        ("花很红。", "花钱很容易。", "花"),
        ("老师来了。", "老人来了。", "老"),
        ("东西很贵。", "东京很大。", "东"),
        ("他说过。", "他说得快。", "说"),
    ],
}  # fmt: skip
# Ours: sentences whose words come in pairs that fit each other.
DEPENDENT = {
    "en-fr": [
        "The doctor talks to the patient.", "She wears a red dress.", "He plays the piano.", "The king and the queen are here.",
        "My brother and my sister are tired.", "He drinks a cup of tea.", "Open the door.", "Close the window.", "I eat bread and butter.",
        "The dog runs after the cat.", "She speaks French.", "It is cold in winter.", "He is reading a book.", "I am not hungry.",
        "Monday comes after Sunday.", "The train arrives at noon.", "They went to the beach in summer.", "We listen to music.",
    ],
    "zh-en": [
        "他是一名医生。", "我喜欢音乐。", "她在学校学习英语。", "今天天气很好。", "我的朋友住在北京。", "他们在图书馆看书。", "请打开窗户。",
        "妈妈在厨房做饭。", "我们明天去公园。", "因为下雨，所以我没去。", "他每天早上喝咖啡。", "这个问题很难。", "火车几点到？",
    ],
}  # fmt: skip


class Machines:
    """The four shipped models of a quartet and their one tokenizer."""

    def __init__(self, models: Path, quartet: Quartet):
        folder = lambda name: models / f"{quartet.name}-{name}"
        self.models = {name: load(folder(name)) for name in ("encoder", *GENERATORS)}
        self.hashes = {name: digest(folder(name)) for name in self.models}
        self.tokenizer = load_tokenizer(folder("causal") / "tokenizer.json")

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def piece(self, token: int) -> str:
        return self.tokenizer.id_to_token(token).replace("\u2581", " ").strip() or " "

    def words(self, ids: list[int]) -> list[int]:
        """Rows that hold a whole word: a Chinese character, or a letter string that no further piece goes on with."""
        marked = [self.tokenizer.id_to_token(id).startswith("\u2581") or "\u3400" <= self.piece(id) <= "\u9fff" for id in ids]
        goes_on = lambda i: i + 1 < len(ids) and ids[i + 1] >= FIRST_ORDINARY and not marked[i + 1] and self.piece(ids[i + 1])[0].isalpha()
        return [i for i in range(len(ids)) if marked[i] and self.piece(ids[i]).isalpha() and not goes_on(i)]

    def rows(self, name: str, ids: list[int], source_length: int | None = None) -> Tensor:
        """Last rows (R, W) of one sequence in a model of one stack."""
        return self.models[name].rows(torch.tensor([ids]), torch.tensor([source_length or len(ids)]))[0]


# ---- blanks that depend on each other ------------------------------------------------------------------


def probabilities(model: Transformer, batch: list[list[int]], rows: list[int]) -> Tensor:
    """(B, N, V) of sequences of equal length, at `rows` (N)."""
    ids = torch.tensor(batch)
    hidden = model.encode(ids, torch.full((len(batch),), ids.shape[1]))
    return model.logits(hidden[:, rows]).softmax(-1)


def dependence(machines: Machines, ids: list[int], first: int, second: int) -> dict:
    """Two blanks filled apart (a product) against one after the other (a joint), and how far they are from each other."""
    model = machines.models["encoder"]
    both = [MASK if i in (first, second) else id for i, id in enumerate(ids)]
    at_first, at_second = probabilities(model, [both], [first, second])[0]
    guesses = at_first.topk(GUESSES)
    filled = [[int(guess) if i == first else id for i, id in enumerate(both)] for guess in guesses.indices]
    after = probabilities(model, filled, [second])[:, 0]  # (GUESSES, V)
    joint = guesses.values[:, None] * after
    divergence = (joint * (after / at_second).log()).sum()  # of the joint from the product, in nats
    a, b = guesses.indices[0].item(), at_second.argmax().item()
    best = divmod(joint.argmax().item(), joint.shape[1])
    names = [machines.piece(t) for t in (a, b, guesses.indices[best[0]].item(), best[1])]
    return {
        "divergence": round(divergence.item(), 3),
        "apart": {"pieces": names[:2], "product": number(at_first[a] * at_second[b]), "joint": number(joint[0, b])},
        "together": {"pieces": names[2:], "product": number(guesses.values[best[0]] * at_second[best[1]]), "joint": number(joint[best])},
        "summed": number(guesses.values.sum()),
    }  # fmt: skip


def number(x: Tensor) -> float:
    return float(f"{float(x):.3g}")


def dependent_blanks(machines: Machines, sentences: list[str]) -> list[dict]:
    found = []
    for text in sentences:
        ids = [CLS, *machines.ids(text), SEP]
        options = [{"text": text, "blanks": [a - 1, b - 1], **dependence(machines, ids, a, b)} for a, b in combinations(machines.words(ids), 2)]
        if options:
            found.append(max(options, key=lambda one: one["divergence"]))
    # The point is made where the two best guesses do not fit each other.
    clash = [one for one in found if one["apart"]["pieces"] != one["together"]["pieces"]]
    return sorted(clash, key=lambda one: -one["divergence"])[:EACH]


# ---- a late word and an early one ----------------------------------------------------------------------


def late_words(machines: Machines, cases: list[tuple[str, str, str]]) -> list[dict]:
    found = []
    for one, other, word in cases:
        sides = [source_side(machines.ids(text)) for text in (one, other)]
        at = next((i for i, id in enumerate(sides[0]) if machines.piece(id) == word), None)
        if at is None or sides[0][: at + 1] != sides[1][: at + 1]:
            continue  # the word is cut into pieces, or the beginnings differ
        change = {}
        for name in ("causal", "prefix", "encoder"):
            ids = sides if name != "encoder" else [[CLS, *side[1:]] for side in sides]
            a, b = (machines.rows(name, side)[at] for side in ids)
            change[name] = round(float((a - b).norm() / a.norm()), 4)
        outputs = {name: [translate(machines, name, text) for text in (one, other)] for name in GENERATORS}
        found.append({"texts": [one, other], "word": word, "row": at, "state_change": change, "outputs": outputs})
    return sorted(found, key=lambda case: -min(case["state_change"]["prefix"], case["state_change"]["encoder"]))[:EACH]


def translate(machines: Machines, name: str, text: str) -> str:
    answers, _ = greedy(machines.models[name], [source_side(machines.ids(text))])
    return machines.tokenizer.decode([t for t in answers[0] if t != EOS])


# ---- alignments ----------------------------------------------------------------------------------------


def alignment(machines: Machines, source: str, output: str) -> dict | None:
    """Where each written piece looked: the layer and head of the cross-attention whose mass on single source words is
    largest, and how many pairs of pieces stand in another order than what they looked at."""
    model = machines.models["encoder-decoder"]
    ids, answer = source_side(machines.ids(source)), machines.ids(output)
    watch = Watch(on=True)
    lengths = torch.tensor([len(ids)])
    model.decode(torch.tensor([[BOS, *answer]]), model.encode(torch.tensor([ids]), lengths), lengths, watch)
    heads = torch.stack([layer[0] for layer in watch.cross])[..., : len(answer), :]  # (layer, head, row, key)
    inside = heads[..., 1:-1]  # no specials
    layer, head = divmod(int(inside.amax(-1).mean(-1).argmax()), heads.shape[1])
    mass, looked = inside[layer, head].max(-1)
    places = looked.tolist()
    crossed = sum(a > b for a, b in combinations(places, 2))
    pieces = [machines.piece(t) for t in answer]
    return {"text": source, "output": output, "layer": layer + 1, "head": head + 1, "crossed_pairs": crossed, "mass": round(mass.mean().item(), 3),
            "looks_at": [[piece, machines.piece(ids[1 + at]), round(m, 3)] for piece, at, m in zip(pieces, places, mass.tolist())]}  # fmt: skip


def crossed_alignments(machines: Machines, items: list[dict], outputs: dict[str, str]) -> list[dict]:
    right = [item for item in items if outputs[item["id"]] in item["references"] and 4 <= item["words"] <= 9]
    found = [alignment(machines, item["source"], outputs[item["id"]]) | {"id": item["id"]} for item in right]
    sharp = [one for one in found if one["mass"] >= 0.4]
    return sorted(sharp, key=lambda one: (-one["crossed_pairs"], -one["mass"]))[:EACH]


# ---- models that part ways, models that fail -----------------------------------------------------------


def chrf(output: str, references: list[str]) -> float:
    return round(CHRF().sentence_score(output, references).score, 1)


def parted(items: list[dict], outputs: dict[str, dict[str, str]]) -> list[dict]:
    """Sentences on which causal and prefix differ most, at least two won by each where there are."""
    found = []
    for item in items:
        said = {name: outputs[name][item["id"]] for name in ("causal", "prefix")}
        marks = {name: chrf(text, item["references"]) for name, text in said.items()}
        found.append({"id": item["id"], "text": item["source"], "references": item["references"], "outputs": said, "chrf": marks})
    gap = lambda one: one["chrf"]["causal"] - one["chrf"]["prefix"]
    found.sort(key=gap)
    return found[:3] + found[::-1][:2]


def reasons(item: dict, machines: Machines, seen: Counter) -> dict:
    """What may be hard about a sentence: numbers, no verdict."""
    own = words(item["source"])
    rarest = min(own, key=lambda word: seen[word])
    return {"words": item["words"], "pieces_a_word": round(len(machines.ids(item["source"])) / max(1, len(own)), 2),
            "rarest_word": rarest, "rarest_word_in_training": seen[rarest]}  # fmt: skip


def failures(machines: Machines, items: list[dict], outputs: dict, seen: Counter) -> dict[str, list[dict]]:
    found = {}
    for name in GENERATORS:
        marked = [{"id": i["id"], "text": i["source"], "references": i["references"], "output": outputs[name][i["id"]],
                   "chrf": chrf(outputs[name][i["id"]], i["references"]), **reasons(i, machines, seen)} for i in items]  # fmt: skip
        found[name] = sorted(marked, key=lambda one: one["chrf"])[:EACH]
    found["encoder"] = wrong_blanks(machines, items, seen)
    return found


def wrong_blanks(machines: Machines, items: list[dict], seen: Counter) -> list[dict]:
    """Single blanks, the translation in view, that the encoder fills wrongly and is most sure about."""
    found = []
    for item in items[:300]:
        ids = [CLS, *machines.ids(item["source"]), SEP, *machines.ids(item["references"][0]), SEP]
        blanks = machines.words(ids[: ids.index(SEP) + 1])
        if not blanks:
            continue
        batch = [[MASK if i == blank else id for i, id in enumerate(ids)] for blank in blanks]
        chances = probabilities(machines.models["encoder"], batch, blanks)
        for row, blank in enumerate(blanks):
            chance, guess = chances[row, row].max(-1)
            if guess.item() != ids[blank]:
                found.append({"id": item["id"], "text": item["source"], "pair": item["references"][0], "blank": blank - 1,
                    "truth": machines.piece(ids[blank]), "truth_probability": number(chances[row, row, ids[blank]]),
                    "guess": machines.piece(guess.item()), "guess_probability": number(chance), **reasons(item, machines, seen)})  # fmt: skip
    return sorted(found, key=lambda one: -one["guess_probability"])[:EACH]


@torch.no_grad()
def labs(models: Path, results: Path, work: Path, quartet: Quartet) -> dict:
    machines = Machines(models, quartet)
    items = read_split(work, quartet, "test", None)
    outputs = {}
    for name in GENERATORS:
        measured = json.loads((results / f"{name}.json").read_text())
        if measured["model_sha256"] != machines.hashes[name]:
            raise ValueError(f"results of `{name}`: expected those of the shipped weights {machines.hashes[name][:12]}, got {measured['model_sha256'][:12]}")
        outputs[name] = measured["outputs"]
    seen = Counter(word for pair in read_train(work / quartet.name) for word in words(pair.sides(quartet)[0]))
    sentences = DEPENDENT.get(quartet.name, []) + [item["source"] for item in items if 4 <= item["words"] <= 7][:60]
    return {
        "version": 1, "quartet": quartet.name, "models": machines.hashes,
        "credit": "sentences with an id: tatoeba.org by way of manythings.org/anki, CC BY 2.0 FR",
        "dependent_blanks": dependent_blanks(machines, sentences),
        "late_words": late_words(machines, LATE.get(quartet.name, [])),
        "crossed_alignments": crossed_alignments(machines, items, outputs["encoder-decoder"]),
        "causal_and_prefix_part": parted(items, outputs),
        "failures": failures(machines, items, outputs, seen),
    }  # fmt: skip
