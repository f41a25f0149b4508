"""Golden numbers of families that Hugging Face transformers does not have, from the implementations of
others, run from where they lie:

    python tests/golden/outside.py palm DIR      # the package `palm_pytorch` of lucidrains/PaLM-pytorch
    python tests/golden/outside.py chatglm DIR   # modeling_chatglm.py and configuration_chatglm.py of ChatGLM2
    python tests/golden/outside.py glm DIR       # modeling_glm.py and configuration_glm.py of GLM
    python tests/golden/outside.py chatglm_first DIR  # the same two files and quantization.py of ChatGLM-6B

DIR holds the folder that is imported (`palm_pytorch/`, `chatglm2/`, `chatglm6b/`, or for GLM the files themselves). Their
commits are in `COMMITS`.
"""

import hashlib
import importlib
import json
import shutil
import sys

import torch
from make import DTYPES, HERE, randomise, rounded, words
from safetensors.torch import save_file

COMMITS = {
    "palm": "lucidrains/PaLM-pytorch 7164d13d5a831647edb5838544017f387130f987",
    "glm": "THUDM/glm, copy of yuekaizhang/InstructGLM 70a502b6831b09e4e863fb1a3d54deebafac46ba",
    "chatglm_first": "THUDM/chatglm-6b, copy of greensheng/chatglm-6b 8b7d33596d18c5e83e2da052d05ca4db02e60620",
    "chatglm": "THUDM/chatglm2-6b, copy of syjjhl/chatglm2-6b 8fd7fba285f7171d3ae7ea3b35c53b6340501ed1",
}


class Attention:
    """Records every softmax while it is open: in these models that is attention alone."""

    def __enter__(self):
        self.seen, self.old = [], torch.Tensor.softmax

        def softmax(*arguments, **options):
            result = self.old(*arguments, **options)
            self.seen.append(result[0].tolist())
            return result

        torch.Tensor.softmax = softmax
        return self

    def __exit__(self, *_):
        torch.Tensor.softmax = self.old


def visible(count, prefix):
    cells = torch.tril(torch.ones(count, count, dtype=torch.bool))
    cells[:, :prefix] = True
    return cells


