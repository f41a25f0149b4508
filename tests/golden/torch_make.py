"""Golden checkpoints as torch.save writes them: what opens must give the numbers of the safetensors beside it.

    pip install torch transformers
    python tests/golden/torch_make.py

Writes `torch/NAME/`: the weights of `families/MODEL` again, and `golden.json` with the model and the hashes. Weights come
from the model's own state dict, so tied ones share a storage. Also what `fuzz/corpus/torch/` begins with.
"""

import collections
import hashlib
import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

HERE = Path(__file__).parent
CORPUS = HERE.parents[1] / "fuzz" / "corpus" / "torch"


def state_of(model):
    """The state dict as the reference has it, with what it ties; its dtype is the file's."""
    folder = HERE / "families" / model
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = getattr(transformers, config.architectures[0])
    dtype = next(iter(load_file(next(folder.glob("*.safetensors"))).values())).dtype
    return kind.from_pretrained(folder, dtype=dtype).state_dict()


def write(name, model, older=False, shards=1, change=lambda state: state):
    folder = HERE / "torch" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    state = change(state_of(model))
    shared = len(state) - len({tensor.untyped_storage().data_ptr() for tensor in state.values()})
    names = list(state)
    files = {"pytorch_model.bin": names}
    if shards > 1:
        files = {
            f"pytorch_model-{number + 1:05}-of-{shards:05}.bin": names[number::shards]
            for number in range(shards)
        }
        where = {tensor: file for file, own in files.items() for tensor in own}
        index = {"metadata": {"total_size": 0}, "weight_map": where}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index) + "\n")
    for file, own in files.items():
        part = collections.OrderedDict((tensor, state[tensor]) for tensor in own)
        if hasattr(state, "_metadata"):
            part._metadata = state._metadata
        torch.save(part, folder / file, _use_new_zipfile_serialization=not older)
    golden = {
        "generator": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
        "model": model,
        "shared": shared,
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())},
    }
    (folder / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{name}: {sum(path.stat().st_size for path in folder.iterdir()) // 1024} KB, {shared} shared")


def first_names(state):
    """As the first BERTs spell their norms, with the buffer of positions that they have beside."""
    renamed = collections.OrderedDict(
        (name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"), tensor)
        for name, tensor in state.items()
    )
    renamed["bert.embeddings.position_ids"] = torch.arange(24).expand((1, -1))
    return renamed


def parameters(state):
    """What `keep_vars` keeps: parameters, not tensors."""
    return {name: torch.nn.Parameter(tensor) for name, tensor in state.items()}


def corpus():
    shutil.rmtree(CORPUS, ignore_errors=True)
    CORPUS.mkdir(parents=True)
    shared = torch.arange(12.0).reshape(3, 4)
    state = collections.OrderedDict(a=shared, b=shared, c=shared[1:], d=torch.arange(3), e=torch.zeros(2, 2).half())
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    torch.save(state, CORPUS / "zip")
    torch.save(state, CORPUS / "older", _use_new_zipfile_serialization=False)
    torch.save(parameters(collections.OrderedDict(a=shared)), CORPUS / "parameters")
    torch.save({"a": shared.t()}, CORPUS / "turned")
    torch.save({"a": torch.zeros(0, 3), "b": torch.tensor(1.5), "c": shared.bfloat16()}, CORPUS / "shapes")
    torch.save({"state_dict": {"a": shared}, "step": 7}, CORPUS / "nested")
    torch.save({"a": torch.Size([1])}, CORPUS / "global")


if __name__ == "__main__":
    write("bert", "bert", change=first_names)
    write("bert-older", "bert", older=True, change=first_names)
    write("marian", "marian")
    write("marian-older", "marian", older=True)
    write("gpt2-bf16", "gpt2-bf16", change=parameters)
    write("t5-older", "t5", older=True)
    write("gpt2-shards", "gpt2-switches", shards=3)
    write("electra-older", "electra-generator", older=True)
    corpus()
