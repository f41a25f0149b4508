"""The training loop: seeded, resumable at any moment, with a log that everything else reads.

A run is a folder: `checkpoint.pt` (weights, their running average, optimiser, counters), `settings.json`,
`log.jsonl`. The learning rate climbs, stays, and falls to nothing over the last part of the budget; as it is
a function of progress alone, a run that was stopped goes on under a larger budget as if nothing had been.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import time
import timeit
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from tqdm import tqdm

from .data import Chosen, Corpus, Quartet, batches
from .evaluate import beside_accuracy, scores, translations
from .model import Block, Config, Transformer, load
from .objectives import ARCHITECTURE_OF, Batch, blanked, losses, make, make_alone, pair_side
from .tokenizer import load as load_tokenizer

AVERAGE = 0.998  # a step's share of the past in the running average of the weights
SAVE_EVERY, VALIDATE_EVERY, LOG_EVERY = 60.0, 120.0, 20  # seconds, seconds, steps
VALIDATION_PAIRS = 400
QUALITY_SENTENCES = 200  # of the validation split


@dataclass
class Settings:
    objective: str
    seed: int = 1
    batch_tokens: int = 8000
    rate: float = 2e-3
    muon_rate: float = 0.02  # of the blocks' matrices; 0: AdamW for every parameter
    weight_decay: float = 0.05
    smoothing: float = 0.1
    warm_up_tokens: int = 300_000
    decay: float = 0.8  # the last part of the budget, over which the rate falls to 0
    pair_weight: float = 1.0
    dropout: float = 0.0  # of what each layer adds to its rows
    clip: float = 1.0


class Muon(torch.optim.Optimizer):
    """Steps of equal size in every direction of a weight matrix: the momentum, made orthogonal by Newton-Schulz.

    (K. Jordan and others, 2024.) Matrices of one shape are stepped together.
    """

    def __init__(self, parameters, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape: dict[tuple, list[Tensor]] = {}
            for p in group["params"]:
                by_shape.setdefault(tuple(p.shape), []).append(p)
            for shape, same in by_shape.items():
                gradients = [p.grad for p in same]
                momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in same]
                torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
                ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
                steps = orthogonal(torch.stack(ahead))
                size = group["lr"] * max(1, shape[0] / shape[1]) ** 0.5
                torch._foreach_mul_(same, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(same, list(steps.float().unbind()), alpha=-size)


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """(N, out, in) -> the nearest matrices with equal singular values, nearly."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.bfloat16() if matrices.is_cuda or fast_bf16() else matrices.float()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def optimisers(model: Transformer, settings: Settings) -> list[torch.optim.Optimizer]:
    """AdamW, with decay on matrices only; hidden matrices go to Muon where it has a rate."""
    hidden = [p for n, p in model.named_parameters() if ".layers." in n and p.dim() == 2]
    small = [p for p in model.parameters() if p.dim() == 1]
    tables = [p for n, p in model.named_parameters() if p.dim() == 2 and ".layers." not in n]
    groups = [{"params": small, "weight_decay": 0.0}, {"params": tables, "weight_decay": 0.0}]
    if not settings.muon_rate:
        groups.append({"params": hidden, "weight_decay": settings.weight_decay})
    together = {"fused": True} if tables[0].is_cuda else {"foreach": True}
    adam = torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.98), eps=1e-9, **together)
    if not settings.muon_rate:
        return [adam]
    return [adam, Muon(hidden, lr=settings.muon_rate, weight_decay=settings.weight_decay)]


def share_of_rate(tokens_here: int, progress: float, settings: Settings) -> float:
    """1 in the middle; climbs over the first tokens of this stretch, falls to 0 at the end of the budget."""
    climb = min(1.0, (tokens_here + 1) / settings.warm_up_tokens)
    fall = min(1.0, (1 - progress) / settings.decay) if settings.decay else 1.0
    return max(0.0, min(climb, fall))


@dataclass
class Counters:
    step: int = 0
    batch: int = 0  # the next batch of the stream
    tokens: int = 0
    supervised: int = 0
    seconds: float = 0.0
    tokens_at_start: int = 0  # where the climb of the rate began: 0, or where weights were taken over


