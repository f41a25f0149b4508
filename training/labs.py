"""Sentences worth a lesson, found by measuring: the test split, and sentences of our own, through the shipped models.

Five of each kind, the strongest first, with the numbers that make them worth showing. A lesson says what it
claims in these numbers; where the models get better or worse, the search is run again.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations, product
from pathlib import Path

import torch
from sacrebleu.metrics import CHRF
from torch import Tensor

from .data import WORD, Quartet, read_train, words
from .evaluate import believed, digest, read_split
from .model import BOS, CLS, EOS, MASK, SEP, Transformer, Watch, greedy, load
from .objectives import FIRST_ORDINARY, pair_side, source_side
from .tokenizer import load as load_tokenizer

EACH = 5
GUESSES = 20  # likeliest words of the first blank that the joint probability is summed over
FITTING = 0.2  # from here on Dice's measure of two words counts as a pair that the corpus knows
RARE = 20  # a word seen less often in training
LONG = 10  # words of a sentence
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


def dependence(machines: Machines, ids: list[int], first: int, second: int, guesses: int = GUESSES) -> dict:
    """Two blanks filled apart (a product) against one after the other (a joint), and how far they are from each other.
    The divergence is summed over the likeliest `guesses` of the first blank: over fewer than all it is less than the true one."""
    model = machines.models["encoder"]
    both = [MASK if i in (first, second) else id for i, id in enumerate(ids)]
    at_first, at_second = probabilities(model, [both], [first, second])[0]
    likeliest = at_first.topk(guesses)
    filled = [[int(guess) if i == first else id for i, id in enumerate(both)] for guess in likeliest.indices]
    after = torch.cat([probabilities(model, filled[at : at + 256], [second])[:, 0] for at in range(0, guesses, 256)])  # (guesses, V)
    joint = likeliest.values[:, None] * after
    divergence = (joint * (after / at_second).log()).sum()  # of the joint from the product, in nats
    a, b = likeliest.indices[0].item(), at_second.argmax().item()
    best = divmod(joint.argmax().item(), joint.shape[1])
    names = [machines.piece(t) for t in (a, b, likeliest.indices[best[0]].item(), best[1])]
    return {
        "divergence": round(divergence.item(), 3),
        "apart": {"pieces": names[:2], "product": number(at_first[a] * at_second[b]), "joint": number(joint[0, b])},
        "together": {"pieces": names[2:], "product": number(likeliest.values[best[0]] * at_second[best[1]]), "joint": number(joint[best])},
    }  # fmt: skip


def number(x: Tensor) -> float:
    return float(f"{float(x):.3g}")


def dependent_blanks(machines: Machines, sentences: list[tuple[str | None, str]]) -> list[dict]:
    """Of (id, text); ours have no id. Searched by the likeliest words of the first blank, told by all words of the vocabulary."""
    found = []
    for id, text in sentences:
        ids = [CLS, *machines.ids(text), SEP]
        options = [(dependence(machines, ids, a, b), a, b) for a, b in combinations(machines.words(ids), 2)]
        if options:
            found.append((id, text, ids, *max(options, key=lambda one: one[0]["divergence"])))
    # The point is made where the two best guesses do not fit each other.
    clash = [one for one in found if one[3]["apart"]["pieces"] != one[3]["together"]["pieces"]]
    clash.sort(key=lambda one: -one[3]["divergence"])
    whole = lambda ids, a, b: dependence(machines, ids, a, b, machines.tokenizer.get_vocab_size())
    return [({"id": id} if id else {}) | {"text": text, "blanks": [a - 1, b - 1], **whole(ids, a, b)} for id, text, ids, _, a, b in clash[:EACH]]


# ---- a late word and an early one ----------------------------------------------------------------------


def late_words(machines: Machines, cases: list[tuple[str, str, str]]) -> list[dict]:
    found = []
    for one, other, word in cases:
        sides = [source_side(machines.ids(text)) for text in (one, other)]
        at = next((i for i, id in enumerate(sides[0]) if machines.piece(id) == word), None)
        if at is None or sides[0][: at + 1] != sides[1][: at + 1]:
            continue  # the word is cut into pieces, or the beginnings differ
        # Beside it, what the word's state changes by where only the mark at the end is another: its reading stays.
        marked = source_side(machines.ids(one[:-1] + {".": "!", "\u3002": "\uff01"}[one[-1]]))
        change, neutral = ({name: state_change(machines, name, sides[0], other, at) for name in ("causal", "prefix", "encoder")}
                           for other in (sides[1], marked))  # fmt: skip
        outputs = {name: [translate(machines, name, text) for text in (one, other)] for name in GENERATORS}
        found.append({"texts": [one, other], "word": word, "row": at, "state_change": change, "state_change_by_the_final_mark": neutral, "outputs": outputs})
    return sorted(found, key=lambda case: -min(case["state_change"]["prefix"], case["state_change"]["encoder"]))[:EACH]


def state_change(machines: Machines, name: str, one: list[int], other: list[int], at: int) -> float:
    """How far a row's last state is from the one in another sentence, as a share of its length."""
    ids = [[CLS, *side[1:]] if name == "encoder" else side for side in (one, other)]
    a, b = (machines.rows(name, side)[at] for side in ids)
    return round(float((a - b).norm() / a.norm()), 4)


