"""One byte-pair tokenizer for both languages, as the very file that the engine loads.

Normal form: NFC, one kind of apostrophe, quote, dash and space. Words carry their space in front as a mark;
punctuation stands alone (with the space before it, as French writes " !"), apostrophes and hyphens stay in the
word. A character outside the alphabet is spelled in bytes, so nothing is unknown.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from .model import SPECIAL

SPECIAL_TEXT = [f"[{name.upper()}]" for name in SPECIAL]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
RARE = 20  # a character seen less often than this is spelled in bytes

FOLDS = {
    "[\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc]": "'",
    "[\u201c\u201d\u201e\u201f\u2033]": '"',
    "[\u2010\u2011\u2012\u2013\u2014\u2015\u2212]": "-",
    "\u2026": "...",
    "\u2581": "_",  # the word mark itself, typed by a person
    "[\u00ad\u200b\u200c\u200d\u2060\ufeff]": "",
    "[\t\n\u000b\u000c\r\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000 ]+": " ",
}
# With a space before it where there is one: anything but letters, marks, digits, ' and -. Han characters too.
ALONE = "\u2581?[^\\p{L}\\p{M}\\p{N}'\u2581-]|\u2581?\\p{Han}"


def normalizer() -> normalizers.Normalizer:
    folds = [normalizers.Replace(Regex(pattern), text) for pattern, text in FOLDS.items()]
    return normalizers.Sequence([normalizers.NFC(), *folds, normalizers.Strip()])


def normalise(text: str) -> str:
    return normalizer().normalize_str(text)


def train(sentences: Iterable[str], vocab_size: int) -> Tokenizer:
    """Learns merges until specials + 256 bytes + alphabet + merges make `vocab_size`."""
    sentences = list(sentences)
    letters = Counter(letter for sentence in sentences for letter in sentence)
    alphabet = 1 + sum(count >= RARE for letter, count in letters.items() if letter != " ")  # 1: the word mark
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split(Regex(ALONE), "isolated")]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(BYTES),
        limit_alphabet=alphabet,
        special_tokens=SPECIAL_TEXT,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()])
    return with_bytes(tokenizer)


def with_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """Puts the 256 byte tokens between the specials and the alphabet. No merge makes them, so text never matches them."""
    file = json.loads(tokenizer.to_str())
    learnt = sorted(file["model"]["vocab"], key=file["model"]["vocab"].get)[len(SPECIAL_TEXT) :]
    file["model"]["vocab"] = {piece: i for i, piece in enumerate(SPECIAL_TEXT + BYTES + learnt)}
    file["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(file))


def load(path: str | Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))
