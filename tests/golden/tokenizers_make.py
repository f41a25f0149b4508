"""Small tokenizers in the files that older checkpoints have, and what the reference makes of texts.

    python tests/golden/tokenizers_make.py
    python tests/golden/tokenizers_make.py DIR  # those of ChatGLM, by its own code: see COMMITS

Writes `tokenizers/NAME/`: the files, and `golden.json` with their hashes, the ids (special tokens included) and,
where it is of use, the text that the ids are read as. The reference is Hugging Face transformers; for models of
SentencePiece it is SentencePiece itself, with the tokens around a text that the family's tokenizer puts there; for
ChatGLM and ChatGLM2 `DIR/chatglm6b/tokenization_chatglm.py` and `DIR/chatglm2/tokenization_chatglm.py`.
"""

import codecs
import hashlib
import importlib
import io
import json
import re
import shutil
import sys
from pathlib import Path

import sentencepiece
import tokenizers
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.convert_slow_tokenizer import bytes_to_unicode

COMMITS = {
    "chatglm6b": "THUDM/chatglm-6b, copy of greensheng/chatglm-6b 8b7d33596d18c5e83e2da052d05ca4db02e60620",
    "chatglm2": "THUDM/chatglm2-6b, copy of bq-xiao/chatglm2-6b-model 944d831c7a98721ec4ffa30b362de909fbbeec17",
}

HERE = Path(__file__).parent / "tokenizers"

# Written for this test; it only has to give the trainers something to count.
CORPUS = """
The lecturer paints a cell of the mask and the whole row changes its mind.
A hidden key is skipped; nobody multiplies it by zero.
Masking words, unmasking words: the encoder reads both ways, the decoder reads one way.
Who sees whom? Every row sees itself and the rows before it.
Café owners, naïve readers and Zoë's übersetzer share a table.
The prefix is open, the answer is causal, and attention is a matter of permission.
Numbers such as 3.14 or 2,718 are tokens too, aren't they?
我们 看见 面具 。 模型 读 句子 。
""".strip().splitlines()

TEXTS = [
    "The mask hides a word.",
    "Unmasking  two   spaces, isn't it?",
    "Café Zoë reads 面具!",
    "unseen: zyzzyva 🎭 end",
    "ends with a tab\tand\nlines",
]
# For models that do not squeeze spaces.
SPACED = [
    "  two before, three   within, one behind ",
    "a\n\nb\n   c\t\td",
    "Sees <mask> whom? <n>Itself.<n><n>",
    "啊 é 🎭",
]
# For what cuts a text before bytes are joined: contractions, digits, signs, ends of lines, composed letters.
CUT = [
    "They'll say it's 12345 or 2,718!?",
    "WE'RE here\r\n\n  x=y+1;\n",
    "cafe\u0301 e\u0301t\u00e9 \u0663\u0664\u0665 \u4e2d\u6587\u5b57 ...end",
    "\t\ttabs and   spaces ",
]
GLM_TEXTS = ["The [MASK] hides a word.", "Who sees [gMASK]<|startofpiece|> whom", "[sMASK] [CLS]\u6211\u4eec \u770b\u89c1[MASK]"]
# The pattern of Qwen2Converter in transformers.
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
ALPHABET = pre_tokenizers.ByteLevel.alphabet()
# A byte of no whole character, as Unmasked shows it.
codecs.register_error("hex", lambda error: ("".join(f"<0x{byte:02X}>" for byte in error.object[error.start : error.end]), error.end))
PAIR = ("Who sees whom?", "Every row sees itself.")


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write(folder, generator, encode, pair=None, texts=TEXTS, decode=None):
    cases = [{"text": text, "ids": encode(text)} for text in texts]
    if decode:
        for case in cases:
            case["decoded"] = decode(case["ids"])
    if pair:
        cases.append({"text": PAIR[0], "pair": PAIR[1], "ids": pair(*PAIR)})
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    file = {"generator": generator, "files": files, "cases": cases}
    (folder / "golden.json").write_text(json.dumps(file, ensure_ascii=False, indent=1) + "\n")
    print(folder.name, len(cases))


def word_pieces(name, **settings):
    folder = fresh(name)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=settings.get("do_lower_case", True))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=190, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in vocabulary))
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")
    reference = transformers.BertTokenizer.from_pretrained(folder)
    generator = f"transformers {transformers.__version__} BertTokenizer"
    write(folder, generator, lambda text: reference(text)["input_ids"], lambda a, b: reference(a, b)["input_ids"])


