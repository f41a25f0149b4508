"""A checkpoint becomes a model folder; a model folder becomes golden numbers; all folders become models.json.

Golden numbers are computed in float64 from the weights as stored, so that they are the model's true
numbers and an engine's distance from them is the engine's.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from .data import QUARTETS, Quartet
from .evaluate import digest
from .model import EOS, MASK, SPECIAL, Transformer, Watch, greedy, load
from .objectives import OBJECTIVES, pair_side, source_side
from .pack import SUFFIX, pack
from .tokenizer import SPECIAL_TEXT
from .tokenizer import load as load_tokenizer

TEMPLATES = {
    "encoder": {"single": ["[CLS]", "$source", "[SEP]"], "pair": ["[CLS]", "$source", "[SEP]", "$target", "[SEP]"]},
    "causal": {"source": ["[BOS]", "$source", "[SEP]"], "answer": ["$target", "[EOS]"]},
    "prefix": {"source": ["[BOS]", "$source", "[SEP]"], "answer": ["$target", "[EOS]"]},
    "encoder-decoder": {"source": ["[BOS]", "$source", "[SEP]"], "start": ["[BOS]"], "answer": ["$target", "[EOS]"]},
}
TATOEBA = "Trained on sentence pairs from tatoeba.org (CC BY 2.0 FR) by way of manythings.org/anki"
CREDITS = {
    "en-fr": TATOEBA,
    "zh-en": f"{TATOEBA}; tokenizer.json holds a table made from OpenCC's dictionaries (Apache-2.0)",
}
# Written for this project; none of them is needed by the training.
EXAMPLES = {
    "en-fr": {
        "examples": [
            "The old doctor is tired tonight.",
            "I don't know where my keys are.",
            "Did you see the cat in the garden?",
            "My sister wants to learn English.",
            "He forgot to close the window.",
            "We will eat when you come home.",
        ],
        "pairs": [
            {"source": "The cat is in the garden.", "target": "Le chat est dans le jardin."},
            {"source": "I don't know where he lives.", "target": "Je ne sais pas où il habite."},
            {"source": "The cat is in the garden.", "target": "Le chien est dans la cuisine."},
            {"source": "She is reading a book.", "target": "Elle lit un livre."},
        ],
    },
    "zh-en": {
        "examples": ["我想学习英语。", "你昨天为什么没有来？", "老医生今天晚上很累。", "我不知道钥匙在哪里。", "她每天早上喝一杯茶。", "我們的老師很有名。"],
        "pairs": [
            {"source": "他每天早上喝茶。", "target": "He drinks tea every morning."},
            {"source": "我不知道他住在哪里。", "target": "I don't know where he lives."},
            {"source": "我想学习英语。", "target": "The dog is in the kitchen."},
            {"source": "她在看书。", "target": "She is reading a book."},
        ],
    },
}
# What the golden numbers are made for: (source, answer so far), and for the encoder (source, target or nothing),
# a "_" standing for a blank.
GOLDEN = {
    "en-fr": {
        "generate": [("The cat is hungry.", "Le chat a"), ("I don't know where he lives.", ""), ("Thank you!", "Merci !")],
        "encode": [("The _ sleeps.", "Le chat _."), ("She _.", None), ("I am tired.", "Il pleut.")],
    },
    "zh-en": {
        "generate": [("猫饿了。", "The cat"), ("我不知道他住在哪里。", ""), ("謝謝你！", "Thank you!")],
        "encode": [("猫在_里。", "The cat is in the _."), ("她_。", None), ("我累了。", "It is raining.")],
    },
}


def config_file(model: Transformer, objective: str, quartet: Quartet) -> dict:
    architecture = model.config.architecture
    name, supervised = OBJECTIVES[objective]
    numbers = model.config.numbers()
    return {
        "model_type": "unmasked", "version": 1, **numbers,
        "activation": "gelu", "norm": "layer", "norm_epsilon": numbers["norm_epsilon"], "tie_embeddings": True, "output_bias": False,
        "output_heads": ["pair"] if architecture == "encoder" else [], "special_tokens": SPECIAL,
        "template": TEMPLATES[architecture], "objective": {"name": name, "supervised": supervised},
        "languages": {"source": quartet.source, "target": quartet.target},
    }  # fmt: skip


def export(run: Path, folder: Path, work: Path, quartet: Quartet, average: bool, logs: Path | None) -> None:
    """Writes config.json, model.safetensors (f16) and tokenizer.json of a run's latest checkpoint.

    The log and settings of a run that is shipped go to `logs`, where the report finds them.
    """
    from .model import Config
    from .objectives import ARCHITECTURE_OF

    checkpoint = torch.load(run / "checkpoint.pt", map_location="cpu")
    objective = checkpoint["settings"]["objective"]
    weights = checkpoint["average"] if average else checkpoint["model"]
    tokenizer_path = work / quartet.name / "tokenizer.json"
    vocab_size = load_tokenizer(tokenizer_path).get_vocab_size()
    model = Transformer(Config.of(ARCHITECTURE_OF[objective], vocab_size))
    model.load_state_dict(weights)
    largest = max(p.abs().max().item() for p in model.parameters())
    if not largest < 6e4:
        raise ValueError(f"weights: expected numbers that fit f16, got {largest}")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config_file(model, objective, quartet), indent=1) + "\n")
    (folder / "model.safetensors").chmod(0o644)
    # Without the spaces of a file for people: they are half of its bytes.
    (folder / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer_path.read_text(encoding="utf-8")), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    if logs:
        logs.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run / "log.jsonl", logs / f"{objective}.jsonl")
        shutil.copyfile(run / "settings.json", logs / f"{objective}.settings.json")
    print(f"{folder.name}: {model.parameters_count()} parameters, step {checkpoint['counters']['step']}")


# ---- golden numbers ------------------------------------------------------------------------------------


def rounded(x):
    """Seven significant digits."""
    x = x.tolist() if isinstance(x, torch.Tensor) else x
    return [rounded(v) for v in x] if isinstance(x, list) else float(f"{x:.7g}")


def ids_with_blanks(tokenizer, text: str) -> list[int]:
    """`_` is a blank: [MASK] in the place of a token."""
    return tokenizer.encode(text.replace("_", SPECIAL_TEXT[MASK])).ids


@torch.no_grad()
def golden(folder: Path, quartet: Quartet) -> dict:
    model, tokenizer = load(folder, torch.float64), load_tokenizer(folder / "tokenizer.json")
    encoder = model.config.architecture == "encoder"
    wanted = GOLDEN[quartet.name]["encode" if encoder else "generate"]
    if folder.name.endswith(SUFFIX):
        wanted = wanted[:1]  # the same network: one case shows that the numbers are unpacked rightly
    cases = [golden_encoder(model, tokenizer, *case) if encoder else golden_generator(model, tokenizer, *case) for case in wanted]
    return {
        "generator": f"training/model.py, torch {torch.__version__.split('+')[0]}, float64 from the weights as stored",
        "model_sha256": digest(folder),
        "hidden": "rows before the first block, then after every block, the last norm not applied",
        "cases": cases,
    }


def stacks(watches: dict[str, Watch]) -> dict:
    """The watched parts of the one sentence of the batch."""
    attention = {name: rounded([layer[0] for layer in w.attention]) for name, w in watches.items() if w.attention}
    if watches["decoder"].cross:
        attention["cross"] = rounded([layer[0] for layer in watches["decoder"].cross])
    hidden = {name: rounded([rows[0] for rows in w.hidden]) for name, w in watches.items() if w.hidden}
    return {"attention": attention, "hidden": hidden}


def golden_encoder(model, tokenizer, source: str, target: str | None) -> dict:
    ids = pair_side(ids_with_blanks(tokenizer, source), [])[:-1]
    if target is not None:
        ids = pair_side(ids_with_blanks(tokenizer, source), ids_with_blanks(tokenizer, target))
    watches = {"encoder": Watch(on=True), "decoder": Watch(on=True)}
    rows = model.rows(torch.tensor([ids]), torch.tensor([len(ids)]), watch=tuple(watches.values()))
    logits = model.logits(rows)[0]
    best = logits.topk(2)
    return {
        "text": source, "pair_text": target, "ids": ids, "target_ids": [], "source_length": len(ids),
        "logits": rounded(logits), **stacks(watches), "pair": rounded(model.pair(rows[0, 0])),
        "best": best.indices[:, 0].tolist(), "best_margin": rounded(best.values[:, 0] - best.values[:, 1]),
    }  # fmt: skip


def golden_generator(model, tokenizer, source: str, answer: str) -> dict:
    from .model import BOS

    ids = source_side(tokenizer.encode(source).ids)
    so_far = tokenizer.encode(answer).ids if answer else []
    watches = {"encoder": Watch(on=True), "decoder": Watch(on=True)}
    length = torch.tensor([len(ids)])
    if model.config.architecture == "encoder-decoder":
        so_far = [BOS, *so_far]
        rows = model.rows(torch.tensor([ids]), length, torch.tensor([so_far]), tuple(watches.values()))
    else:
        rows = model.rows(torch.tensor([ids + so_far]), length, watch=tuple(watches.values()))
    answers, gaps = greedy(model, [ids])
    return {
        "text": source, "target_text": answer, "ids": ids, "target_ids": so_far, "source_length": len(ids),
        "logits": rounded(model.logits(rows)[0]), **stacks(watches),
        "greedy": answers[0], "greedy_margin": rounded(gaps[0]), "greedy_text": tokenizer.decode([t for t in answers[0] if t != EOS]),
    }  # fmt: skip


# ---- packed folders ------------------------------------------------------------------------------------

PACKED = "int8"  # folder of the packed models' measurements
UNROUNDED = "unrounded"  # folder of the measurements from before the weights were rounded
MOST_LOST = {"bleu": 0.5, "masked_accuracy": 0.005}  # a packed model that loses more is not offered


def pack_measured(folder: Path, unrounded: Path) -> None:
    """Packs a model, and notes in its measurement from before to which weights it was rounded."""
    before = digest(folder)
    pack(folder, folder.with_name(folder.name + SUFFIX))
    after = digest(folder)
    found = json.loads(unrounded.read_text()) if unrounded.exists() else {}
    if found.get("model_sha256") == before != after:
        found["rounded_sha256"] = after
        unrounded.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    if found.get("rounded_sha256") != after:
        print(f"{folder.name}: not measured before it was rounded, so its packed folder will not be listed (evaluate --unrounded)")


def before_rounding(unrounded: Path, weights: dict) -> dict | None:
    """The quality that a model had before it was rounded to these very weights, where that was measured."""
    found = json.loads(unrounded.read_text()) if unrounded.exists() else {}
    return quality_of(found) if found.get("rounded_sha256") == weights["sha256"] else None


# A quartet of which a model comes to less than this chrF on the test split is listed as experimental.
BARS = {"zh-en": {"causal": 38, "prefix": 40, "encoder-decoder": 40}}


# ---- models.json ---------------------------------------------------------------------------------------


def file_facts(path: Path) -> dict:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def quality_of(result: dict) -> dict:
    head = {"split": result["split"], "sentences": result["sentences"]}
    if "masked" in result:
        return {**head, "masked_accuracy": result["masked"]["pair_in_view"], "pair_accuracy": result["pair"]["accuracy"],
                "pair_hard_accuracy": result["pair"]["hard"], "pair_nearest_accuracy": result["pair"]["nearest"]}  # fmt: skip
    return {**head, "bleu": result["quality"]["bleu"], "chrf": result["quality"]["chrf"]}


def folder_facts(folder: Path) -> dict:
    files = {f: file_facts(folder / f) for f in ("config.json", "model.safetensors", "tokenizer.json")}
    return {"folder": folder.name, "bytes": sum(f["bytes"] for f in files.values()), "files": files}


def measured(result: Path, weights: dict) -> dict | None:
    """The quality in `result`, where it was measured on these very weights."""
    if not result.exists():
        return None
    found = json.loads(result.read_text())
    return quality_of(found) if found["model_sha256"] == weights["sha256"] else None


def packed_entry(folder: Path, result: Path, before: dict | None) -> dict | None:
    """A packed model, where it was measured and loses little of the quality from `before` the rounding."""
    if not (folder / "model.safetensors").exists():
        return None
    facts = folder_facts(folder)
    found = measured(result, facts["files"]["model.safetensors"])
    if not found or not before or any(before[k] - found[k] > most for k, most in MOST_LOST.items() if k in found):
        return None
    return {**facts, "quality": found}


def models_file(models: Path, results: Path) -> dict:
    """Every model folder of the quartets that exists, with hashes, and with quality measured on these very weights."""
    return {"version": 1, "models": [entry for name in QUARTETS for entry in quartet_entries(name, models, results / name)]}


def quartet_entries(name: str, models: Path, results: Path) -> list[dict]:
    quartet, entries = QUARTETS[name], []
    for architecture in TEMPLATES:
        folder = models / f"{name}-{architecture}"
        if not (folder / "model.safetensors").exists():
            continue
        texts = {k: v for k, v in EXAMPLES[name].items() if k == "examples" or architecture == "encoder"}
        facts = folder_facts(folder)
        entry = {
            "id": folder.name, "folder": folder.name, "architecture": architecture,
            "languages": {"source": quartet.source, "target": quartet.target},
            "parameters": load(folder).parameters_count(), **facts, "licence": "CC-BY-2.0-FR", "credit": CREDITS[name], **texts,
        }  # fmt: skip
        quality = measured(results / f"{architecture}.json", facts["files"]["model.safetensors"])
        before = before_rounding(results / UNROUNDED / f"{architecture}.json", facts["files"]["model.safetensors"])
        packed = packed_entry(folder.with_name(folder.name + SUFFIX), results / PACKED / f"{architecture}.json", before)
        entries.append(entry | ({"quality": quality} if quality else {}) | ({"packed": packed} if packed else {}))
    bars = BARS.get(name, {})
    reached = {entry["architecture"]: entry.get("quality", {}).get("chrf", 0) for entry in entries}
    if any(reached.get(architecture, 0) < bar for architecture, bar in bars.items()):
        entries = [entry | {"experimental": True} for entry in entries]
    return entries
