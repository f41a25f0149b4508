"""Splits, batches, objectives and the tokenizer, on sentences written here."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from training import data, objectives
from training import tokenizer as tokens
from training.model import BOS, EOS, MASK, SEP

ENGLISH = ["The cat sleeps.", "the cat sleeps!", "I see a dog.", "We don't know.", "She's here.", "Open the door!", "It rains a lot."]
FRENCH = ["Le chat dort.", "Le chat dort !", "Je vois un chien.", "Nous ne savons pas.", "Elle est là.", "Ouvre la porte !", "Il pleut beaucoup."]


@pytest.fixture(scope="module")
def tokenizer():
    return tokens.train([*ENGLISH * 30, *FRENCH * 30], 400)


def test_split_holds_a_sentence_out_of_every_file(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "HELD_OUT", 2)
    both = list(zip(ENGLISH, FRENCH))
    (tmp_path / "eng-fra.tsv").write_text("".join(f"{e}\t{f}\n" for e, f in both))
    (tmp_path / "eng-cmn.tsv").write_text("".join(f"{e.upper()}\t猫{i}\tcredit\n" for i, (e, _) in enumerate(both)))
    data.prepare(tmp_path, tmp_path / "work", tmp_path / "splits")
    held, trained = set(), set()
    for quartet in ("en-fr", "zh-en"):
        folder = tmp_path / "work" / quartet
        trained |= {data.key(line.split("\t")[0]) for line in (folder / "train.tsv").read_text().splitlines()}
        ids = json.loads((tmp_path / "splits" / f"{quartet}.json").read_text())
        for part in ("validation", "test"):
            items = json.loads((folder / f"{part}.json").read_text())
            assert len(items) == 2 and [item["id"] for item in items] == ids[part]
            if quartet == "en-fr":
                held |= {data.key(item["source"]) for item in items}
    assert len(held) == 4 and not held & trained


def test_split_is_by_words_not_by_spelling():
    assert data.key("The cat sleeps.") == data.key("the CAT sleeps!")


@pytest.mark.parametrize("text", [
    "The cat sleeps.", "Va\u202f! Où est-ce ?", "l\u2019école, d'été", "I said: \u201cno\u201d…", "100 % <0x41> a_b", "日本 😀 €", "  two   spaces ",
    "▁mark", "e\u0301te\u0301", "(x) [y] {z} \\ / \" '", "",
])  # fmt: skip
def test_tokenizer_round_trip(tokenizer, text):
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids) == tokens.normalise(text)
    assert all(0 <= i < tokenizer.get_vocab_size() for i in ids)


def test_normal_form():
    assert tokens.normalise(" l\u2019e\u0301te\u0301\u202f!\u00a0\u00abOui\u00bb… ") == "l'été ! «Oui»..."


def test_tokenizer_layout(tokenizer):
    assert [tokenizer.token_to_id(f"[{name}]") for name in ("PAD", "BOS", "SEP", "EOS", "MASK", "CLS")] == list(range(6))
    assert [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in (0, 65, 255)] == [6, 6 + 65, 6 + 255]
    assert tokenizer.get_vocab_size() <= 400
    assert tokenizer.token_to_id("<0x41>") not in tokenizer.encode("<0x41>").ids
    assert tokenizer.encode("the [MASK] sleeps").ids.count(MASK) == 1
    assert sorted(tokenizer.get_vocab().values()) == list(range(tokenizer.get_vocab_size()))


@pytest.fixture(scope="module")
def corpus(tokenizer):
    encode = lambda texts: [tokenizer.encode(t).ids for t in texts]
    negatives = data.hard_negatives(list(zip(ENGLISH, FRENCH)), np.random.default_rng(0), nearest=4, drawn=2)
    return data.Corpus(encode(ENGLISH), encode(FRENCH), negatives, tokenizer.get_vocab_size())


def test_hard_negatives_are_no_translations(corpus):
    for i, row in enumerate(corpus.negatives):
        assert all(FRENCH[j] != FRENCH[i] for j in row[row >= 0])


def test_false_pairs_that_look_true():
    said = ["I see a dog.", "I see a cat.", "I see a dog!", "You see a dog.", "I see a red dog now."]
    meant = ["Je vois un chien.", "Je vois un chat.", "je vois un chien !", "Tu vois un chien.", "Je vois un chien rouge ici maintenant."]
    longer = [(f"I see bird {n}.", f"Je vois un oiseau qui porte le numéro {n}.") for n in range(5)]
    far = [("Beware.", "Chien méchant, prudence ici."), *longer]  # one word in common, and that one rare
    sides = list(zip(said, meant)) + far
    nearest = data.hard_negatives(sides, np.random.default_rng(0), nearest=1, drawn=0, first=1)
    assert nearest.tolist() in ([[1]], [[3]])  # 2 is the same sentence, 4 and more are longer or share one word
    both = data.hard_negatives(sides, np.random.default_rng(0), nearest=1, drawn=3, first=1)
    assert both[0, 0] == nearest[0, 0] and sorted(both[0].tolist()) == [-1, -1, 1, 3]
    assert (both[0, 2:] == -1).all()


def test_batches_cover_an_epoch_and_resume(corpus):
    lengths = corpus.source_lengths + corpus.target_lengths + 3
    epoch = data.one_epoch(lengths, corpus.source_lengths, 40, np.random.default_rng([1, 0]))
    assert sorted(np.concatenate(epoch)) == list(range(len(corpus)))
    assert all(lengths[part].sum() <= 40 + lengths.max() for part in epoch)
    assert_resumes(corpus, 5)


def assert_resumes(corpus, start: int):
    stream, later = data.batches(corpus, 40, 1), data.batches(corpus, 40, 1, start=start)
    expected = [next(stream) for _ in range(start + 4)][start:]
    for one, again in zip(expected, [next(later) for _ in range(4)]):
        assert (one.number, one.alone, list(one.indices)) == (again.number, again.alone, list(again.indices))


@pytest.mark.parametrize("start", [0, 1, 4, 7])
def test_sentences_alone_take_every_second_batch(corpus, start):
    beside = data.Corpus(corpus.sources, corpus.targets, corpus.negatives, corpus.vocab_size, alone=corpus.targets)
    stream = data.batches(beside, 40, 1)
    assert [next(stream).alone for _ in range(6)] == [False, True] * 3
    assert_resumes(beside, start)


def test_a_corpus_is_kept_as_it_is(corpus, tmp_path):
    beside = data.Corpus(corpus.sources, corpus.targets, corpus.negatives, corpus.vocab_size, alone=corpus.targets[:3])
    quartet = data.QUARTETS["zh-en"]
    (tmp_path / quartet.name).mkdir()
    for kept in (corpus, beside):
        kept.keep(tmp_path / quartet.name / data.CORPUS)
        read = data.Corpus.read(tmp_path, quartet)
        for side in ("sources", "targets", "alone"):
            assert [list(s) for s in getattr(read, side)] == [list(s) for s in getattr(kept, side)]


def test_a_sentence_alone_is_written_out_from_what_blanks_left(corpus):
    rng = np.random.default_rng(3)
    batch = objectives.make_alone("prefix", corpus.targets, corpus, rng)
    assert batch.labels.tolist() == [id for target in corpus.targets for id in [*target, EOS]]
    torn = sum((row[1:length] == MASK).sum() for row, length in zip(batch.source, batch.source_lengths))
    assert 0.2 < torn / sum(map(len, corpus.targets)) < 0.5
    filled = objectives.make_alone("encoder", corpus.targets, corpus, rng)
    assert filled.verdicts is None and len(filled.labels) > 0


CHINESE = ["我爱学习汉语。", "他在学校学习。", "你什么时候来学校？", "我什么时候学习汉语？"]


def test_chinese_is_read_character_by_character_and_simplified():
    chinese = tokens.train(CHINESE * 30 + ENGLISH * 30, 500, rare=5)
    plain, traditional = chinese.encode("我愛學習漢語。"), chinese.encode("我爱学习汉语。")
    assert plain.ids == traditional.ids and plain.tokens == ["我", "爱", "学", "习", "汉", "语", "。"]
    for text in ("Tom 学习 汉语。", "“学 校”", "龘"):
        assert chinese.decode(chinese.encode(text).ids) == chinese.normalizer.normalize_str(text)


PAIRS = [([20, 21], [30, 31, 32]), ([22], [33])]


def test_next_token_supervises_what_it_says():
    everywhere, answers = (objectives.make(o, PAIRS) for o in ("causal", "prefix"))
    assert everywhere.source.tolist() == [[BOS, 20, 21, SEP, 30, 31, 32, EOS], [BOS, 22, SEP, 33, EOS, 0, 0, 0]]
    assert everywhere.labels.tolist() == [20, 21, SEP, 30, 31, 32, EOS, 22, SEP, 33, EOS]
    assert answers.labels.tolist() == [30, 31, 32, EOS, 33, EOS]
    assert answers.rows.tolist() == [3, 4, 5, 6, 10, 11]
    assert answers.source_lengths.tolist() == [4, 3]
    control = objectives.make("control", PAIRS)
    assert torch.equal(control.rows, answers.rows) and torch.equal(control.labels, answers.labels)


def test_translation_supervises_the_target():
    batch = objectives.make("encoder-decoder", PAIRS)
    assert batch.source.tolist() == [[BOS, 20, 21, SEP], [BOS, 22, SEP, 0]]
    assert batch.answer.tolist() == [[BOS, 30, 31, 32], [BOS, 33, 0, 0]]
    assert batch.labels.tolist() == [30, 31, 32, EOS, 33, EOS]
    assert batch.rows.tolist() == [0, 1, 2, 3, 4, 5]


def test_masking_blanks_fifteen_percent_and_no_special(corpus):
    chosen = np.arange(len(corpus))
    pairs = [(corpus.sources[i], corpus.targets[i]) for i in chosen]
    share = {False: [0, 0], True: [0, 0]}
    for seed in range(400):
        batch = objectives.make("encoder", pairs, corpus, chosen, np.random.default_rng(seed))
        assert all(label >= objectives.FIRST_ORDINARY for label in batch.labels)
        counts = share[batch.verdicts is not None]
        counts[0] += len(batch.labels)
        counts[1] += (batch.source >= objectives.FIRST_ORDINARY).sum().item() + (batch.source == MASK).sum().item()
    assert abs(share[False][0] / share[False][1] - objectives.BLANKS) < 0.02
    assert abs(share[True][0] / share[True][1] - objectives.BLANKS * (1 - objectives.UNTOUCHED)) < 0.02


def test_vocabulary_loss_is_the_cross_entropy():
    torch.manual_seed(0)
    rows, table = torch.randn(700, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    labels = torch.randint(50, (700,))
    found = objectives.VocabularyLoss.apply(rows, table, labels, 0.1)
    expected = F.cross_entropy(rows @ table.T, labels, label_smoothing=0.1)
    assert torch.allclose(found, expected, atol=1e-5)
    for got, want in zip(torch.autograd.grad(found, (rows, table)), torch.autograd.grad(expected, (rows, table))):
        assert torch.allclose(got, want, atol=1e-6)
