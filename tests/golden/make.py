"""Small random checkpoints of every family, and what the reference makes of them.

    pip install torch transformers sentencepiece protobuf
    python tests/golden/make.py [NAME ...]

Writes `families/NAME/`: the model folder as the reference saves it, and `golden.json` with logits,
attention of every layer, head and site, other heads, and greedy ids with the margin of the best over
the second. The reference is Hugging Face transformers in f32 on the CPU; f16 and bf16 checkpoints are
rounded first. Shapes are odd on purpose: head widths other than 8, unequal stacks, vocabularies that
no power of two divides, shards.
"""

import copy
import hashlib
import json
import shutil
import sys
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

HERE = Path(__file__).parent / "families"
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
CASES = {}


def case(name, model, config, **options):
    """Declares a checkpoint. Options: kind ("encoder" where it does not generate), head ("logits",
    "pretraining", "classes", "replaced", "pair", "none"), dtype, shard (size), tokens (special -> id),
    template (single, pair), segments (those of a pair's two texts), start (ids that a
    decoder starts with), low (smallest id in random inputs), untie (modules whose weight gets numbers
    of its own), prefix (every case is read under a prefix mask of so many keys), rewrite (config dict -> config dict), rename (tensor name -> tensor name, or None to
    leave it out), zero (buffers that are 0)."""
    assert name not in CASES
    CASES[name] = (model, config, options)


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(shape):
        return torch.randn(shape, generator=generator)

    # A stored gain of 0 means 1 where the family adds one.
    one = 0.0 if model.config.model_type.startswith("gemma") else 1.0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if model.config.model_type == "marian" and "embed_positions" in name:
                continue  # fixed sines
            if parameter.dim() >= 2:
                embeds = any(part in name for part in ("embed", "wte", "wpe", "shared", "bias.weight"))
                scale = 0.7 if embeds else 1.3 * parameter.shape[-1] ** -0.5
                parameter.copy_(scale * normal(parameter.shape))
            elif name.endswith("weight"):
                parameter.copy_(one + 0.2 * normal(parameter.shape))
            else:
                parameter.copy_(0.3 * normal(parameter.shape))
        for name, buffer in model.named_buffers():
            if name.endswith("final_logits_bias"):
                buffer.copy_(normal(buffer.shape))


def words(size, tokens, template):
    """A tokenizer of the words w0, w1 ... with the family's special tokens among them."""
    named = {number: name for name, number in (tokens or {}).items()}
    vocabulary = {named.get(number, f"w{number}"): number for number in range(size)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=named.get(0, "w0")))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(tokens or {}))
    if template:
        used = [(name, number) for name, number in tokens.items() if name in " ".join(template)]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template[0], pair=template[1] if len(template) > 1 else None, special_tokens=used
        )
    return tokenizer