def translate(machines: Machines, name: str, text: str) -> str:
    answers, _ = greedy(machines.models[name], [source_side(machines.ids(text))])
    return machines.tokenizer.decode([t for t in answers[0] if t != EOS])


# ---- alignments ----------------------------------------------------------------------------------------


class Lexicon:
    """How well two words go together in the training pairs: Dice's measure, 1 where neither is ever without the other."""

    def __init__(self, pairs: list[tuple[str, str]], items: list[dict], said: list[str]):
        """Of every source word, and of the target words in `items`' references and in `said`: no other is asked for."""
        targets = {word for text in [*said, *(r for item in items for r in item["references"])] for word in words(text)}
        self.source, self.target, self.both = Counter(), Counter(), Counter()
        for source, target in pairs:
            a, b = set(words(source)), set(words(target)) & targets
            self.source.update(a)
            self.target.update(b)
            self.both.update(product(a, b))

    def dice(self, source: str, target: str) -> float:
        return 2 * self.both[source, target] / max(1, self.source[source] + self.target[target])

    def translations_in(self, target: str, sources: list[str]) -> tuple[str | None, float]:
        """Which of the source's words goes best with a word of the target, and how well."""
        best = max(set(sources), key=lambda word: (self.dice(word, target), word), default=None)
        return best, self.dice(best, target) if best else 0.0


def words_of_pieces(machines: Machines, text: str) -> tuple[list[str], list[int | None]]:
    """The words of a text, and for every piece the number of the word that most of it belongs to; None for marks."""
    spans = [(m.span(), m.group()) for m in WORD.finditer(text.casefold())]
    overlap = lambda number, offsets: min(spans[number][0][1], offsets[1]) - max(spans[number][0][0], offsets[0])
    found = []
    for offsets in machines.tokenizer.encode(text).offsets:
        best = max(range(len(spans)), key=lambda number: overlap(number, offsets), default=None)
        found.append(best if best is not None and overlap(best, offsets) > 0 else None)
    return [word for _, word in spans], found


def looks(machines: Machines, source: str, output: str) -> Tensor:
    """(layer, head, row, source piece) of the cross-attention; row i has read piece i - 1 of the output and writes piece i."""
    ids, answer = source_side(machines.ids(source)), machines.ids(output)
    model, watch, lengths = machines.models["encoder-decoder"], Watch(on=True), torch.tensor([len(ids)])
    model.decode(torch.tensor([[BOS, *answer]]), model.encode(torch.tensor([ids]), lengths), lengths, watch)
    return torch.stack([layer[0] for layer in watch.cross])[..., 1:-1]  # no specials


def alignment(machines: Machines, lexicon: Lexicon, item: dict, output: str) -> dict | None:
    """Where every head looks, and for each piece of the output the words of the source that the lexicon pairs with its word."""
    (texts, own), (said, others) = words_of_pieces(machines, item["source"]), words_of_pieces(machines, output)
    heads = looks(machines, item["source"], output)
    if heads.shape[-1] != len(own) or heads.shape[-2] != len(others) + 1:
        return None  # its text is normalised to another, so pieces do not stand where its words do
    paired = [lexicon.translations_in(said[number], texts) if number is not None else (None, 0.0) for number in others]
    # A word may stand there twice.
    expected = [{at for at, text in enumerate(texts) if text == word} if fit >= FITTING else set() for word, fit in paired]
    return {"item": item, "output": output, "own": own, "words": others, "expected": expected, "heads": heads}


def agreement(found: list[dict]) -> dict[tuple[int, int, int], float]:
    """(shift, layer, head) -> the share of the paired pieces for which the head's largest look is at the paired word.

    Shift 0: the row that writes the piece. Shift 1: the row that has read it; some heads look at what was just said.
    """
    hits, all_ = Counter(), 0
    for one in found:
        best = one["heads"].argmax(-1)
        for i, expected in enumerate(one["expected"]):
            if not expected:
                continue
            all_ += 1
            for shift, layer, head in product((0, 1), range(best.shape[0]), range(best.shape[1])):
                hits[shift, layer, head] += one["own"][best[layer, head, i + shift]] in expected
    return {which: n / max(1, all_) for which, n in hits.items()}