def take_over(model: Transformer, folder: Path, tokenizer: Path) -> None:
    """Starts `model` from the weights of `folder`. Where the two cut text differently, a piece that both know keeps
    its row of the embedding, and a new one keeps the row that it has."""
    initial = load(folder)
    if initial.config.architecture != model.config.architecture:
        raise ValueError(f"--init: expected a model of architecture `{model.config.architecture}`, got `{initial.config.architecture}`")
    known, pieces = (load_tokenizer(path).get_vocab() for path in (folder / "tokenizer.json", tokenizer))
    table = model.token.weight.detach().clone()
    shared = [(row, known[piece]) for piece, row in pieces.items() if piece in known]
    here, there = (torch.tensor(rows) for rows in zip(*shared))
    table[here] = initial.token.weight.detach()[there]
    model.load_state_dict({**initial.state_dict(), "token.weight": table})


def counters_at_end_of(log: Path) -> Counters:
    """Where a run that left its weights and its log stopped; batch n is made in step n."""
    last = json.loads(log.read_text().splitlines()[-1])
    done = {name: last[name] for name in ("step", "tokens", "supervised", "seconds")}
    return Counters(batch=done["step"], tokens_at_start=done["tokens"], **done)


class Stream(IterableDataset):
    """The batches of a run from number `start` on, each with its number; n depends on the seed and n alone.

    Several workers make every so manyth batch each, and a DataLoader hands them out in their order.
    """

    def __init__(self, corpus: Corpus, settings: Settings, start: int):
        self.corpus, self.settings, self.start = corpus, settings, start

    def __iter__(self):
        worker = get_worker_info()
        mine, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        for chosen in batches(self.corpus, self.settings.batch_tokens, self.settings.seed, self.start):
            if (chosen.number - self.start) % workers == mine:
                yield chosen.number, self.batch(chosen)

    def batch(self, chosen: Chosen) -> Batch:
        corpus, objective = self.corpus, self.settings.objective
        rng = np.random.default_rng([self.settings.seed, 7, chosen.number])
        if chosen.alone:
            return make_alone(objective, [corpus.alone[i] for i in chosen.indices], corpus, rng)
        pairs = [(corpus.sources[i], corpus.targets[i]) for i in chosen.indices]
        return make(objective, pairs, corpus, chosen.indices, rng)


class Budget:
    """How much of the run is done: the largest share of any limit that was given."""

    def __init__(self, minutes: float | None, steps: int | None, tokens: int | None):
        if minutes is None and steps is None and tokens is None:
            raise ValueError("budget: expected --minutes, --steps or --tokens, got none")
        self.minutes, self.steps, self.tokens = minutes, steps, tokens

    def progress(self, counters: Counters) -> float:
        shares = [
            counters.seconds / 60 / self.minutes if self.minutes else 0,
            counters.step / self.steps if self.steps else 0,
            counters.tokens / self.tokens if self.tokens else 0,
        ]
        return min(1.0, max(shares))