def build(name, family, model, settings, run, prefix, dtype="f32", rename=lambda name: name, tokens=None, blank=None):
    """`run(model, ids, cells)` gives logits `[row][vocabulary]`. `prefix`: "source" where the model
    reads its source both ways, a number for a mask that is asked for, or None."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    model.eval()
    if not hasattr(model, "config"):
        model.config = type("Config", (), {"model_type": family})()
    randomise(model, seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(DTYPES[dtype]).to(torch.float32))
    tensors = {}
    for key, tensor in model.state_dict().items():
        if not any(tensor.data_ptr() == have.data_ptr() for have in tensors.values()):
            tensors[rename(key)] = tensor.contiguous()
    save_file({key: tensor.to(DTYPES[dtype]) for key, tensor in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n")
    size = next(settings[key] for key in ("num_tokens", "padded_vocab_size", "vocab_size") if key in settings)
    words(size, tokens, None).save(str(folder / "tokenizer.json"), pretty=False)

    generator = torch.Generator().manual_seed(seed + 1)

    def forward(ids, cells):
        with torch.no_grad(), Attention() as attention:
            logits = run(model, torch.tensor([ids]), cells)
        return logits, attention.seen

    cases = []
    # A row inside an open prefix would change with each new token: sources are as long as it.
    shortest = prefix if isinstance(prefix, int) else 1
    for count, answer in ((shortest, 0), (7, 3), (9, 0)):
        ids = torch.randint(5, size, (count,), generator=generator).tolist()
        target = torch.randint(5, size, (answer,), generator=generator).tolist()
        if blank is not None:
            # One of the source's tokens is the blank; the answer starts with its own token.
            ids[len(ids) // 2] = blank
            target = [next(tokens[name] for name in ("<|startofpiece|>", "<sop>") if name in tokens), *target]
            run.source = ids
        opened = {"source": count, None: 0}.get(prefix, prefix)
        so_far = ids + target
        logits, attention = forward(so_far, visible(len(so_far), opened))
        case = {"ids": ids, "target_ids": target, "attention": {"decoder": attention}, "logits": logits.tolist()}
        if isinstance(prefix, int):
            case["mask"] = f"prefix:{prefix}"
        tail, margins = [], []
        while len(tail) < 7 and not (tail and tail[-1] == settings["eos_token_id"]):
            logits, _ = forward(so_far + tail, visible(len(so_far + tail), opened))
            best = logits[-1].topk(2)
            tail.append(best.indices[0].item())
            margins.append((best.values[0] - best.values[1]).item())
        cases.append({**case, "greedy": tail, "greedy_margin": margins})
    files = sorted(folder.iterdir())
    file = {
        "generator": f"{COMMITS[family]}, torch {torch.__version__.split('+')[0]}",
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "cases": rounded(cases),
    }
    (folder / "golden.json").write_text(json.dumps(file, separators=(",", ":")) + "\n")
    print(name, sum(path.stat().st_size for path in folder.iterdir()) // 1024, "KB")


def palm():
    module = importlib.import_module("palm_pytorch.palm_pytorch")

    def run(model, ids, cells):
        for block in model[1:-2]:
            block.fn.mask = ~cells
            block.fn.pos_emb = None
        return model(ids)[0]

    for name, prefix, dtype in (("palm", None, "f32"), ("palm-prefix", "source", "bf16")):
        shape = dict(dim=22, num_tokens=47, depth=2, dim_head=10, heads=3, ff_mult=2)
        settings = {"model_type": "palm", **shape, "max_seq_len": 40, "eos_token_id": 2}
        settings["mask"] = "prefix" if prefix else "causal"
        build(name, "palm", module.PaLM(**shape), settings, run, prefix, dtype)


def glm():
    configuration = importlib.import_module("configuration_glm")
    module = importlib.import_module("modeling_glm")
    tokens = {"[CLS]": 0, "<|startofpiece|>": 1, "<|endofpiece|>": 2, "[MASK]": 3, "[gMASK]": 4}

    def run(model, ids, cells):
        source, count = len(run.source), ids.shape[1]
        place = next(row for row, number in enumerate(run.source) if number in (3, 4))
        rows = torch.arange(count)
        positions = torch.where(rows < source, rows, place)
        blocks = torch.where(rows < source, 0, rows - source + 1)
        positions = torch.stack([positions, blocks])[None]
        return model(ids, positions, cells[None, None].float()).logits[0]

    for name, blank, dtype in (("glm-blank", 3, "f32"), ("glm-blank-g", 4, "bf16")):
        shape = dict(
            num_layers=2,
            vocab_size=45,
            hidden_size=21,
            num_attention_heads=3,
            max_sequence_length=30,
            block_position_encoding=True,
            attention_scale=1.0,
            output_predict=True,
            eos_token_id=2,
        )
        model = module.GLMModel(configuration.GLMConfig(**shape))
        settings = {"model_type": "glm", "architectures": ["GLMModel"], **shape}
        build(name, "glm", model, settings, run, "source", dtype, lambda key: f"glm.{key}", tokens, blank)


def chatglm_first():
    configuration = importlib.import_module("chatglm6b.configuration_chatglm")
    module = importlib.import_module("chatglm6b.modeling_chatglm")
    tokens = {"<unk>": 0, "<sop>": 1, "<eop>": 2, "[MASK]": 3, "[gMASK]": 4}

    def run(model, ids, cells):
        # The model makes its mask and positions itself, from the tokens; the mask is GLM's.
        assert torch.equal(model.get_masks(ids, None)[0, 0], ~cells)
        return model(ids, use_cache=False, return_dict=True).logits[0]

    for name, blank, dtype, tied in (("chatglm", 4, "f32", False), ("chatglm-mask", 3, "f16", True)):
        shape = dict(
            num_layers=3,
            vocab_size=47,
            hidden_size=36,
            num_attention_heads=3,
            inner_hidden_size=41,
            max_sequence_length=40,
            position_encoding_2d=True,
            bos_token_id=1,
            eos_token_id=2,
            mask_token_id=3,
            gmask_token_id=4,
            pad_token_id=0,
        )
        config = configuration.ChatGLMConfig(**shape)
        model = module.ChatGLMForConditionalGeneration(config, empty_init=False).float()
        if tied:
            # As `from_pretrained` ties them where the config does not say.
            model.lm_head.weight = model.transformer.word_embeddings.weight
        settings = {"model_type": "chatglm", "architectures": ["ChatGLMModel"], **shape}
        settings |= {} if tied else {"tie_word_embeddings": False}
        build(name, "chatglm_first", model, settings, run, "source", dtype, tokens=tokens, blank=blank)


def chatglm():
    configuration = importlib.import_module("chatglm2.configuration_chatglm")
    module = importlib.import_module("chatglm2.modeling_chatglm")
    # The plain path of its attention, so that the probabilities exist; it asks for the version.
    torch.__version__ = "1.13.1"
    shape = dict(
        num_layers=2,
        padded_vocab_size=49,
        hidden_size=26,
        ffn_hidden_size=31,
        kv_channels=12,
        num_attention_heads=6,
        seq_length=40,
        add_qkv_bias=True,
        multi_query_attention=True,
        multi_query_group_num=2,
        original_rope=True,
        eos_token_id=2,
        pad_token_id=0,
    )

    def run(model, ids, cells):
        options = dict(use_cache=False, output_hidden_states=False, return_dict=True)
        out = model(ids, full_attention_mask=~cells[None, None], **options)
        return model.output_layer(out.last_hidden_state)[:, 0]

    for name, prefix, dtype in (("chatglm2", None, "f32"), ("chatglm2-prefix", 4, "f16")):
        config = configuration.ChatGLMConfig(**shape, torch_dtype=torch.float32)
        config.torch_dtype = torch.float32
        config.use_cache, config.output_hidden_states = False, False
        model = module.ChatGLMModel(config, empty_init=False)
        settings = {"model_type": "chatglm", "architectures": ["ChatGLMModel"], **shape}
        settings |= {"rmsnorm": True, "post_layer_norm": True, "apply_query_key_layer_scaling": True}
        build(name, "chatglm", model, settings, run, prefix, dtype, lambda key: f"transformer.{key}")


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    {"palm": palm, "chatglm_first": chatglm_first, "chatglm": chatglm, "glm": glm}[sys.argv[1]]()
