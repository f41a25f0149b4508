"""A whole run in small: train, stop, go on, export, load again, golden numbers."""

import json

import pytest
import torch
from torch.utils.data import DataLoader

from training import control, data, export, pack, report, train
from training import tokenizer as tokens
from training.model import ARCHITECTURES, load

from .test_data import ENGLISH, FRENCH


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    folder = work / "en-fr"
    folder.mkdir()
    (folder / "train.tsv").write_text("".join(f"{e}\t{f}\n" for e, f in zip(ENGLISH * 20, FRENCH * 20)))
    items = [{"id": str(i), "words": 3, "source": e, "references": [f]} for i, (e, f) in enumerate(zip(ENGLISH, FRENCH))]
    (folder / "validation.json").write_text(json.dumps(items))
    tokens.train([*ENGLISH * 30, *FRENCH * 30], 400).save(str(folder / "tokenizer.json"))
    return work


def run(work, name: str, objective: str, steps: int) -> dict:
    folder = work / "en-fr" / "runs" / name
    settings = train.Settings(objective, batch_tokens=200, warm_up_tokens=1000, decay=0, dropout=0.1)
    train.train(folder, work, data.QUARTETS["en-fr"], settings, train.Budget(None, steps, None), precision="f32")
    return torch.load(folder / "checkpoint.pt")


@pytest.mark.parametrize("objective", ["prefix", "encoder"])
def test_stopping_changes_nothing(work, objective):
    whole = run(work, f"whole-{objective}", objective, 6)
    run(work, f"parts-{objective}", objective, 3)
    parts = run(work, f"parts-{objective}", objective, 6)
    assert whole["counters"]["tokens"] == parts["counters"]["tokens"]
    for name, tensor in whole["model"].items():
        assert torch.allclose(tensor, parts["model"][name], atol=1e-6), name


@pytest.mark.parametrize("objective", ["causal", "encoder"])
def test_a_worker_makes_the_same_batches(work, objective):
    corpus = data.Corpus.read(work, data.QUARTETS["en-fr"])
    stream = train.Stream(corpus, train.Settings(objective, batch_tokens=200), start=3)
    for workers in (1, 2):
        beside = DataLoader(stream, batch_size=None, num_workers=workers)
        for (n, here), (m, there), _ in zip(stream, beside, range(8)):
            assert n == m and torch.equal(here.source, there.source) and torch.equal(here.labels, there.labels)


def test_dropout_is_of_training_alone():
    model = train.Transformer(train.Config.of("prefix", 400))
    for block in model.decoder.layers:
        block.dropout = 0.5
    ids, lengths = torch.arange(10)[None], torch.tensor([4])
    assert not torch.equal(model.train().rows(ids, lengths), model.rows(ids, lengths))
    assert torch.equal(model.eval().rows(ids, lengths), model.rows(ids, lengths))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_export_reloads_and_golden_agrees(work, architecture, tmp_path):
    checkpoint = run(work, f"export-{architecture}", architecture, 3)
    folder = tmp_path / f"en-fr-{architecture}"
    quartet = data.QUARTETS["en-fr"]
    export.export(work / "en-fr" / "runs" / f"export-{architecture}", folder, work, quartet, average=False, logs=tmp_path / "logs")
    model = load(folder)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, checkpoint["model"][name].half().float()), name
    golden = export.golden(folder, quartet)
    for case in golden["cases"]:
        rows = len(case["target_ids"]) if architecture == "encoder-decoder" else len(case["ids"]) + len(case["target_ids"])
        assert len(case["logits"]) == rows and len(case["logits"][0]) == model.config.vocab_size
    listed = export.models_file(tmp_path, tmp_path)["models"]
    assert [entry["id"] for entry in listed] == [folder.name] and listed[0]["parameters"] == model.parameters_count()