def save_atomically(content: dict, path: Path) -> None:
    torch.save(content, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


class HeldOut:
    """The first sentences of the validation split, and what is asked of them on the way."""

    def __init__(self, work: Path, quartet: Quartet, corpus: Corpus, objective: str):
        self.objective = objective
        self.items = json.loads((work / quartet.name / "validation.json").read_text())[:VALIDATION_PAIRS]
        self.tokenizer = load_tokenizer(work / quartet.name / "tokenizer.json")
        encode = lambda text: self.tokenizer.encode(text).ids
        self.pairs = [(encode(item["source"]), encode(item["references"][0])) for item in self.items]
        by_length = sorted(self.pairs, key=lambda pair: len(pair[0]) + len(pair[1]))
        groups = [by_length[i : i + 100] for i in range(0, len(by_length), 100)]
        rng = np.random.default_rng(0)  # the same blanks each time
        masked = lambda g: blanked([pair_side(*pair) for pair in g], 0.0, corpus, rng, None)
        self.batches = [masked(g) if objective == "encoder" else make(objective, g) for g in groups]

    @torch.no_grad()
    def loss(self, model: Transformer, autocast) -> float:
        """Mean cross-entropy of a supervised token, without smoothing."""
        total, count = 0.0, 0
        model.eval()
        for batch in self.batches:
            batch = batch.to(model.token.weight.device)
            with autocast():
                total += losses(model, batch, 0.0)["tokens"].item() * len(batch.labels)
            count += len(batch.labels)
        model.train()
        return round(total / count, 4)

    @torch.no_grad()
    def quality(self, model: Transformer) -> dict:
        """BLEU and chrF of greedy translations, or the share of blanks that the encoder fills rightly."""
        items = self.items[:QUALITY_SENTENCES]
        if self.objective == "encoder":
            return {"masked_accuracy": beside_accuracy(model, self.pairs[:QUALITY_SENTENCES])}
        found = scores(translations(model, self.tokenizer, [i["source"] for i in items]), [i["references"] for i in items])
        return {"bleu": found["bleu"], "chrf": found["chrf"]}


def train(
    run: Path, work: Path, quartet: Quartet, settings: Settings, budget: Budget,
    threads: int = 1, device: str = "cpu", precision: str = "auto", initial: Path | None = None, initial_log: Path | None = None,
    quality_every: int = 1_500_000,
) -> None:  # fmt: skip
    """`initial`: an exported folder to start from; `initial_log`: the log of the run that made it, which then goes on;
    `quality_every`: tokens between two measurements on validation sentences."""
    torch.set_num_threads(threads)
    if device == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # it makes a plan for every new shape
    run.mkdir(parents=True, exist_ok=True)
    corpus = Corpus.read(work, quartet)
    checkpoint_path = run / "checkpoint.pt"
    checkpoint = torch.load(checkpoint_path, map_location=device) if checkpoint_path.exists() else None
    if checkpoint and checkpoint["settings"] != asdict(settings):
        changed = {k: (v, asdict(settings)[k]) for k, v in checkpoint["settings"].items() if asdict(settings)[k] != v}
        print(f"settings changed since the checkpoint: {changed}")
    torch.manual_seed(settings.seed)
    architecture = ARCHITECTURE_OF[settings.objective]
    model = Transformer(Config.of(architecture, corpus.vocab_size))
    if initial and not checkpoint:
        take_over(model, initial, work / quartet.name / "tokenizer.json")
    model.to(device).train()
    for block in model.modules():
        if isinstance(block, Block):
            block.dropout = settings.dropout
    average = {name: p.detach().clone() for name, p in model.named_parameters()}
    steppers = optimisers(model, settings)
    counters = Counters()
    if checkpoint:
        model.load_state_dict(checkpoint["model"])
        average = checkpoint["average"]
        for stepper, state in zip(steppers, checkpoint["optimisers"]):
            rates = [group["initial_rate"] if "initial_rate" in group else group["lr"] for group in stepper.param_groups]
            stepper.load_state_dict(state)
            for group, rate in zip(stepper.param_groups, rates):
                group["lr"] = rate
        counters = Counters(**checkpoint["counters"])
    elif initial and initial_log:
        shutil.copy(initial_log, run / "log.jsonl")
        counters = counters_at_end_of(initial_log)
    rates = [[group["lr"] for group in stepper.param_groups] for stepper in steppers]
    held_out = HeldOut(work, quartet, corpus, settings.objective)

    half = torch.bfloat16 if precision == "bf16" or (precision == "auto" and (device != "cpu" or fast_bf16())) else None
    autocast = (lambda: torch.autocast(device, dtype=half)) if half else nullcontext
    hardware = {"device": torch.cuda.get_device_name() if device == "cuda" else processor(), "threads": threads,
                "precision": "bf16 products, f32 weights" if half else "f32", "torch": torch.__version__}  # fmt: skip
    (run / "settings.json").write_text(json.dumps({**asdict(settings), "quartet": quartet.name, "architecture": architecture,
        "model": model.config.numbers(), "parameters": model.parameters_count(), "hardware": hardware}, indent=1))  # fmt: skip
    log = open(run / "log.jsonl", "a", buffering=1)
    note = lambda kind, **facts: log.write(json.dumps({"kind": kind, "step": counters.step, "tokens": counters.tokens,
        "supervised": counters.supervised, "seconds": round(counters.seconds, 1), **facts}) + "\n")  # fmt: skip
    note("start", **hardware, settings=asdict(settings), initial=bool(initial and not checkpoint))

    def save():
        save_atomically({"settings": asdict(settings), "counters": asdict(counters), "model": model.state_dict(),
            "average": average, "optimisers": [s.state_dict() for s in steppers]}, checkpoint_path)  # fmt: skip

    def averaged() -> Transformer:
        other = Transformer(model.config).to(device)
        other.load_state_dict(average)
        return other.eval()

    stop = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.append(True))  # finish the step, save, leave

    named = dict(model.named_parameters())
    bar = tqdm(total=1000, unit="‰", desc=run.name, mininterval=5)
    saved = validated = time.monotonic()
    recent: dict[str, list[Tensor]] = {}
    ahead = {} if device == "cpu" else {"num_workers": 2, "prefetch_factor": 16}  # a GPU does not wait for its batches
    for number, batch in DataLoader(Stream(corpus, settings, counters.batch), batch_size=None, **ahead):
        progress = budget.progress(counters)
        if progress >= 1 or stop:
            break
        began = time.monotonic()
        tokens, supervised = batch.tokens, len(batch.labels)
        batch = batch.to(device)
        share = share_of_rate(counters.tokens - counters.tokens_at_start, progress, settings)
        for stepper, first in zip(steppers, rates):
            for group, rate in zip(stepper.param_groups, first):
                group["lr"] = rate * share
        torch.manual_seed(settings.seed * 1_000_003 + counters.step)  # dropout is the same after a stop
        with autocast():
            found = losses(model, batch, settings.smoothing)
        loss = found["tokens"] + settings.pair_weight * found.get("pair", 0.0)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip, foreach=True)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad(set_to_none=True)
        with torch.no_grad():
            keep = min(AVERAGE, (counters.step + 1) / (counters.step + 10))
            torch._foreach_lerp_(list(average.values()), [named[n].detach() for n in average], 1 - keep)

        now = time.monotonic()
        counters.step += 1
        counters.batch = number + 1
        counters.tokens += tokens
        counters.supervised += supervised
        counters.seconds += now - began
        for name, value in found.items():
            recent.setdefault(name, []).append(value.detach())  # read when it is told: a GPU need not be waited for
        if counters.step % LOG_EVERY == 0:
            means = {name: round(torch.stack(v).mean().item(), 4) for name, v in recent.items()}
            note("train", rate=share, **{f"loss_{name}": v for name, v in means.items()})
            bar.set_postfix({**means, "tok/s": round(counters.tokens / counters.seconds)}, refresh=False)
            recent = {}
        bar.update(int(1000 * budget.progress(counters)) - bar.n)
        measure = counters.tokens // quality_every > (counters.tokens - tokens) // quality_every
        if measure or now - validated > VALIDATE_EVERY:
            note("validation", loss=held_out.loss(model, autocast))
            validated = time.monotonic()
        if measure:
            note("quality", **held_out.quality(averaged()))
        if now - saved > SAVE_EVERY:
            save()
            saved = time.monotonic()
    save()
    note("validation", loss=held_out.loss(model, autocast))
    note("quality", **held_out.quality(averaged()))
    note("stop", reason="asked" if stop else "budget")
    log.close()
    bar.close()


@cache
def fast_bf16() -> bool:
    """Whether this processor multiplies bf16 faster than f32. Its flags do not tell: some that have the instruction
    are slower with it. So both are tried on a feed-forward's shape (half a second)."""

    def seconds(dtype) -> float:
        x, w = torch.ones(2048, 160, dtype=dtype), torch.ones(640, 160, dtype=dtype)
        product = lambda: F.linear(x, w)
        product()
        return min(timeit.repeat(product, number=5, repeat=7, timer=time.process_time))

    return seconds(torch.bfloat16) < 0.9 * seconds(torch.float32)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