def crossed_alignments(machines: Machines, lexicon: Lexicon, items: list[dict], outputs: dict[str, str]) -> list[dict]:
    """Right translations in which words stand in another order than those that they translate, by the one head of the model
    whose looks agree best with the lexicon. Only pieces count that look at the paired word, with half of their attention or more."""
    right = [item for item in items if outputs[item["id"]] in item["references"] and 4 <= item["words"] <= 9]
    found = [one for item in right if (one := alignment(machines, lexicon, item, outputs[item["id"]]))]
    shares = agreement(found)
    shift, layer, head = max(shares, key=shares.get)
    rows = []
    for one in found:
        mass, looked = (x.tolist() for x in one["heads"][layer, head, shift : shift + len(one["expected"])].max(-1))
        sure = [one["own"][at] in expected and m >= 0.5 for expected, at, m in zip(one["expected"], looked, mass)]
        # Word by word: pieces of one word have no order of their own.
        places = list(dict.fromkeys((of, one["own"][at]) for of, at, is_sure in zip(one["words"], looked, sure) if is_sure))
        crossed = sum(a[0] != b[0] and a[1] > b[1] for a, b in combinations(places, 2))
        answer, ids = machines.ids(one["output"]), machines.ids(one["item"]["source"])
        rows.append({
            "id": one["item"]["id"], "text": one["item"]["source"], "output": one["output"], "layer": layer + 1, "head": head + 1,
            "row": "that has read the piece" if shift else "that writes the piece", "agreement": round(shares[shift, layer, head], 3),
            "crossed_words": crossed, "sure_words": len(places),
            "looks_at": [{"piece": machines.piece(t), "at": machines.piece(ids[at]), "mass": round(m, 3), "sure": is_sure}
                         for t, at, m, is_sure in zip(answer, looked, mass, sure)],
        })  # fmt: skip
    return sorted(rows, key=lambda one: (-one["crossed_words"], -one["sure_words"], one["id"]))[:EACH]


# ---- models that part ways, models that fail -----------------------------------------------------------


def chrf(output: str, references: list[str]) -> float:
    return round(CHRF().sentence_score(output, references).score, 1)


def belief(machines: Machines, source: str, output: str) -> float:
    """How likely the encoder's pair head holds an answer for a translation."""
    return number(believed(machines.models["encoder"], [pair_side(machines.ids(source), machines.ids(output))])[0])


def is_wrong(machines: Machines, source: str, output: str, written: set[str]) -> bool:
    """A low mark may only say that the references lack a good translation. So an answer counts as wrong where the encoder
    does not believe it either, and nobody wrote it as a translation of anything in training."""
    return output not in written and belief(machines, source, output) < 0.5


def parted(machines: Machines, items: list[dict], outputs: dict[str, dict[str, str]], written: set[str]) -> list[dict]:
    """Sentences on which causal and prefix differ most, at least two won by each where there are, the loser wrong."""
    found = []
    for item in items:
        said = {name: outputs[name][item["id"]] for name in ("causal", "prefix")}
        marks = {name: chrf(text, item["references"]) for name, text in said.items()}
        if is_wrong(machines, item["source"], said[min(marks, key=marks.get)], written):
            beliefs = {name: belief(machines, item["source"], text) for name, text in said.items()}
            found.append({"id": item["id"], "text": item["source"], "references": item["references"], "outputs": said,
                          "chrf": marks, "pair_head": beliefs})  # fmt: skip
    gap = lambda one: one["chrf"]["causal"] - one["chrf"]["prefix"]
    found.sort(key=gap)
    return found[:3] + found[::-1][:2]


def difficulty(item: dict, machines: Machines, seen: Counter) -> dict:
    """What may be hard about a sentence, in numbers."""
    own = words(item["source"])
    rarest = min(own, key=lambda word: (seen[word], word))
    return {"words": item["words"], "pieces_a_word": round(len(machines.ids(item["source"])) / max(1, len(own)), 2),
            "rarest_word": rarest, "rarest_word_in_training": seen[rarest]}  # fmt: skip


def chance(machines: Machines, name: str, source: str, target: str) -> float:
    """The log-probability (nats) that a model gives a whole answer."""
    model, ids, answer = machines.models[name], source_side(machines.ids(source)), [*machines.ids(target), EOS]
    if model.config.architecture == "encoder-decoder":
        rows = model.rows(torch.tensor([ids]), torch.tensor([len(ids)]), torch.tensor([[BOS, *answer[:-1]]]))[0]
    else:
        rows = model.rows(torch.tensor([[*ids, *answer[:-1]]]), torch.tensor([len(ids)]))[0, len(ids) - 1 :]
    return float(model.logits(rows).log_softmax(-1)[range(len(answer)), answer].sum())