def rounded(value):
    """Seven significant digits: a float32 and no more."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def arrays(attentions):
    """[layer][head][row][key] of the only sequence."""
    return [layer[0].tolist() for layer in attentions]


def forward(model, options, ids, segments=None, target=None):
    inputs = {"input_ids": torch.tensor([ids]), "output_attentions": True, "return_dict": True}
    if target is not None:
        inputs["decoder_input_ids"] = torch.tensor([target])
    if segments is not None:
        inputs["token_type_ids"] = torch.tensor([segments])
    if options.get("kind") != "encoder":
        inputs["use_cache"] = False
    if "prefix" in options:
        count = len(ids)
        visible = torch.tril(torch.ones(count, count, dtype=torch.bool))
        visible[:, : options["prefix"]] = True
        hidden = torch.finfo(torch.float32).min
        inputs["attention_mask"] = torch.where(visible, 0.0, hidden)[None, None]
    with torch.no_grad():
        return model(**inputs)


def record(model, options, ids, segments=None, target=None, text=None, pair=None):
    out = forward(model, options, ids, segments, target)
    golden = {"ids": ids}
    if "prefix" in options:
        golden["mask"] = f"prefix:{options['prefix']}"
    if text is not None:
        golden.update(text=text, pair=pair)
    kind, head = options.get("kind", "causal"), options.get("head", "logits")
    if target is not None:
        golden["target_ids"] = target
        golden["attention"] = {
            "encoder": arrays(out.encoder_attentions),
            "decoder": arrays(out.decoder_attentions),
            "cross": arrays(out.cross_attentions),
        }
    else:
        golden["attention"] = {"encoder" if kind == "encoder" else "decoder": arrays(out.attentions)}
    if head == "pretraining":
        golden["logits"] = out.prediction_logits[0].tolist()
        # Class 0 of the reference is "belongs together"; ours are no, yes.
        scores = out["seq_relationship_logits" if "seq_relationship_logits" in out else "sop_logits"]
        golden["pair_scores"] = scores[0].flip(0).tolist()
    elif head == "pair":
        golden["pair_scores"] = out.logits[0].flip(0).tolist()
    elif head in ("logits", "replaced", "classes"):
        golden[head] = out.logits[0].tolist()
    if kind == "causal":
        tail, margins, ends = [], [], model.config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        while len(tail) < 7 and not (tail and tail[-1] in ends):
            if target is not None:
                step = forward(model, options, ids, segments, target + tail)
            else:
                step = forward(model, options, ids + tail)
            best = step.logits[0, -1].topk(2)
            tail.append(best.indices[0].item())
            margins.append((best.values[0] - best.values[1]).item())
        golden.update(greedy=tail, greedy_margin=margins)
    return golden


def build(name):
    model_class, config, options = CASES[name]
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    torch.manual_seed(seed)
    model = model_class._from_config(config, attn_implementation="eager").eval()
    for path in options.get("untie", []):
        owner = model.get_submodule(path)
        owner.weight = torch.nn.Parameter(owner.weight.detach().clone())
    randomise(model, seed)
    for path in options.get("zero", []):
        model.get_buffer(path).zero_()
    dtype = DTYPES[options.get("dtype", "f32")]
    # What the file rounds, the reference rounds; what it computes (sines, frequencies) stays f32.
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if model.config.model_type == "marian" and "embed_positions" in key:
                continue
            tensor.copy_(tensor.to(dtype).to(torch.float32))
    save(copy.deepcopy(model).to(dtype), folder, options)
    tokenizer = words(config.vocab_size, options.get("tokens"), options.get("template"))
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "generation_config.json").unlink(missing_ok=True)
    settings = json.loads((folder / "config.json").read_text())
    settings = options.get("rewrite", lambda same: same)(settings)
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n")

    generator = torch.Generator().manual_seed(seed + 1)

    def some(count):
        low = options.get("low", 5)
        return torch.randint(low, config.vocab_size, (count,), generator=generator).tolist()

    def start(count):
        return options["start"] + some(count) if "start" in options else None

    golden = []
    if "template" in options:
        text = " ".join(f"w{number}" for number in some(6))
        pairs = [" ".join(f"w{number}" for number in some(4))] if len(options["template"]) > 1 else []
        for pair in [None, *pairs]:
            encoded = tokenizer.encode(text, pair) if pair else tokenizer.encode(text)
            named = options.get("segments")
            segments = [named[number] for number in encoded.type_ids] if named and pair else None
            golden.append(record(model, options, encoded.ids, segments, start(3), text, pair))
    for count in (1, 9):
        golden.append(record(model, options, some(count), None, start(5)))
    files = sorted(folder.iterdir())
    file = {
        "generator": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
        "class": model_class.__name__,
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "cases": rounded(golden),
    }
    (folder / "golden.json").write_text(json.dumps(file, separators=(",", ":")) + "\n")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}: {size // 1024} KB")


def save(model, folder, options):
    model.save_pretrained(folder, max_shard_size=options.get("shard", "5GB"))
    if "rename" in options:
        from safetensors.torch import load_file, save_file

        file = folder / "model.safetensors"
        tensors = load_file(file)
        renamed = {options["rename"](name): tensor for name, tensor in tensors.items()}
        renamed.pop(None, None)
        save_file(renamed, file)


if __name__ == "__main__":
    from cases import declare

    declare(case)
    for chosen in sys.argv[1:] or CASES:
        build(chosen)
