"""Who may know what, tested on random weights in float64: equal means equal, up to the order of summing."""

import pytest
import torch

from training.model import ARCHITECTURES, BOS, EOS, SEP, Attention, Config, Transformer, Watch, added, causal_mask, full_mask, greedy, padded, prefix_mask

VOCABULARY = 64
SOURCE = [BOS, 20, 21, 22, SEP]
ANSWER = [30, 31, 32]


def model_of(architecture: str) -> Transformer:
    torch.manual_seed(0)
    return Transformer(Config.of(architecture, VOCABULARY)).double().eval()


def rows_of(model: Transformer, source: list[int], answer: list[int]) -> torch.Tensor:
    length = torch.tensor([len(source)])
    if model.config.architecture == "encoder-decoder":
        return model.rows(torch.tensor([source]), length, torch.tensor([[BOS] + answer]))[0]
    if model.config.architecture == "encoder":
        return model.rows(torch.tensor([source + answer]), length + len(answer))[0]
    return model.rows(torch.tensor([source + answer]), length)[0]


def moved(architecture: str, changed_source: list[int], changed_answer: list[int]) -> list[bool]:
    """Which rows move when tokens change."""
    model = model_of(architecture)
    before, after = rows_of(model, SOURCE, ANSWER), rows_of(model, changed_source, changed_answer)
    return [(a - b).abs().max().item() > 1e-9 for a, b in zip(before, after)]


def drawn(mask: torch.Tensor) -> list[str]:
    return ["".join("1" if cell else "0" for cell in row) for row in mask]


def test_masks():
    assert drawn(causal_mask(3)[0]) == ["100", "110", "111"]
    assert drawn(prefix_mask(torch.tensor([2, 3]), 4)[0]) == ["1100", "1100", "1110", "1111"]
    assert drawn(prefix_mask(torch.tensor([2, 3]), 4)[1]) == ["1110", "1110", "1110", "1111"]
    assert drawn(full_mask(torch.tensor([2, 3]), 3)[0]) == ["110"]


def test_causal_rows_never_learn_what_follows():
    assert moved("causal", SOURCE[:2] + [25] + SOURCE[3:], ANSWER) == [False] * 2 + [True] * 6
    assert moved("causal", SOURCE, [30, 31, 40]) == [False] * 7 + [True]


def test_prefix_source_sees_itself_but_never_the_answer():
    assert moved("prefix", SOURCE[:3] + [25] + SOURCE[4:], ANSWER) == [True] * 8
    assert moved("prefix", SOURCE, [30, 40, 32]) == [False] * 6 + [True] * 2


def test_encoder_rows_see_everything():
    assert moved("encoder", SOURCE, [30, 31, 40]) == [True] * 8


def test_target_rows_see_the_whole_source_and_their_own_past():
    assert moved("encoder-decoder", SOURCE[:3] + [25] + SOURCE[4:], ANSWER) == [True] * 4
    assert moved("encoder-decoder", SOURCE, [30, 40, 32]) == [False] * 2 + [True] * 2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_changes_nothing(architecture):
    model = model_of(architecture)
    longer = [BOS, 23, 24, 25, 26, 27, SEP]
    lengths = torch.tensor([len(SOURCE), len(longer)])
    if architecture == "encoder-decoder":
        rows = model.rows(padded([SOURCE, longer]), lengths, padded([[BOS] + ANSWER, [BOS] + ANSWER + ANSWER]))
    else:
        lengths = lengths + (len(ANSWER) if architecture == "encoder" else 0)
        rows = model.rows(padded([SOURCE + ANSWER, longer + ANSWER]), lengths)
    alone = rows_of(model, SOURCE, ANSWER)
    assert torch.allclose(rows[0, : len(alone)], alone, atol=1e-12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_attention_sums_to_one_and_is_zero_where_hidden(architecture):
    model, watches = model_of(architecture), (Watch(on=True), Watch(on=True))
    answer = torch.tensor([[BOS] + ANSWER]) if architecture == "encoder-decoder" else None
    model.rows(torch.tensor([SOURCE]), torch.tensor([len(SOURCE)]), answer, watches)
    layers = [layer for watch in watches for layer in watch.attention + watch.cross]
    assert len(layers) == {"encoder-decoder": 9}.get(architecture, 6)
    for layer in layers:
        assert torch.allclose(layer.sum(-1), torch.ones_like(layer.sum(-1)))
    if architecture == "causal":
        assert layers[0][~causal_mask(len(SOURCE)).expand_as(layers[0])].abs().max() == 0


def test_greedy_is_the_same_alone_and_in_company():
    for architecture in ("causal", "prefix", "encoder-decoder"):
        model = model_of(architecture)
        sources = [SOURCE, [BOS, 40, SEP], [BOS, 41, 42, 43, 44, 45, SEP]]
        together, _ = greedy(model, sources, limit=8)
        assert together == [greedy(model, [source], limit=8)[0][0] for source in sources]
        assert all(len(ids) == 8 or ids[-1] == EOS for ids in together)


def test_parameters_of_the_quartet():
    counts = {a: Transformer(Config.of(a, 3312)).parameters_count() for a in ARCHITECTURES}
    assert counts["causal"] == counts["prefix"] == counts["encoder"] - 2 * (160 + 1)
    assert all(2 * count < 6_000_000 for count in counts.values())


@pytest.mark.parametrize("mask", [full_mask(torch.tensor([9, 4]), 9), causal_mask(9), prefix_mask(torch.tensor([5, 2]), 9)])
def test_a_mask_that_is_added_masks_alike(mask):
    torch.manual_seed(0)
    attention = Attention(Config.of("prefix", VOCABULARY)).double()
    x = torch.randn(2, 9, 160, dtype=torch.float64)
    assert torch.allclose(attention(x, mask), attention(x, added(mask, 9, x.dtype)), atol=1e-12)
