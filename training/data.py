"""Sentence pairs: cleaned, split so that nothing tested was seen, encoded, and cut into batches.

The split goes by English sentence, compared without case and punctuation, over every file that any quartet
trains on. A sentence held out for one quartet is held out for all, so a model that starts from another's
weights or shares its corpus has not seen its own test.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import numpy as np

from .tokenizer import load as load_tokenizer
from .tokenizer import normalizer

SEED = 20261122
HELD_OUT = 1000  # sentences for validation, and as many for the test
MOST_WORDS = 12  # English words in a sentence
CORPUS = "corpus.npz"  # inside a quartet's work folder
MOST_TOKENS = 40  # tokens a side; far less than the positions of the model


@dataclass(frozen=True)
class Quartet:
    """Which pairs a quartet learns. A row of the file has English first, the other language second."""

    name: str
    file: str
    source: str
    target: str
    english_first: bool
    vocab_size: int
    rare: int  # a character seen less often than this is spelled in bytes
    tokens: int  # that each model sees
    batch_tokens: int
    decay: float  # the last part of the budget, over which the rate falls to 0
    dropout: float  # of the models that write; the encoder has none
    beside: str = ""  # another quartet, whose English sentences are learnt beside the pairs


QUARTETS = {
    "en-fr": Quartet("en-fr", "eng-fra.tsv", "en", "fr", True, 3312, 20, 62_000_000, 8000, 0.8, 0.1),
    "zh-en": Quartet("zh-en", "eng-cmn.tsv", "zh", "en", False, 4200, 5, 3_500_000, 3000, 0.6, 0.0, "en-fr"),
}
NEAREST = 4  # pairs kept for each training pair that look like its translation and are none
ALONE_EVERY = 2  # where a quartet has sentences beside its pairs: every second batch is of them


@dataclass(frozen=True)
class Pair:
    english: str
    other: str

    def sides(self, quartet: Quartet) -> tuple[str, str]:
        return (self.english, self.other) if quartet.english_first else (self.other, self.english)


def key(english: str) -> str:
    """What makes two English sentences one for the split: their words, whatever the case and punctuation."""
    return " ".join(re.findall(r"[^\W_]+", english.casefold()))


def sentence_id(english: str) -> str:
    """A name for a sentence that gives none of it away."""
    return hashlib.sha256(english.encode()).hexdigest()[:16]


def order(text: str) -> str:
    """A fixed shuffle: sentences sorted by this are in an order that neither length nor file decides."""
    return hashlib.sha256(f"{SEED}:{text}".encode()).hexdigest()


def read_pairs(path: Path) -> list[Pair]:
    clean = normalizer().normalize_str
    pairs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        english, other = (clean(column) for column in line.split("\t")[:2])
        if 1 <= len(english.split()) <= MOST_WORDS and key(english) and other:
            pairs.append(Pair(english, other))
    return list(dict.fromkeys(pairs))


def split_keys(files: dict[str, list[Pair]]) -> dict[str, dict[str, list[str]]]:
    """{quartet: {"validation": keys, "test": keys}} so that a key held out anywhere is trained on nowhere."""
    held: dict[str, str] = {}
    splits: dict[str, dict[str, list[str]]] = {}
    for name in sorted(files):
        mine = sorted({key(pair.english) for pair in files[name]}, key=order)
        splits[name] = {}
        for part in ("test", "validation"):
            # A key that another quartet holds out keeps its part here.
            kept = [k for k in mine if held.get(k, part) == part][:HELD_OUT]
            held.update((k, part) for k in kept)
            splits[name][part] = kept
    return splits


def prepare(data: Path, work: Path, splits_folder: Path) -> None:
    """Reads the files of `data`, writes train.tsv, validation.json and test.json for every quartet."""
    files = {q.name: read_pairs(data / q.file) for q in QUARTETS.values() if (data / q.file).exists()}
    if not files:
        raise FileNotFoundError(f"`{data}`: expected {' and '.join(q.file for q in QUARTETS.values())}, found neither")
    splits = split_keys(files)
    held = {k for split in splits.values() for keys in split.values() for k in keys}
    splits_folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in files.items():
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        quartet = QUARTETS[name]
        train = [pair for pair in pairs if key(pair.english) not in held]
        with open(folder / "train.tsv", "w", encoding="utf-8") as out:
            out.writelines(f"{pair.english}\t{pair.other}\n" for pair in train)
        counts = {"pairs": len(pairs), "train_pairs": len(train), "train_english": len({p.english for p in train})}
        ids = {}
        for part, keys in splits[name].items():
            items = held_out_items([p for p in pairs if key(p.english) in set(keys)], keys, quartet)
            (folder / f"{part}.json").write_text(json.dumps(items, ensure_ascii=False, indent=1))
            counts[f"{part}_sentences"] = len(items)
            counts[f"{part}_references"] = sum(len(item["references"]) for item in items)
            ids[part] = [item["id"] for item in items]
        digest = hashlib.sha256((data / quartet.file).read_bytes()).hexdigest()
        facts = {"file": quartet.file, "sha256": digest, "seed": SEED, "most_words": MOST_WORDS, "counts": counts}
        (folder / "facts.json").write_text(json.dumps(facts, indent=1))
        (splits_folder / f"{name}.json").write_text(json.dumps({**facts, **ids}, indent=1) + "\n")
        print(name, counts)


def held_out_items(pairs: list[Pair], keys: list[str], quartet: Quartet) -> list[dict]:
    """One item a key: a source, and every translation that the file gives for it."""
    by_key = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        source, target = pair.sides(quartet)
        by_key[key(pair.english)][source].append(target)
    items = []
    for k in keys:
        source = min(by_key[k], key=lambda s: (-len(by_key[k][s]), s))  # the variant with most translations
        english = source if quartet.english_first else by_key[k][source][0]
        references = list(dict.fromkeys(by_key[k][source]))
        items.append({"id": sentence_id(english), "words": len(english.split()), "source": source, "references": references})
    return items


# ---- encoded pairs -------------------------------------------------------------------------------------


class Corpus:
    """Encoded training pairs, flat: sources, targets, and where each begins; and sentences that stand alone."""

    def __init__(self, sources, targets, negatives: np.ndarray, vocab_size: int, alone=()):
        self.vocab_size = vocab_size
        self.alone = [np.array(s, dtype=np.int64) for s in alone]
        self.sources = [np.array(s, dtype=np.int64) for s in sources]
        self.targets = [np.array(t, dtype=np.int64) for t in targets]
        self.negatives = negatives  # (pairs, NEAREST): pairs whose target looks like ours and is no translation; -1 if none
        self.source_lengths = np.array([len(s) for s in sources])
        self.target_lengths = np.array([len(t) for t in targets])

    def __len__(self) -> int:
        return len(self.sources)

    @staticmethod
    def read(work: Path, quartet: Quartet) -> Corpus:
        """The encoded training pairs; made once, then kept beside them."""
        folder = work / quartet.name
        kept = folder / CORPUS
        if not kept.exists():
            Corpus.encode(folder, quartet).keep(kept)
        file = np.load(kept)
        split = lambda side: np.split(file[side], np.cumsum(file[f"{side}_lengths"].astype(np.int64))[:-1]) if len(file[side]) else []
        return Corpus(split("sources"), split("targets"), file["negatives"], int(file["vocab_size"]), split("alone"))

    @staticmethod
    def encode(folder: Path, quartet: Quartet) -> Corpus:
        sides = [pair.sides(quartet) for pair in read_train(folder)]
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        sources = [e.ids for e in tokenizer.encode_batch([s for s, _ in sides])]
        targets = [e.ids for e in tokenizer.encode_batch([t for _, t in sides])]
        fits = [i for i in range(len(sides)) if max(len(sources[i]), len(targets[i])) <= MOST_TOKENS]
        sides, sources, targets = ([x[i] for i in fits] for x in (sides, sources, targets))
        negatives = hard_negatives(sides, np.random.default_rng(SEED), nearest=NEAREST, drawn=0)
        alone = [e.ids for e in tokenizer.encode_batch(english_beside(folder, quartet))]
        alone = [ids for ids in alone if len(ids) <= MOST_TOKENS]
        return Corpus(sources, targets, negatives, tokenizer.get_vocab_size(), alone)

    def keep(self, path: Path) -> None:
        alone, lengths = np.concatenate([[], *self.alone]).astype(np.int64), [len(s) for s in self.alone]
        small = lambda ids: np.array(ids, dtype=np.uint16)  # both a vocabulary's ids and lengths are below 65,536
        np.savez_compressed(path, sources=small(np.concatenate(self.sources)), sources_lengths=small(self.source_lengths),
                            targets=small(np.concatenate(self.targets)), targets_lengths=small(self.target_lengths),
                            negatives=self.negatives, vocab_size=self.vocab_size, alone=small(alone), alone_lengths=small(lengths))  # fmt: skip


def read_train(folder: Path) -> list[Pair]:
    return [Pair(*line.split("\t")) for line in (folder / "train.tsv").read_text(encoding="utf-8").splitlines()]


def english_beside(folder: Path, quartet: Quartet) -> list[str]:
    """The training sentences of the quartet beside this one, each once. What is held out anywhere is not among them."""
    if not quartet.beside:
        return []
    return list(dict.fromkeys(pair.english for pair in read_train(folder.parent / quartet.beside)))


WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")


def words(text: str) -> list[str]:
    """Words of a sentence; where nothing spaces them (Chinese), its characters."""
    return WORD.findall(text.casefold())


def hard_negatives(sides: list[tuple[str, str]], rng: np.random.Generator, nearest: int, drawn: int, tries: int = 60, first: int | None = None) -> np.ndarray:
    """For every pair (or the `first` ones), others that look like its translation and are none; -1 where there are too few.

    All share words with its target and have its length (in words, one more or less). The `nearest` come first, those
    that share most words; then come some `drawn` among the others that share two words or more. Sentences that share
    any translation mean the same, so neither may serve as the other's negative; sentences of the same words are the
    same here, whatever their punctuation.
    """
    spelled = [(tuple(words(source)), tuple(words(target))) for source, target in sides]
    translations, backwards = defaultdict(set), defaultdict(set)
    for source, target in spelled:
        translations[source].add(target)
        backwards[target].add(source)
    bags = [set(target) for _, target in spelled]
    seen = Counter(word for bag in bags for word in bag)
    holders = defaultdict(list)
    for i, bag in enumerate(bags):
        for word in bag:
            holders[word].append(i)
    found = np.full((len(sides[:first]), nearest + drawn), -1, dtype=np.int32)
    for i, (source, _) in enumerate(spelled[:first]):
        same = {other for t in translations[source] for other in backwards[t]}
        forbidden = {t for s in same for t in translations[s]}
        # Rare words first: what they share then carries meaning.
        shared = sorted((w for w in bags[i] if seen[w] > 1), key=lambda w: (seen[w], w))[:3]
        pool = {int(j) for w in shared for j in (holders[w] if len(holders[w]) <= tries else rng.choice(holders[w], tries))}
        scored = sorted((-len(bags[i] & bags[j]), order_of(i, j), j) for j in pool
                        if abs(len(bags[j]) - len(bags[i])) <= 1 and spelled[j][1] not in forbidden)  # fmt: skip
        found[i, : len(scored[:nearest])] = [j for _, _, j in scored[:nearest]]
        others = [j for share, _, j in scored[nearest:] if share <= -2]
        picked = rng.permutation(others)[:drawn]
        found[i, nearest : nearest + len(picked)] = picked
    return found


def order_of(i: int, j: int) -> int:
    """Breaks ties between equally like sentences without a preference for any part of the file."""
    return (i * 2654435761 + j * 40503) & 0xFFFFFFFF


@dataclass(frozen=True)
class Chosen:
    """What goes into one batch: some pairs, or some sentences that stand alone (`Corpus.alone`)."""

    number: int
    indices: np.ndarray
    alone: bool = False


def batches(corpus: Corpus, tokens: int, seed: int, start: int = 0) -> Iterator[Chosen]:
    """Endless batches of about `tokens` tokens (three specials a pair), each of sentences of like length.

    Batch number n depends on the seed and n alone, so training goes on where it stopped, and all four models
    see the same sentences in the same order.
    """
    source, target = corpus.source_lengths, corpus.target_lengths
    if not corpus.alone:
        yield from (Chosen(n, pairs) for n, pairs in numbered(source + target + 3, source, tokens, [seed], start))
        return
    lengths = np.array([len(s) for s in corpus.alone])
    pairs = numbered(source + target + 3, source, tokens, [seed], start - start // ALONE_EVERY)
    alone = numbered(2 * lengths + 3, lengths, tokens, [seed, 1], start // ALONE_EVERY)
    number = start
    while True:
        is_alone = number % ALONE_EVERY == ALONE_EVERY - 1
        yield Chosen(number, next(alone if is_alone else pairs)[1], is_alone)
        number += 1


def numbered(lengths, second, tokens: int, seed: list[int], start: int) -> Iterator[tuple[int, np.ndarray]]:
    """Epoch after epoch of batches, from batch `start` on."""
    number, epoch = 0, 0
    while True:
        cut = one_epoch(lengths, second, tokens, np.random.default_rng([*seed, epoch]))
        yield from ((number + i, part) for i, part in enumerate(cut) if number + i >= start)
        number += len(cut)
        epoch += 1


def one_epoch(lengths: np.ndarray, second: np.ndarray, tokens: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Batches of about `tokens` tokens; each holds sentences of like length, and then of like `second` length."""
    shuffled = rng.permutation(len(lengths))
    by_length = shuffled[np.lexsort((second[shuffled], lengths[shuffled]))]
    ends = np.cumsum(lengths[by_length])
    cuts = np.searchsorted(ends, np.arange(tokens, ends[-1], tokens))
    cut = [part for part in np.split(by_length, cuts) if len(part)]
    return [cut[i] for i in rng.permutation(len(cut))]
