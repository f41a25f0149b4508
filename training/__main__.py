"""python -m training prepare | tokenizer | train | export | pack | evaluate | control | labs | compare | plot | report | all"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODELS = HERE.parent / "www" / "models"
LABS = HERE.parent / "www" / "labs"
GOLDEN = HERE.parent / "tests" / "golden"
RESULTS = HERE / "results"


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--work", type=Path, default=HERE / "work", help="everything made on the way; git ignores it")
    common.add_argument("--quartet", default="en-fr", help="en-fr or zh-en")
    top = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    usual = "the quartet's in data.py where not given"
    add = lambda name, help: commands.add_parser(name, parents=[common], help=help)

    prepare = add("prepare", "clean, normalise and split the sentence pairs")
    prepare.add_argument("--data", type=Path, required=True, help="the folder with eng-fra.tsv and eng-cmn.tsv")
    add("tokenizer", "learn the joint tokenizer from the training pairs")

    train = add("train", "train one model, or go on with it")
    train_options(train)

    evaluate = add("evaluate", "measure an exported model")
    evaluate.add_argument("name", help="encoder, causal, prefix or encoder-decoder")
    evaluate.add_argument("--folder", type=Path, help="the model folder; the shipped one where not given")
    which = evaluate.add_mutually_exclusive_group()
    which.add_argument("--packed", action="store_true", help="the shipped model's packed int8 folder")
    which.add_argument("--unrounded", action="store_true", help="the exported folder before `pack`, which notes what became of it")
    evaluate.add_argument("--split", choices=["test", "validation"], default="test")
    evaluate.add_argument("--sentences", type=int, help="the first so many of the split")
    evaluate.add_argument("--out", type=Path, help="where the numbers go; training/results where not given")
    evaluate.add_argument("--threads", type=int, default=1)

    export = add("export", "write model folders, golden numbers and models.json")
    export.add_argument("runs", nargs="*", help="objective=run, such as causal=causal-1; none: only golden numbers and models.json")
    export.add_argument("--average", action="store_true", help="the running average of the weights instead of the last ones")
    export.add_argument("--to", type=Path, help="a folder for a model that is not shipped")

    add("pack", "write the packed int8 folder of every shipped model")
    add("labs", "sentences worth a lesson, with their numbers, for www/labs/")
    add("compare", "differences between the measured models, with intervals")
    add("plot", "curves as SVG, from the logs")
    add("report", "REPORT.md, from the logs and measurements")

    control = add("control", "tell the mask from the objective: causal, control and prefix, several seeds each, and what they differ in")
    control.add_argument("--tokens", type=float, help=f"tokens that each run sees; {usual}")
    control.add_argument("--seeds", type=int, default=2)
    control.add_argument("--processes", type=int, default=2, help="runs trained at one time")

    everything = add("all", "prepare, tokenizer, train the four, the control experiment, export, evaluate, plot, report")
    everything.add_argument("--data", type=Path, required=True)
    everything.add_argument("--tokens", type=float, help=f"tokens that each model sees; {usual}")
    everything.add_argument("--seed", type=int, default=1)
    everything.add_argument("--threads", type=int, default=1, help="of each process")
    everything.add_argument("--processes", type=int, default=2, help="models trained at one time")

    return top


def train_options(train) -> None:
    train.add_argument("objective", choices=["encoder", "causal", "prefix", "encoder-decoder", "control"])
    train.add_argument("--name", help="the run's folder; objective and seed where not given")
    train.add_argument("--minutes", type=float)
    train.add_argument("--steps", type=int)
    train.add_argument("--tokens", type=float, help="the quartet's in data.py where no budget is given")
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--threads", type=int, default=1)
    train.add_argument("--device", default=None, help="cpu or cuda; cuda where there is one")
    train.add_argument("--precision", choices=["auto", "f32", "bf16"], default="auto")
    train.add_argument("--init", type=Path, help="an exported folder to start from")
    train.add_argument("--go-on", action="store_true", help="go on from the shipped folder and its log where the run has no checkpoint")
    train.add_argument("--rate", type=float)
    train.add_argument("--muon-rate", type=float)
    train.add_argument("--decay", type=float, help="this, batch tokens and dropout: the quartet's in data.py where not given")
    train.add_argument("--batch-tokens", type=int)
    train.add_argument("--dropout", type=float, help="0 for the encoder where not given, since its blanks differ from epoch to epoch")
    train.add_argument("--pair-weight", type=float, help="the pair head's share of the encoder's loss, in shares of the blanks'")
    train.add_argument("--quality-every", type=float, default=1.5e6, help="tokens between two measurements on validation sentences")


def run_train(options) -> None:
    import torch

    from .data import QUARTETS
    from .train import Budget, Settings, train

    given = {name: getattr(options, name) for name in ("rate", "muon_rate", "decay", "batch_tokens", "dropout", "pair_weight")}
    quartet = QUARTETS[options.quartet]
    usual = {"batch_tokens": quartet.batch_tokens, "decay": quartet.decay, "dropout": 0.0 if options.objective == "encoder" else quartet.dropout}
    settings = Settings(options.objective, options.seed, **usual | {k: v for k, v in given.items() if v is not None})
    name = options.name or f"{options.objective}-{options.seed}"
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    tokens = options.tokens or (0 if options.minutes or options.steps else quartet.tokens)
    budget = Budget(options.minutes, options.steps, int(tokens) or None)
    initial, log = options.init, None
    if options.go_on:
        initial = MODELS / f"{options.quartet}-{options.objective}"
        log = RESULTS / options.quartet / "logs" / f"{options.objective}.jsonl"
    train(options.work / options.quartet / "runs" / name, options.work, quartet, settings, budget,
          options.threads, device, options.precision, initial, log, int(options.quality_every))  # fmt: skip


def run_tokenizer(options) -> None:
    from .data import CORPUS, QUARTETS, english_beside, read_train
    from .tokenizer import train

    folder, quartet = options.work / options.quartet, QUARTETS[options.quartet]
    sentences = [side for pair in read_train(folder) for side in (pair.english, pair.other)]
    tokenizer = train(sentences + english_beside(folder, quartet), quartet.vocab_size, quartet.rare)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / CORPUS).unlink(missing_ok=True)
    print(f"{tokenizer.get_vocab_size()} tokens")


def run_evaluate(options) -> None:
    import torch

    from .data import QUARTETS
    from .evaluate import evaluate
    from .export import PACKED, UNROUNDED
    from .pack import SUFFIX

    torch.set_num_threads(options.threads)
    shipped = f"{options.quartet}-{options.name}{SUFFIX if options.packed else ''}"
    folder = options.folder or MODELS / shipped
    kind = PACKED if options.packed else UNROUNDED if options.unrounded else ""
    out = options.out or RESULTS / options.quartet / kind / f"{options.name}.json"
    found = evaluate(folder, options.work, QUARTETS[options.quartet], options.split, options.sentences, out)
    print({k: v for k, v in found.items() if k not in ("outputs", "samples", "by_length")})


def run_export(options) -> None:
    import json

    from .data import QUARTETS
    from .export import TEMPLATES, export, golden, models_file
    from .pack import SUFFIX

    quartet = QUARTETS[options.quartet]
    for item in options.runs:
        objective, run = item.split("=")
        folder = options.to or MODELS / f"{quartet.name}-{objective}"
        logs = None if options.to else RESULTS / quartet.name / "logs"
        export(options.work / quartet.name / "runs" / run, folder, options.work, quartet, options.average, logs)
    if options.to:
        return
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for architecture in TEMPLATES:
        for folder in (MODELS / f"{quartet.name}-{architecture}{suffix}" for suffix in ("", SUFFIX)):
            if not folder.exists():
                continue
            text = json.dumps(golden(folder, quartet), ensure_ascii=False, separators=(",", ":"))
            (GOLDEN / f"{folder.name}.json").write_text(text + "\n")
    (MODELS / "models.json").write_text(json.dumps(models_file(MODELS, RESULTS), ensure_ascii=False, indent=1) + "\n")


def run_pack(options) -> None:
    from .export import TEMPLATES, UNROUNDED, pack_measured

    for architecture in TEMPLATES:
        folder = MODELS / f"{options.quartet}-{architecture}"
        if folder.exists():
            pack_measured(folder, RESULTS / options.quartet / UNROUNDED / f"{architecture}.json")


def run_labs(options) -> None:
    import json

    import torch

    from .data import QUARTETS
    from .labs import labs

    torch.set_num_threads(1)
    found = labs(MODELS, RESULTS / options.quartet, options.work, QUARTETS[options.quartet])
    LABS.mkdir(exist_ok=True)
    (LABS / f"{options.quartet}.json").write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")


def run_compare(options) -> None:
    import json

    from .data import QUARTETS
    from .evaluate import compare

    results = RESULTS / options.quartet
    (results / "compare.json").write_text(json.dumps(compare(results, options.work, QUARTETS[options.quartet]), indent=1) + "\n")


def run_plot(options) -> None:
    from .plot import plot

    plot(RESULTS / options.quartet, HERE / "figures" / options.quartet)


def run_report(options) -> None:
    from .report import report

    (HERE / "REPORT.md").write_text(report(RESULTS, HERE / "splits"))


def run_prepare(options) -> None:
    from .data import prepare

    prepare(options.data, options.work, HERE / "splits")


def run_step(options, *words) -> None:
    """Another command in a process of its own."""
    subprocess.run([sys.executable, "-m", "training", *map(str, words), "--work", options.work, "--quartet", options.quartet], check=True)


def if_given(options, name: str) -> tuple:
    """An option to hand on, where it was given."""
    value = getattr(options, name)
    return () if value is None else (f"--{name}", value)


def run_control(options) -> None:
    """Every run is trained to its budget, or on to it, then exported and measured; last come the differences."""
    import json
    from concurrent.futures import ThreadPoolExecutor

    from .control import FOLDER, OBJECTIVES, effects, keep_logs, run_name
    from .data import QUARTETS

    results, work = RESULTS / options.quartet / FOLDER, options.work / options.quartet

    def run(which) -> None:
        objective, seed = which
        name = run_name(objective, seed)
        run_step(options, "train", objective, "--seed", seed, "--name", name, *if_given(options, "tokens"))
        folder = work / FOLDER / name
        run_step(options, "export", f"{objective}={name}", "--to", folder)
        run_step(options, "evaluate", objective, "--folder", folder, "--out", results / f"{objective}-{seed}.json")
        keep_logs(work / "runs" / name, results, objective, seed)

    with ThreadPoolExecutor(options.processes) as pool:
        list(pool.map(run, ((objective, seed) for seed in range(1, options.seeds + 1) for objective in OBJECTIVES)))
    found = effects(results, options.work, QUARTETS[options.quartet])
    (results / "effects.json").write_text(json.dumps(found, indent=1) + "\n")


def run_all(options) -> None:
    """Every step in turn; each training in a process of its own, so that a stopped run goes on where it was."""
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial

    from .data import QUARTETS
    from .objectives import ARCHITECTURE_OF, OBJECTIVES

    step = partial(run_step, options)
    if not (options.work / options.quartet / "tokenizer.json").exists():
        step("prepare", "--data", options.data)
        step("tokenizer")
    beside = QUARTETS[options.quartet].beside

    def train(objective) -> None:
        trained = MODELS / f"{beside}-{ARCHITECTURE_OF[objective]}"
        initial = ("--init", trained) if beside and trained.exists() else ()
        step("train", objective, *if_given(options, "tokens"), "--seed", options.seed, "--threads", options.threads, *initial)

    shipped = [name for name in OBJECTIVES if name != "control"]
    with ThreadPoolExecutor(options.processes) as pool:
        list(pool.map(train, shipped))
    step("export", *(f"{name}={name}-{options.seed}" for name in shipped))
    for name in shipped:
        step("evaluate", name, "--unrounded")
    step("pack")
    for name in shipped:
        step("evaluate", name)
        step("evaluate", name, "--packed")
    if not beside:
        step("control", *if_given(options, "tokens"), "--processes", options.processes)
    for last in ("export", "labs", "compare", "plot", "report"):
        step(last)


STEPS = {
    "prepare": run_prepare, "tokenizer": run_tokenizer, "train": run_train, "evaluate": run_evaluate, "export": run_export,
    "pack": run_pack, "control": run_control, "labs": run_labs, "compare": run_compare, "plot": run_plot, "report": run_report, "all": run_all,
}  # fmt: skip


def main(arguments: list[str]) -> None:
    options = parser().parse_args(arguments)
    STEPS[options.command](options)


if __name__ == "__main__":
    main(sys.argv[1:])
