"""Small tokenizers in the files that older checkpoints have, and what the reference makes of texts.

    python tests/golden/tokenizers_make.py

Writes `tokenizers/NAME/`: the files, and `golden.json` with the ids (special tokens included) and, where
the reference knows it, the pieces. The reference is Hugging Face transformers; for `spiece.model` it is
SentencePiece itself, with T5's end token after it.
"""

import io
import json
import shutil
from pathlib import Path

import sentencepiece
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

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
PAIR = ("Who sees whom?", "Every row sees itself.")


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write(folder, generator, encode, pair=None):
    cases = [{"text": text, "ids": encode(text)} for text in TEXTS]
    if pair:
        cases.append({"text": PAIR[0], "pair": PAIR[1], "ids": pair(*PAIR)})
    file = {"generator": generator, "cases": cases}
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


def sentence_pieces(name):
    folder = fresh(name)
    # By iterator and writer: a trainer that is given files writes their paths into the model.
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=model,
        vocab_size=110,
        model_type="unigram",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (folder / "spiece.model").write_bytes(model.getvalue())
    reference = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    generator = f"sentencepiece {sentencepiece.__version__}, then </s>"
    write(folder, generator, lambda text: [*reference.encode(text), reference.eos_id()])


if __name__ == "__main__":
    word_pieces("word-pieces")
    word_pieces("word-pieces-cased", do_lower_case=False)
    byte_pairs("byte-pairs", ["<|endoftext|>"], transformers.GPT2Tokenizer)
    byte_pairs("byte-pairs-around", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], transformers.RobertaTokenizer)
    sentence_pieces("sentence-pieces")
