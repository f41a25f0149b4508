"""One byte-pair tokenizer for both languages, as the very file that the engine loads.

Normal form: NFC, one kind of apostrophe, quote, dash and space. Words carry their space in front as a mark;
punctuation stands alone (with the space before it, as French writes " !"), apostrophes and hyphens stay in the
word. A character outside the alphabet is spelled in bytes, so nothing is unknown.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from .model import SPECIAL

SPECIAL_TEXT = [f"[{name.upper()}]" for name in SPECIAL]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

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


def normalizer(characters: bytes = b"") -> normalizers.Normalizer:
    """`characters`: Chinese characters read as others, compiled by `simplified`; then no space stands before one."""
    folds = [normalizers.Replace(Regex(pattern), text) for pattern, text in FOLDS.items()]
    chinese = [normalizers.Precompiled(characters), normalizers.Replace(Regex(" +(?=\\p{Han})"), "")] if characters else []
    return normalizers.Sequence([normalizers.NFC(), *folds, *chinese, normalizers.Strip()])


def simplified(known: set[str]) -> bytes:
    """Traditional Chinese characters -> simplified ones that are `known`, as the table that tokenizer.json can hold.

    Which is which says OpenCC; sentencepiece compiles the table (a double-array trie).
    """
    han = [letter for letter in known if "\u3400" <= letter <= "\u9fff"]
    if not han:
        return b""
    import opencc
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    convert = opencc.OpenCC("t2s").convert
    codes = [*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000)]
    pairs = [(code, convert(chr(code))) for code in codes]
    rules = [f"{code:X}\t{ord(simple):X}\n" for code, simple in pairs if simple != chr(code) and simple in known]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rules.tsv"
        path.write_text("".join(rules))
        model = BytesIO()
        # A model of nothing: only its table is wanted.
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c d e"] * 10), model_writer=model, vocab_size=8, model_type="char", hard_vocab_limit=False,
            normalization_rule_tsv=str(path), minloglevel=2,
        )  # fmt: skip
    return sentencepiece_model_pb2.ModelProto.FromString(model.getvalue()).normalizer_spec.precompiled_charsmap


def normalise(text: str) -> str:
    return normalizer().normalize_str(text)


def train(sentences: Iterable[str], vocab_size: int, rare: int = 20) -> Tokenizer:
    """Learns merges until specials + 256 bytes + alphabet + merges make `vocab_size`. A character seen less than
    `rare` times is not in the alphabet. Where Chinese is, its traditional characters are read as the simplified ones."""
    sentences = list(sentences)
    letters = Counter(letter for sentence in sentences for letter in sentence)
    known = {letter for letter, count in letters.items() if count >= rare and letter != " "}
    alphabet = 1 + len(known)  # 1: the word mark
    tokenizer = Tokenizer(models.BPE())
    table = simplified(known)
    tokenizer.normalizer = normalizer(table)
    # A sentence's first character is the same token as it is further on: no mark of a word before it.
    unmarked = [pre_tokenizers.Split(Regex("\u2581(?=\\p{Han})"), "removed")] if table else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), *unmarked, pre_tokenizers.Split(Regex(ALONE), "isolated")]
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
