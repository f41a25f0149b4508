"""Small tokenizers in the files that older checkpoints have, and what the reference makes of texts.

    python tests/golden/tokenizers_make.py
    python tests/golden/tokenizers_make.py DIR  # those of ChatGLM, by its own code: see COMMITS

Writes `tokenizers/NAME/`: the files, and `golden.json` with their hashes, the ids (special tokens included) and,
where it is of use, the text that the ids are read as. The reference is Hugging Face transformers; for models of
SentencePiece it is SentencePiece itself, with the tokens around a text that the family's tokenizer puts there; for
ChatGLM and ChatGLM2 `DIR/chatglm6b/tokenization_chatglm.py` and `DIR/chatglm2/tokenization_chatglm.py`.
"""

import hashlib
import importlib
import io
import json
import shutil
import sys
from pathlib import Path

import sentencepiece
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

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