def byte_pairs(name, special, reference_class):
    folder = fresh(name)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.model.save(str(folder))
    reference = reference_class.from_pretrained(folder)
    generator = f"transformers {transformers.__version__} {reference_class.__name__}"
    pair = (lambda a, b: reference(a, b)["input_ids"]) if "<s>" in special else None
    write(folder, generator, lambda text: reference(text)["input_ids"], pair)


def byte_pairs_added(name):
    """Tokens beyond the vocabulary, as `added_tokens.json` and `special_tokens_map.json` have them."""
    folder = fresh(name)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=ALPHABET, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.model.save(str(folder))
    size = tokenizer.get_vocab_size()
    added = {"[MASK]": size, "<|user|>": size + 1, "mask": size + 2, "[gMASK]": size + 3}
    special = {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}
    mask = {"content": "[MASK]", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}
    special |= {"pad_token": "[PAD]", "mask_token": mask, "additional_special_tokens": ["[gMASK]"]}
    (folder / "added_tokens.json").write_text(json.dumps(added) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special) + "\n")
    reference = transformers.GPT2Tokenizer.from_pretrained(folder)
    generator = f"transformers {transformers.__version__} GPT2Tokenizer"
    texts = [*TEXTS, "The [MASK] unmasks <|user|>[PAD] a [gMASK]", "mask <|endoftext|>unmask"]
    write(folder, generator, lambda text: reference(text)["input_ids"], texts=texts)


