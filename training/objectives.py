"""What each architecture reads and what it must answer: sentence pairs -> tensors.

The templates here are the ones in config.json. A batch carries `rows`, the flat positions that are
supervised, and `labels`, what must stand there: the vocabulary's softmax is computed for those rows only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .data import Corpus
from .model import BOS, CLS, EOS, MASK, PAIR_NO, PAIR_YES, SEP, SPECIAL, Transformer, padded, product_type

# "control" is the causal decoder with the prefix decoder's objective: it separates the mask from the loss.
OBJECTIVES = {
    "encoder": ("masked", "15 % of the tokens, of which 80 % are [MASK], 10 % another token, 10 % themselves; and the pair head on [CLS]"),
    "causal": ("next-token", "every token after [BOS]"),
    "prefix": ("next-token-of-answer", "the answer and [EOS]"),
    "encoder-decoder": ("next-token-of-target", "the target and [EOS]"),
    "control": ("next-token-of-answer", "the answer and [EOS]"),
}
ARCHITECTURE_OF = {name: name for name in OBJECTIVES} | {"control": "causal"}

BLANKS = 0.15
UNTOUCHED = 0.1  # pairs without any blank: what the pair head meets in use
SINGLES = 0.2  # batches of single sentences
NEGATIVES = 0.45  # pairs that are no translations
HARD = 0.75  # of those: pairs that look like translations
TORN = 0.35  # blanks in the source of a sentence that stands alone
FIRST_ORDINARY = len(SPECIAL)


@dataclass
class Batch:
    source: Tensor  # (B, R): the only sequence where there is one stack
    source_lengths: Tensor  # (B): where the source ends; the encoder's whole length
    answer: Tensor | None  # (B, R'): decoder input of the encoder-decoder
    rows: Tensor  # (N): supervised rows, flat
    labels: Tensor  # (N)
    verdicts: Tensor | None = None  # (B): PAIR_YES, PAIR_NO for the encoder's pairs
    tokens: int = 0  # without padding, both stacks

    def to(self, device) -> Batch:
        if str(device) == "cpu":
            return self
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in vars(self).items()}
        return Batch(**moved)


def source_side(source) -> list[int]:
    return [BOS, *source, SEP]


def pair_side(source, target) -> list[int]:
    return [CLS, *source, SEP, *target, SEP]


def make(objective: str, pairs: list[tuple], corpus: Corpus | None = None, chosen=None, rng=None) -> Batch:
    """`pairs` of encoded (source, target). The encoder also needs where they came from, for its negatives."""
    if objective == "encoder":
        return masked(pairs, corpus, chosen, rng)
    if objective == "encoder-decoder":
        return translate(pairs)
    return next_token(pairs, everywhere=objective == "causal")


def make_alone(objective: str, sentences: list[np.ndarray], corpus: Corpus, rng: np.random.Generator) -> Batch:
    """Sentences that have no translation. The encoder fills their blanks; the others write them out again from what
    blanks have left of them: that teaches to write, and to look into a source while writing."""
    if objective == "encoder":
        return blanked([[CLS, *s, SEP] for s in sentences], 0.0, corpus, rng, None)
    torn = [np.where(rng.random(len(s)) < TORN, MASK, s) for s in sentences]
    return make(objective, list(zip(torn, sentences)))


def next_token(pairs, everywhere: bool) -> Batch:
    sequences = [source_side(s) + [*t, EOS] for s, t in pairs]
    ids = padded(sequences)
    rows, labels = [], []
    for i, ((source, _), sequence) in enumerate(zip(pairs, sequences)):
        first = 0 if everywhere else len(source) + 1  # the row of [SEP] predicts the first answer token
        rows += range(i * ids.shape[1] + first, i * ids.shape[1] + len(sequence) - 1)
        labels += sequence[first + 1 :]
    lengths = torch.tensor([len(s) + 2 for s, _ in pairs])
    return Batch(ids, lengths, None, torch.tensor(rows), torch.tensor(labels), tokens=sum(map(len, sequences)))


def translate(pairs) -> Batch:
    sources = [source_side(s) for s, _ in pairs]
    answers = [[BOS, *t] for _, t in pairs]
    answer = padded(answers)
    rows, labels = [], []
    for i, (_, target) in enumerate(pairs):
        rows += range(i * answer.shape[1], i * answer.shape[1] + len(target) + 1)
        labels += [*target, EOS]
    lengths = torch.tensor([len(s) for s in sources])
    tokens = sum(map(len, sources)) + sum(map(len, answers))
    return Batch(padded(sources), lengths, answer, torch.tensor(rows), torch.tensor(labels), tokens=tokens)


def masked(pairs, corpus: Corpus, chosen, rng: np.random.Generator) -> Batch:
    """A batch of single sentences, or of pairs of which some are no translations.

    Blanks fall on every pair alike, so that a blank says nothing about the verdict, and all of them are
    supervised: in a false pair a word still has its own sentence to be told from.
    """
    if rng.random() < SINGLES:
        sequences = [[CLS, *side, SEP] for pair in pairs for side in pair]
        return blanked(sequences, 0.0, corpus, rng, None)
    sequences, verdicts = [], []
    for (source, target), i in zip(pairs, chosen):
        verdict = PAIR_YES
        if rng.random() < NEGATIVES:
            verdict = PAIR_NO
            hard = corpus.negatives[i][corpus.negatives[i] >= 0]
            other = rng.choice(hard) if len(hard) and rng.random() < HARD else chosen[rng.integers(len(chosen))]
            if np.array_equal(corpus.targets[other], target):
                verdict = PAIR_YES
            target = corpus.targets[other]
        sequences.append(pair_side(source, target))
        verdicts.append(verdict)
    return blanked(sequences, UNTOUCHED, corpus, rng, torch.tensor(verdicts))


def blanked(sequences, untouched: float, corpus, rng, verdicts) -> Batch:
    ids = padded([list(map(int, s)) for s in sequences])
    flat = ids.numpy()
    ordinary = flat >= FIRST_ORDINARY
    touched = (rng.random(len(sequences)) >= untouched)[:, None]
    picked = ordinary & touched & (rng.random(flat.shape) < BLANKS)
    labels, rows = flat[picked].copy(), np.flatnonzero(picked)
    fate = rng.random(flat.shape)
    another = rng.integers(FIRST_ORDINARY, corpus.vocab_size, flat.shape)
    corrupted = np.where(picked & (fate < 0.8), MASK, np.where(picked & (fate < 0.9), another, flat))
    lengths = torch.tensor([len(s) for s in sequences])
    tokens = int(lengths.sum())
    return Batch(torch.from_numpy(corrupted), lengths, None, torch.from_numpy(rows), torch.from_numpy(labels), verdicts, tokens)


class VocabularyLoss(torch.autograd.Function):
    """Mean smoothed cross-entropy of rows (N, W) against labels (N), through a vocabulary of rows (V, W).

    Value and gradients are made a few rows at a time: the logits of a whole batch are larger than any cache,
    and on a CPU moving them costs more than computing them.
    """

    CHUNK, CHUNK_ON_GPU = 256, 16_384

    @staticmethod
    def forward(context, rows: Tensor, vocabulary: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        wants = context.needs_input_grad[0]
        total = rows.new_zeros((), dtype=torch.float32)
        to_rows, to_vocabulary = torch.empty_like(rows), torch.zeros_like(vocabulary, dtype=torch.float32)
        size = VocabularyLoss.CHUNK_ON_GPU if rows.is_cuda else VocabularyLoss.CHUNK
        for chunk in range(0, len(rows), size):
            part, label = rows[chunk : chunk + size], labels[chunk : chunk + size, None]
            logits = F.linear(part, vocabulary).float()
            norm = logits.logsumexp(-1, keepdim=True)
            total += (norm - (1 - smoothing) * logits.gather(-1, label) - smoothing * logits.mean(-1, keepdim=True)).sum()
            if wants:
                slope = logits.sub_(norm).exp_().sub_(smoothing / logits.shape[-1])
                slope.scatter_add_(-1, label, torch.full_like(norm, smoothing - 1))
                slope = slope.mul_(1 / len(rows)).to(rows.dtype)
                to_rows[chunk : chunk + size] = slope @ vocabulary
                to_vocabulary += slope.T @ part
        context.save_for_backward(to_rows, to_vocabulary)
        return total / len(rows)

    @staticmethod
    def backward(context, slope: Tensor):
        to_rows, to_vocabulary = context.saved_tensors
        return to_rows * slope, to_vocabulary * slope, None, None


def losses(model: Transformer, batch: Batch, smoothing: float) -> dict[str, Tensor]:
    """{"tokens": mean cross-entropy of the supervised rows, "pair": of the verdicts where there are any}."""
    hidden = model.rows(batch.source, batch.source_lengths, batch.answer)
    rows, vocabulary = hidden.flatten(0, 1)[batch.rows], model.token.weight
    rows, vocabulary = rows.to(product_type(rows)), vocabulary.to(product_type(vocabulary))
    found = {"tokens": VocabularyLoss.apply(rows, vocabulary, batch.labels, smoothing)}
    if batch.verdicts is not None:
        found["pair"] = F.cross_entropy(model.pair(hidden[:, 0]).float(), batch.verdicts)
    return found