def test_another_tokenizer_takes_over_the_rows_it_knows(work, tmp_path):
    run(work, "taken", "prefix", 2)
    folder = tmp_path / "en-fr-prefix"
    export.export(work / "en-fr" / "runs" / "taken", folder, work, data.QUARTETS["en-fr"], average=False, logs=tmp_path / "logs")
    other = tokens.train(ENGLISH * 30, 330)
    other.save(str(tmp_path / "tokenizer.json"))
    model = train.Transformer(train.Config.of("prefix", other.get_vocab_size()))
    fresh = model.token.weight.detach().clone()
    train.take_over(model, folder, tmp_path / "tokenizer.json")
    initial, known = load(folder), tokens.load(folder / "tokenizer.json").get_vocab()
    assert torch.equal(model.decoder.layers[0].feed_forward.up.weight, initial.decoder.layers[0].feed_forward.up.weight)
    pieces = other.get_vocab()
    assert any(piece in known and known[piece] != row for piece, row in pieces.items())
    for piece, row in pieces.items():
        expected = initial.token.weight[known[piece]] if piece in known else fresh[row]
        assert torch.equal(model.token.weight[row], expected), piece


def test_a_packed_model_and_its_f16_hold_the_same_numbers(work, tmp_path):
    run(work, "packed", "encoder", 3)
    folder = tmp_path / "en-fr-encoder"
    export.export(work / "en-fr" / "runs" / "packed", folder, work, data.QUARTETS["en-fr"], average=False, logs=tmp_path / "logs")
    trained = load(folder).state_dict()
    packed = tmp_path / f"en-fr-encoder{pack.SUFFIX}"
    pack.pack(folder, packed)
    weights = lambda path: path / "model.safetensors"
    assert weights(packed).stat().st_size < 0.6 * weights(folder).stat().st_size
    whole, small = load(folder).state_dict(), load(packed).state_dict()
    for name, tensor in trained.items():
        assert torch.equal(small[name], whole[name]), name
        if pack.is_packed(name, tensor):
            step = tensor.abs().amax(1, keepdim=True) / 127
            assert (whole[name] - tensor).square().mean() <= (step.square() / 6).mean(), name
        else:
            assert torch.equal(whole[name], tensor), name
    once = weights(folder).read_bytes()
    pack.pack(folder, packed)
    assert weights(folder).read_bytes() == once, "what was rounded stays"


def test_rate_climbs_stays_and_falls():
    settings = train.Settings("causal", warm_up_tokens=100, decay=0.5)
    share = lambda tokens, progress: train.share_of_rate(tokens, progress, settings)
    assert share(0, 0.0) == pytest.approx(0.01)
    assert share(1000, 0.3) == 1 and share(1000, 0.75) == pytest.approx(0.5) and share(1000, 1.0) == 0


def test_control_tells_the_mask_from_the_objective(tmp_path):
    work, results = tmp_path / "work", tmp_path / "results"
    (work / "en-fr").mkdir(parents=True)
    results.mkdir()
    references = {str(i): [f"phrase numéro {i} de la liste"] for i in range(40)}
    items = [{"id": i, "references": refs} for i, refs in references.items()]
    (work / "en-fr" / "test.json").write_text(json.dumps(items))
    # `control` spoils every second sentence, with the second seed every third; the mask changes nothing.
    for seed, spoiled in ((1, 2), (2, 3)):
        worse = {i: refs[0] if int(i) % spoiled else "autre chose" for i, refs in references.items()}
        for objective in control.OBJECTIVES:
            outputs = {i: refs[0] for i, refs in references.items()} if objective == "causal" else worse
            (results / f"{objective}-{seed}.json").write_text(json.dumps({"outputs": outputs}))
            (results / f"{objective}-{seed}.settings.json").write_text("{}")
    (results / "causal-3.json").write_text("{}")  # a seed whose other runs are still to come
    found = control.effects(results, work, data.QUARTETS["en-fr"])
    assert found["seeds"] == [1, 2]
    for row in found["rows"]:
        if row["effect"] == "mask":
            assert row["seeds"] == [0, 0] and row["interval"] == [0, 0]
        else:
            assert row["seeds"][0] > row["seeds"][1] > 0 and row["interval"][0] > 0
    said = report.told(found)
    assert "loss on every token helps" in said and "What an open source does is not told apart" in said