def word_pieces_added(name):
    """The same in `added_tokens_decoder`."""
    folder = fresh(name)
    shutil.copy(HERE / "word-pieces" / "vocab.txt", folder)
    size = len((folder / "vocab.txt").read_text().splitlines())
    def token(content, special, **more):
        plain = dict(lstrip=False, rstrip=False, normalized=not special, single_word=False)
        return {"content": content, "special": special} | plain | more
    decoder = {4: token("[MASK]", True, lstrip=True), size: token("Unmasking", False)}
    decoder |= {size + 1: token("[E1]", True), size + 2: token("arr", False, single_word=True)}
    settings = {"added_tokens_decoder": decoder, "additional_special_tokens": ["[E1]", "[E2]"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")
    reference = transformers.BertTokenizer.from_pretrained(folder)
    generator = f"transformers {transformers.__version__} BertTokenizer"
    texts = [*TEXTS, "unmasking [E1]Every[E2] row, a [MASK] arrow, arr"]
    write(folder, generator, lambda text: reference(text)["input_ids"], lambda a, b: reference(a, b)["input_ids"], texts)


def qwen2(name):
    folder = fresh(name)
    tokenizer = qwen2_pairs()
    tokenizer.model.save(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Qwen2Tokenizer"}) + "\n")
    reference = transformers.Qwen2Tokenizer.from_pretrained(folder)
    generator = f"transformers {transformers.__version__} Qwen2Tokenizer"
    texts = [*TEXTS, *SPACED, *CUT, "ends <|endoftext|>"]
    decode = lambda ids: reference.decode(ids, skip_special_tokens=True)
    write(folder, generator, lambda text: reference(text)["input_ids"], texts=texts, decode=decode)


def qwen2_pairs():
    """Byte pairs as Qwen 2 has them: cut by its own pattern."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    cut = pre_tokenizers.Split(Regex(QWEN2), behavior="isolated", invert=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>"]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=ALPHABET, show_progress=False)
    tokenizer.train_from_iterator(CORPUS + CUT * 3, trainer)
    return tokenizer


def split(text, tokens):
    """A text at the tokens that are looked for before the model sees it."""
    pattern = "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True))
    return [part for part in re.split(f"({pattern})", text) if part]


def fairseq(name, reference_class, rule="identity"):
    """Pieces of SentencePiece, numbered and framed by the family's own class."""
    folder = fresh(name)
    model = folder / "sentencepiece.bpe.model"
    train(model, vocab_size=110, model_type="unigram", normalization_rule_name=rule)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": reference_class.__name__}) + "\n")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
    reference = reference_class.from_pretrained(folder)
    unknown = reference.unk_token_id
    special = [token for token in reference.get_added_vocab() if token not in ("<unk>",)]
    def encode(text):
        ids = []
        for part in split(text, special):
            if part in special:
                ids.append(reference.convert_tokens_to_ids(part))
            else:
                ids += [reference.convert_tokens_to_ids(piece) for piece in pieces.encode(part, out_type=str)]
        assert None not in ids
        return ids
    around = reference("a")["input_ids"]
    inner = encode("a")
    at = next(at for at in range(len(around)) if around[at : at + len(inner)] == inner)
    first, last = around[:at], around[at + len(inner) :]
    pair = None
    if first == [reference.convert_tokens_to_ids("<s>")]:
        pair = lambda a, b: first + encode(a) + last + last + encode(b) + last
        assert pair(*PAIR) == reference(*PAIR)["input_ids"]
    for text in TEXTS:
        theirs = reference(text)["input_ids"]
        if theirs != first + encode(text) + last:
            print(name, "differs from its class:", text, reference.convert_ids_to_tokens(theirs))
    generator = f"sentencepiece {sentencepiece.__version__}, numbered by transformers {transformers.__version__} {reference_class.__name__}"
    texts = [*TEXTS, "Sees <mask> whom?", "a word fr_XX sl_SI end", "a </s> b"]
    write(folder, generator, lambda text: first + encode(text) + last, pair, texts, lambda ids: pieces.decode([p for p in map(str, map(reference.convert_ids_to_tokens, ids)) if p not in special]))


def glm(name):
    """GLM on GPT-2's pairs: `added_tokens.json`, `[CLS]` before a text, the end behind it (its `tokenization_glm.py`)."""
    folder = fresh(name)
    for file in ("vocab.json", "merges.txt"):
        shutil.copy(HERE / "byte-pairs" / file, folder)
    size = len(json.loads((folder / "vocab.json").read_text()))
    names = ["[SEP]", "[CLS]", "[MASK]", "[UNK]", "<|startofpiece|>", "<|endofpiece|>", "[gMASK]", "[sMASK]"]
    added = {content: size + at for at, content in enumerate(names)}
    glm_files(folder, added, "GLMGPT2Tokenizer")
    reference = transformers.GPT2Tokenizer.from_pretrained(HERE / "byte-pairs")
    def encode(text):
        parts = [[added[part]] if part in added else reference(part)["input_ids"] for part in split(text, added)]
        return [added["[CLS]"], *sum(parts, []), reference.eos_token_id]
    generator = f"tokenization_glm.py of THUDM/glm-10b over transformers {transformers.__version__} GPT2Tokenizer"
    write(folder, generator, encode, texts=[*TEXTS, *GLM_TEXTS])


def glm_chinese(name):
    """GLM's Chinese models: pieces of SentencePiece, then numbers of which one is nobody's."""
    folder = fresh(name)
    model = folder / "cog-pretrain.model"
    train(model, vocab_size=112, model_type="unigram", normalization_rule_name="identity")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
    names = ["<|endoftext|>", "[SEP]", "[CLS]", "[MASK]", "[UNK]", None, "<|startofpiece|>", "<|endofpiece|>", "[sMASK]", "[gMASK]"]
    added = {content: len(pieces) + at for at, content in enumerate(names) if content}
    glm_files(folder, added, "GLMChineseTokenizer")
    def encode(text):
        parts = [[added[part]] if part in added else pieces.encode(part) for part in split(text, added)]
        return [added["[CLS]"], *sum(parts, []), added["<|endoftext|>"]]
    generator = f"tokenization_glm.py of THUDM/glm-large-chinese over sentencepiece {sentencepiece.__version__}"
    write(folder, generator, encode, texts=[*TEXTS, *GLM_TEXTS])


def glm_files(folder, added, name):
    more = ["<|startofpiece|>", "<|endofpiece|>", "[gMASK]", "[sMASK]"]
    roles = dict(eos_token="<|endoftext|>", pad_token="<|endoftext|>", cls_token="[CLS]", mask_token="[MASK]", unk_token="[UNK]")
    settings = roles | {"additional_special_tokens": more, "tokenizer_class": name}
    (folder / "added_tokens.json").write_text(json.dumps(added) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")


def layout(name, tokenizer, is_bytes):
    """A `tokenizer.json` of a known layout, as the library that wrote it reads it."""
    folder = fresh(name)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = {token.content for token in reference.get_added_tokens_decoder().values()}
    bytes_of = {character: byte for byte, character in bytes_to_unicode().items()}
    def shown(piece):
        if piece in special:
            return piece
        if is_bytes:
            return bytes(bytes_of[character] for character in piece).decode(errors="hex")
        return re.sub("^\u2581", " ", piece)
    generator = f"tokenizers {tokenizers.__version__}"
    texts = [*TEXTS, *SPACED, *CUT]
    write(folder, generator, lambda text: reference.encode(text).ids, texts=texts, decode=reference.decode)
    file = json.loads((folder / "golden.json").read_text())
    for case in file["cases"]:
        case["pieces"] = [shown(piece) for piece in reference.encode(case["text"]).tokens]
    (folder / "golden.json").write_text(json.dumps(file, ensure_ascii=False, indent=1) + "\n")


def trained(vocab_size, special, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    return tokenizer, trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, initial_alphabet=ALPHABET, show_progress=False)


def layouts():
    # SmolLM: digits one by one, then bytes.
    tokenizer, trainer = trained(400, ["<|endoftext|>"])
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS + CUT * 3, trainer)
    layout("layout-digits", tokenizer, True)

    # LLaMA 2: a space before the text, spaces as signs, bytes for what no piece spells.
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, max_token_length=12, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    file = json.loads(tokenizer.to_str())
    # The bytes are pieces of the model, not tokens that a text spells.
    file["added_tokens"] = file["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(file))
    around = [("<s>", 1)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=around)
    layout("layout-prepend", tokenizer, False)

    # LLaMA 3: words that are pieces are taken whole, whatever the merges; two post-processors.
    tokenizer, trainer = trained(400, ["<|begin_of_text|>", "<|end_of_text|>"], ignore_merges=True)
    cut = pre_tokenizers.Split(Regex(QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")), behavior="isolated", invert=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS + CUT * 3, trainer)
    file = json.loads(tokenizer.to_str())
    # A word that no merges make.
    whole = "\u0120hides"
    assert whole not in file["model"]["vocab"]
    file["model"]["vocab"][whole] = len(file["model"]["vocab"])
    tokenizer = Tokenizer.from_str(json.dumps(file))
    begin = "<|begin_of_text|>"
    template = processors.TemplateProcessing(single=f"{begin} $A", pair=f"{begin} $A {begin}:1 $B:1", special_tokens=[(begin, 0)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    layout("layout-ignore-merges", tokenizer, True)

    # Qwen 2: normalised, cut by its own pattern.
    tokenizer = qwen2_pairs()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    layout("layout-split", tokenizer, True)


def train(path, corpus=CORPUS, **options):
    # By iterator and writer: a trainer that is given files writes their paths into the model.
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, minloglevel=2, **options
    )
    path.write_bytes(model.getvalue())


def sentence_pieces(name):
    folder = fresh(name)
    options = dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    train(folder / "spiece.model", vocab_size=110, model_type="unigram", **options)
    reference = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    generator = f"sentencepiece {sentencepiece.__version__}, then </s>"
    write(folder, generator, lambda text: [*reference.encode(text), reference.eos_id()])


def sentence_pairs(name, settings=None, **options):
    """LLaMA's kind: pairs joined by score, bytes for what no piece spells, spaces as they are."""
    folder = fresh(name)
    plain = dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity")
    train(folder / "tokenizer.model", **(plain | dict(vocab_size=430, remove_extra_whitespaces=False) | options))
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")
    reference = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    generator = f"sentencepiece {sentencepiece.__version__}, after <s>"
    first, last = [reference.bos_id()], []
    if settings:
        generator = f"sentencepiece {sentencepiece.__version__}, then </s>"
        first, last = [], [reference.eos_id()]
    texts = TEXTS + SPACED
    write(folder, generator, lambda text: first + reference.encode(text) + last, texts=texts, decode=reference.decode)


def marian(name):
    folder = fresh(name)
    half = len(CORPUS) // 2
    for file, corpus in (("source.spm", CORPUS[:half]), ("target.spm", CORPUS[half:])):
        train(folder / file, corpus, vocab_size=60, model_type="unigram", normalization_rule_name="identity")
    pieces = []
    for file in ("source.spm", "target.spm"):
        model = sentencepiece.SentencePieceProcessor(model_file=str(folder / file))
        pieces += [model.id_to_piece(number) for number in range(model.get_piece_size())]
    # As Marian's own lists: the end first, the filler last, in no order of the models; one piece is missing.
    pieces = sorted(set(pieces) - {"<s>", "</s>", "<unk>", "\u2581the"}, key=lambda piece: piece[::-1])
    pieces = ["</s>", "<unk>", *pieces, ">>fra<<", ">>deu<<", "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}) + "\n")
    files = {key: str(folder / file) for key, file in (("source_spm", "source.spm"), ("target_spm", "target.spm"))}
    reference = transformers.MarianTokenizer(**files, vocab=str(folder / "vocab.json"))
    generator = f"transformers {transformers.__version__} MarianTokenizer"
    texts = [*TEXTS, ">>fra<< The mask hides the word."]
    write(folder, generator, lambda text: reference(text)["input_ids"], texts=texts)
    # And an answer, whose pieces the source's model does not know.
    file = json.loads((folder / "golden.json").read_text())
    ids = reference(text_target=CORPUS[half])["input_ids"]
    file["answer"] = {"ids": ids, "decoded": reference.decode(ids, skip_special_tokens=True)}
    (folder / "golden.json").write_text(json.dumps(file, ensure_ascii=False, indent=1) + "\n")


def chatglm(name, images):
    folder = fresh(name)
    module = importlib.import_module("chatglm6b.tokenization_chatglm")
    spaces = [module.SPTokenizer.get_blank_token(count) for count in range(2, 81)]
    train(
        folder / "ice_text.model",
        vocab_size=455,
        model_type="unigram",
        byte_fallback=True,
        normalization_rule_name="identity" if images else "nmt_nfkc",
        pad_id=3,
        control_symbols=["[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>"],
        user_defined_symbols=["<n>", "<|tab|>", *spaces],
    )
    if images is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps({"num_image_tokens": images}) + "\n")
    reference = module.SPTokenizer(str(folder / "ice_text.model"), num_image_tokens=images or 0)
    generator = f"{COMMITS['chatglm6b']}, sentencepiece {sentencepiece.__version__}"
    last = [reference["[gMASK]"], reference["<sop>"]]
    texts = TEXTS + SPACED + ["\nbegins with a line"]
    write(folder, generator, lambda text: reference.encode(text) + last, texts=texts, decode=reference.decode)


def chatglm2(name):
    folder = fresh(name)
    module = importlib.import_module("chatglm2.tokenization_chatglm")
    plain = dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity")
    train(folder / "tokenizer.model", vocab_size=420, remove_extra_whitespaces=False, **plain)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ChatGLMTokenizer"}) + "\n")
    reference = module.SPTokenizer(str(folder / "tokenizer.model"))
    generator = f"{COMMITS['chatglm2']}, sentencepiece {sentencepiece.__version__}"
    first = [reference.special_tokens["[gMASK]"], reference.special_tokens["sop"]]
    write(folder, generator, lambda text: first + reference.encode(text), texts=[*TEXTS, *SPACED, "a sophism, eop"])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.path.insert(0, sys.argv[1])
        chatglm("chatglm", 0)
        chatglm("chatglm-images", 7)
        chatglm2("chatglm2")
        sys.exit()
    word_pieces("word-pieces")
    word_pieces("word-pieces-cased", do_lower_case=False)
    byte_pairs("byte-pairs", ["<|endoftext|>"], transformers.GPT2Tokenizer)
    byte_pairs("byte-pairs-around", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], transformers.RobertaTokenizer)
    sentence_pieces("sentence-pieces")
    sentence_pairs("sentence-pairs")
    sentence_pairs("sentence-pairs-symbols", user_defined_symbols=["<mask>", "<n>"])
    symbols = ["\u2581" * count for count in range(2, 5)] + ["\n", "\n\n", "<mask>"]
    sentence_pairs("sentence-pairs-bare", add_dummy_prefix=False, user_defined_symbols=symbols)
    squeezed = dict(remove_extra_whitespaces=True, byte_fallback=False)
    end = {"add_bos_token": False, "add_eos_token": True}
    sentence_pairs("sentence-pairs-squeezed", end, vocab_size=150, **squeezed)
    marian("marian")
    byte_pairs_added("byte-pairs-added")
    word_pieces_added("word-pieces-added")
    qwen2("qwen2")
    fairseq("mbart", transformers.MBartTokenizer)
    fairseq("mbart-50", transformers.MBart50Tokenizer)
    fairseq("xlm-roberta", transformers.XLMRobertaTokenizer, "nmt_nfkc")
    fairseq("camembert", transformers.CamembertTokenizer)
    glm("glm")
    glm_chinese("glm-chinese")
    layouts()