def why_written(machines: Machines, name: str, one: dict) -> dict:
    """The cause that a measurement names, the first that holds: greedy search missed a reference that the model itself holds for
    likelier; or a word is rare in training; or the sentence is long; or none of these, so that the model has learnt it wrongly."""
    output = chance(machines, name, one["text"], one["output"])
    reference = max(chance(machines, name, one["text"], r) for r in one["references"])
    cause = ("search" if reference > output else "rare word" if one["rarest_word_in_training"] < RARE
             else "long" if one["words"] >= LONG else "common words, wrongly learnt")  # fmt: skip
    return {"why": cause, "log_probability": {"output": round(output, 2), "best_reference": round(reference, 2)}}


def failures(machines: Machines, items: list[dict], outputs: dict, seen: Counter, lexicon: Lexicon, written: set[str]) -> dict[str, list[dict]]:
    """The worst answers by chrF that are wrong, each with its cause."""
    found = {}
    for name in GENERATORS:
        marked = [{"id": i["id"], "text": i["source"], "references": i["references"], "output": outputs[name][i["id"]],
                   "chrf": chrf(outputs[name][i["id"]], i["references"]), **difficulty(i, machines, seen)}
                  for i in items if is_wrong(machines, i["source"], outputs[name][i["id"]], written)]  # fmt: skip
        worst = sorted(marked, key=lambda one: one["chrf"])[:EACH]
        found[name] = [one | why_written(machines, name, one) for one in worst]
    found["encoder"] = wrong_blanks(machines, items, seen, lexicon)
    return found


def wrong_blanks(machines: Machines, items: list[dict], seen: Counter, lexicon: Lexicon) -> list[dict]:
    """Single blanks, the translation in view, that the encoder fills wrongly and is most sure about; and only where the
    translation speaks for the truth: a word of it goes with the true word at least twice as well as any does with the guess."""
    found, model = [], machines.models["encoder"]
    for item in items[:300]:
        source, target = machines.ids(item["source"]), machines.ids(item["references"][0])
        ids = [CLS, *source, SEP, *target, SEP]
        blanks = machines.words(ids[: ids.index(SEP) + 1])
        if not blanks:
            continue
        blanked = [[MASK if i == blank else id for i, id in enumerate(ids)] for blank in blanks]
        chances = probabilities(model, blanked, blanks)
        beside = words(item["references"][0])
        for row, blank in enumerate(blanks):
            sure, guess = chances[row, row].max(-1)
            truth_word, guess_word = (machines.piece(t).casefold() for t in (ids[blank], guess.item()))
            fits = {word: max((lexicon.dice(word, other), other) for other in beside) if beside else (0.0, "") for word in (truth_word, guess_word)}
            if guess.item() == ids[blank] or fits[truth_word][0] < max(FITTING, 2 * fits[guess_word][0]):
                continue
            alone = probabilities(model, [blanked[row][: ids.index(SEP) + 1]], [blank])[0, 0]
            numbers = difficulty(item, machines, seen)
            cause = ("rare word" if seen[truth_word] < RARE else "its own side outweighs the translation" if alone.argmax() == guess.item()
                     else "the translation misread")  # fmt: skip
            found.append({"id": item["id"], "text": item["source"], "pair": item["references"][0], "blank": blank - 1,
                "truth": machines.piece(ids[blank]), "truth_probability": number(chances[row, row, ids[blank]]),
                "guess": machines.piece(guess.item()), "guess_probability": number(sure), "guess_probability_alone": number(alone[guess]),
                "translation_has": {word: {"word": other, "dice": round(fit, 3)} for word, (fit, other) in fits.items()},
                "truth_in_training": seen[truth_word], **numbers, "why": cause})  # fmt: skip
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
    pairs = [pair.sides(quartet) for pair in read_train(work / quartet.name)]
    seen = Counter(word for source, _ in pairs for word in words(source))
    written = {target for _, target in pairs}
    lexicon = Lexicon(pairs, items, list(outputs["encoder-decoder"].values()))
    sentences = [(None, text) for text in DEPENDENT.get(quartet.name, [])]
    sentences += [(item["id"], item["source"]) for item in items if 4 <= item["words"] <= 7][:60]
    return {
        "version": 1, "quartet": quartet.name, "models": machines.hashes,
        "credit": "sentences with an id: tatoeba.org by way of manythings.org/anki, CC BY 2.0 FR",
        "dependent_blanks": dependent_blanks(machines, sentences),
        "late_words": late_words(machines, LATE.get(quartet.name, [])),
        "crossed_alignments": crossed_alignments(machines, lexicon, items, outputs["encoder-decoder"]),
        "causal_and_prefix_part": parted(machines, items, outputs, written),
        "failures": failures(machines, items, outputs, seen, lexicon, written),
    }  # fmt: skip
