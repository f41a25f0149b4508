"""The Transformer: one attention, one block, one place for masks, four wirings.

An architecture is two numbers of layers and a mask. Absence is zero layers: the encoder has no decoder
layers, the causal and the prefix decoder have no encoder layers, and only the encoder-decoder, which has
both, has cross-attention. Nothing else differs, so a comparison of the four compares what it says.

Shapes: B sentences, R rows (query positions), K keys, H heads, D = head width, W = width, V = vocabulary.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ARCHITECTURES = ("encoder", "causal", "prefix", "encoder-decoder")
LAYERS = {"encoder": (6, 0), "causal": (0, 6), "prefix": (0, 6), "encoder-decoder": (3, 3)}

SPECIAL = {"pad": 0, "bos": 1, "sep": 2, "eos": 3, "mask": 4, "cls": 5}
PAD, BOS, SEP, EOS, MASK, CLS = SPECIAL.values()

PAIR_NO, PAIR_YES = 0, 1  # classes of the pair head


@dataclass(frozen=True)
class Config:
    """What has to be known to build a model; the numbers of config.json."""

    architecture: str
    vocab_size: int
    width: int = 160
    attention_heads: int = 5
    feed_forward_width: int = 640
    encoder_layers: int = 0
    decoder_layers: int = 0
    max_positions: int = 96
    norm_epsilon: float = 1e-5

    @staticmethod
    def of(architecture: str, vocab_size: int, **sizes) -> Config:
        if architecture not in ARCHITECTURES:
            raise ValueError(f"architecture: expected one of {ARCHITECTURES}, got `{architecture}`")
        encoder, decoder = LAYERS[architecture]
        return Config(architecture, vocab_size, encoder_layers=encoder, decoder_layers=decoder, **sizes)

    def numbers(self) -> dict:
        return asdict(self)


# ---- masks: True where a row may see a key -------------------------------------------------------------


def full_mask(lengths: Tensor, size: int) -> Tensor:
    """Every row sees every token that is not padding. lengths (B) -> (B, 1, K)."""
    return torch.arange(size, device=lengths.device)[None, None, :] < lengths[:, None, None]


def causal_mask(size: int, device=None) -> Tensor:
    """A row sees itself and what came before. -> (1, R, K)."""
    return torch.ones(1, size, size, dtype=torch.bool, device=device).tril()


def prefix_mask(source_lengths: Tensor, size: int) -> Tensor:
    """The source is open to every row, the answer is causal. source_lengths (B) -> (B, R, K)."""
    return causal_mask(size, source_lengths.device) | full_mask(source_lengths, size)


def added(mask: Tensor, rows: int, dtype: torch.dtype) -> Tensor:
    """A mask (B, 1 or R, K) as what is added to scores (B, 1, R, K): 0 or -inf. Its rows lie whole sixteens apart, where
    a GPU's attention kernel can read them."""
    batch, _, keys = mask.shape
    numbers = torch.zeros(batch, 1, rows, -keys // 16 * -16, dtype=dtype, device=mask.device)[..., :keys]
    return numbers.masked_fill_(~mask[:, None], -math.inf)


# ---- the model -----------------------------------------------------------------------------------------


def product_type(x: Tensor) -> torch.dtype:
    """What x is multiplied in: under autocast a shorter type than its own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class Attention(nn.Module):
    """Scaled dot-product attention of many heads, with the norm before it."""

    def __init__(self, config: Config):
        super().__init__()
        self.heads = config.attention_heads
        self.norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.output = nn.Linear(config.width, config.width)

    def split(self, x: Tensor) -> Tensor:  # (B, R, W) -> (B, H, R, D)
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor | None = None, watch: list | None = None) -> Tensor:
        x = self.norm(x).to(product_type(x))  # once, for three products
        memory = x if memory is None else memory.to(x.dtype)  # self-attention reads its own rows
        query, key, value = self.split(self.query(x)), self.split(self.key(memory)), self.split(self.value(memory))
        if mask.dtype != torch.bool:  # `added`: the same in one kernel, which keeps no attention
            found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            return self.output(found.transpose(1, 2).flatten(-2))
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])  # (B, H, R, K)
        attention = scores.masked_fill(~mask[:, None], -math.inf).softmax(-1)
        if watch is not None:
            watch.append(attention)
        return self.output((attention @ value).transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.up = nn.Linear(config.width, config.feed_forward_width)
        self.down = nn.Linear(config.feed_forward_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(self.norm(x))))


class Block(nn.Module):
    dropout = 0.0  # in training: the share of each layer's output that is left out; set by the training loop

    def __init__(self, config: Config, has_memory: bool):
        super().__init__()
        self.attention = Attention(config)
        self.cross = Attention(config) if has_memory else None
        self.feed_forward = FeedForward(config)

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor | None, memory_mask: Tensor | None, watch: Watch) -> Tensor:
        x = x + self.drop(self.attention(x, mask, watch=watch.attention))
        if self.cross is not None:
            x = x + self.drop(self.cross(x, memory_mask, memory, watch=watch.cross))
        return x + self.drop(self.feed_forward(x))

    def drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class Watch:
    """What a forward pass leaves behind: attention (layer by layer) and the rows between the blocks."""

    def __init__(self, on: bool = False):
        self.attention, self.cross, self.hidden = ([], [], []) if on else (None, None, None)


class Stack(nn.Module):
    """Learned positions, blocks, a last norm."""

    def __init__(self, config: Config, layers: int, has_memory: bool):
        super().__init__()
        self.position = nn.Embedding(config.max_positions, config.width)
        self.layers = nn.ModuleList(Block(config, has_memory) for _ in range(layers))
        self.norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)

    def forward(self, x: Tensor, mask: Tensor, memory=None, memory_mask=None, watch: Watch | None = None) -> Tensor:
        watch = watch or Watch()
        x = x + self.position.weight[: x.shape[1]]
        if watch.hidden is not None:
            watch.hidden.append(x)
        elif x.is_cuda:
            mask, memory_mask = (m if m is None else added(m, x.shape[1], product_type(x)) for m in (mask, memory_mask))
        for layer in self.layers:
            x = layer(x, mask, memory, memory_mask, watch)
            if watch.hidden is not None:
                watch.hidden.append(x)
        return self.norm(x)


class Transformer(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab_size, config.width)
        if config.encoder_layers:
            self.encoder = Stack(config, config.encoder_layers, has_memory=False)
        if config.decoder_layers:
            self.decoder = Stack(config, config.decoder_layers, has_memory=bool(config.encoder_layers))
        if config.architecture == "encoder":
            self.pair = nn.Linear(config.width, 2)
        self.initialise()

    def initialise(self):
        depth = self.config.encoder_layers + self.config.decoder_layers
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "norm" in name:
                nn.init.ones_(parameter)
            elif name == "token.weight" or "position" in name:
                nn.init.normal_(parameter, std=0.04)
            else:
                into_residual = name.endswith(("output.weight", "down.weight"))
                scale = 1 / math.sqrt(2 * depth) if into_residual else 1
                nn.init.normal_(parameter, std=scale / math.sqrt(parameter.shape[1]))

    def parameters_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    # -- the four wirings. Each answers with normed rows (B, R, W) of the stack that speaks.

    def encode(self, ids: Tensor, lengths: Tensor, watch: Watch | None = None) -> Tensor:
        """Encoder: everyone sees everyone. Also the source side of the encoder-decoder."""
        return self.encoder(self.token(ids), full_mask(lengths, ids.shape[1]), watch=watch)

    def continue_causal(self, ids: Tensor, watch: Watch | None = None) -> Tensor:
        """Causal decoder: nobody sees ahead."""
        return self.decoder(self.token(ids), causal_mask(ids.shape[1], ids.device), watch=watch)

    def continue_prefix(self, ids: Tensor, source_lengths: Tensor, watch: Watch | None = None) -> Tensor:
        """Prefix decoder: the source is open, the answer is causal."""
        return self.decoder(self.token(ids), prefix_mask(source_lengths, ids.shape[1]), watch=watch)

    def decode(self, ids: Tensor, memory: Tensor, memory_lengths: Tensor, watch: Watch | None = None) -> Tensor:
        """Decoder of the encoder-decoder: its own rows are causal, the memory is open."""
        mask = causal_mask(ids.shape[1], ids.device)
        return self.decoder(self.token(ids), mask, memory, full_mask(memory_lengths, memory.shape[1]), watch=watch)

    def logits(self, rows: Tensor) -> Tensor:
        """(..., W) -> (..., V): the token embedding read backwards."""
        return F.linear(rows, self.token.weight)

    def rows(self, source: Tensor, source_lengths: Tensor, answer: Tensor | None = None, watch: tuple = (None, None)) -> Tensor:
        """One call for all four. `source` and `answer` hold specials; the two decoders that have one stack
        take their whole sequence as `source` and its first part's length as `source_lengths`."""
        architecture = self.config.architecture
        if architecture == "encoder":
            return self.encode(source, source_lengths, watch[0])
        if architecture == "causal":
            return self.continue_causal(source, watch[1])
        if architecture == "prefix":
            return self.continue_prefix(source, source_lengths, watch[1])
        return self.decode(answer, self.encode(source, source_lengths, watch[0]), source_lengths, watch[1])


@torch.no_grad()
def greedy(model: Transformer, sources: list[list[int]], limit: int = 40) -> tuple[list[list[int]], list[list[float]]]:
    """The likeliest token again and again, until [EOS] or `limit` tokens.

    `sources` hold their specials ([BOS] ... [SEP]). Answers with the generated ids, [EOS] included where it
    came, and for every step the gap between the two best logits. Everything is computed anew at each step:
    slow and plainly right.
    """
    model.eval()
    config, device = model.config, model.token.weight.device
    answers, gaps = [[] for _ in sources], [[] for _ in sources]
    lengths = torch.tensor([len(s) for s in sources], device=device)
    if config.architecture == "encoder-decoder":
        source = padded(sources).to(device)
        memory = model.encode(source, lengths)
    going = list(range(len(sources)))
    for _ in range(limit):
        if config.architecture == "encoder-decoder":
            ids = padded([[BOS] + answers[i] for i in going]).to(device)
            rows = model.decode(ids, memory[going], lengths[going])
            last = torch.tensor([len(answers[i]) for i in going], device=device)
        else:
            ids = padded([sources[i] + answers[i] for i in going]).to(device)
            rows = model.rows(ids, lengths[going])
            last = torch.tensor([len(sources[i]) + len(answers[i]) - 1 for i in going], device=device)
        best = model.logits(rows[torch.arange(len(going), device=device), last]).topk(2)
        for i, chosen, top in zip(going, best.indices[:, 0].tolist(), best.values.tolist()):
            answers[i].append(chosen)
            gaps[i].append(top[0] - top[1])
        room = lambda i: len(sources[i]) + len(answers[i]) < config.max_positions
        going = [i for i in going if answers[i][-1] != EOS and room(i)]
        if not going:
            break
    return answers, gaps


def padded(rows: list[list[int]]) -> Tensor:
    """Lists of ids -> (B, longest), filled up with [PAD] on the right."""
    size = max(map(len, rows))
    return torch.tensor([row + [PAD] * (size - len(row)) for row in rows])


def load(folder: str | Path, dtype=torch.float32) -> Transformer:
    """A model from an exported folder, computing in `dtype` from the weights as stored, f16 or packed int8."""
    from safetensors.torch import load_file

    from .pack import unpack

    folder = Path(folder)
    settings = json.loads((folder / "config.json").read_text())
    if settings.get("model_type") != "unmasked":
        raise ValueError(f"model_type in {folder.name}/config.json: expected `unmasked`, got `{settings.get('model_type')}`")
    names = Config.__dataclass_fields__
    model = Transformer(Config(**{name: settings[name] for name in names}))
    model.load_state_dict({k: v.to(dtype) for k, v in unpack(load_file(folder / "model.safetensors")).items()})
    return model.to(dtype).eval()
