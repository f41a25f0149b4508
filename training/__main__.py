"""python -m training prepare | tokenizer | train | evaluate | export | plot | report | all"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--work", type=Path, default=HERE / "work", help="everything made on the way; git ignores it")
    common.add_argument("--quartet", default="en-fr", help="en-fr or zh-en")
    top = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    add = lambda name, help: commands.add_parser(name, parents=[common], help=help)

    prepare = add("prepare", "clean, normalise and split the sentence pairs")
    prepare.add_argument("--data", type=Path, required=True, help="the folder with eng-fra.tsv and eng-cmn.tsv")
    add("tokenizer", "learn the joint tokenizer from the training pairs")

    train = add("train", "train one model, or go on with it")
    train_options(train)

    return top


def train_options(train) -> None:
    train.add_argument("objective", choices=["encoder", "causal", "prefix", "encoder-decoder", "control"])
    train.add_argument("--name", help="the run's folder; objective and seed where not given")
    train.add_argument("--minutes", type=float)
    train.add_argument("--steps", type=int)
    train.add_argument("--tokens", type=float)
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--threads", type=int, default=1)
    train.add_argument("--device", default=None, help="cpu or cuda; cuda where there is one")
    train.add_argument("--precision", choices=["auto", "f32", "bf16"], default="auto")
    train.add_argument("--init", type=Path, help="an exported folder to start from")
    train.add_argument("--rate", type=float)
    train.add_argument("--muon-rate", type=float)
    train.add_argument("--decay", type=float)
    train.add_argument("--batch-tokens", type=int)


def run_train(options) -> None:
    import torch

    from .data import QUARTETS
    from .train import Budget, Settings, train

    given = {name: getattr(options, name) for name in ("rate", "muon_rate", "decay", "batch_tokens")}
    settings = Settings(options.objective, options.seed, **{k: v for k, v in given.items() if v is not None})
    name = options.name or f"{options.objective}-{options.seed}"
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    budget = Budget(options.minutes, options.steps, int(options.tokens) if options.tokens else None)
    train(options.work / options.quartet / "runs" / name, options.work, QUARTETS[options.quartet], settings, budget,
          options.threads, device, options.precision, options.init)  # fmt: skip


def run_tokenizer(options) -> None:
    from .data import QUARTETS
    from .tokenizer import train

    folder = options.work / options.quartet
    lines = (folder / "train.tsv").read_text(encoding="utf-8").splitlines()
    tokenizer = train((side for line in lines for side in line.split("\t")), QUARTETS[options.quartet].vocab_size)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "negatives.npy").unlink(missing_ok=True)
    print(f"{tokenizer.get_vocab_size()} tokens")


def main(arguments: list[str]) -> None:
    options = parser().parse_args(arguments)
    if options.command == "prepare":
        from .data import prepare

        prepare(options.data, options.work, HERE / "splits")
    elif options.command == "tokenizer":
        run_tokenizer(options)
    elif options.command == "train":
        run_train(options)


if __name__ == "__main__":
    main(sys.argv[1:])
