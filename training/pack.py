"""Packed int8: a matrix as whole numbers and one scale a row, a quarter of f32's bytes.

The contract: tensor `X` is I8 `[out, in]` beside `X.scale` F32 `[out]`, and `value = integer * scale`; what is
no matrix of products (biases, norms, positions) stays f16.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

METHOD = "unmasked-int8"
SUFFIX = "-int8"  # of a packed folder's name


def is_packed(name: str, tensor: Tensor) -> bool:
    return tensor.dim() == 2 and tensor.shape[0] > 2 and "position" not in name


def quantise(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) -> integers in -127 to 127, and the scale of each row that loses least.

    The largest value of a row need not be kept: cutting it a little makes all others finer. A few cuts are
    tried, and the one with the smallest squared error stays.
    """
    matrix = matrix.float()
    largest = matrix.abs().amax(1, keepdim=True).clamp(min=1e-12)
    best_scale, best_error = largest / 127, torch.full_like(largest, torch.inf)
    for cut in torch.linspace(0.7, 1.0, 31):
        scale = largest * cut / 127
        error = ((matrix / scale).round().clamp(-127, 127) * scale - matrix).square().sum(1, keepdim=True)
        best_scale = torch.where(error < best_error, scale, best_scale)
        best_error = torch.minimum(error, best_error)
    return (matrix / best_scale).round().clamp(-127, 127).to(torch.int8), best_scale[:, 0]


def unpack(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file, packed or not, as floating-point tensors."""
    unpacked = {}
    for name, tensor in tensors.items():
        if name.endswith(".scale") and tensors.get(name.removesuffix(".scale"), tensor).dtype == torch.int8:
            continue
        unpacked[name] = tensor.float() * tensors[f"{name}.scale"][:, None] if tensor.dtype == torch.int8 else tensor
    return unpacked


def pack(folder: Path, to: Path) -> None:
    """Writes the model of `folder` as a packed folder."""
    to.mkdir(parents=True, exist_ok=True)
    packed = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if is_packed(name, tensor):
            packed[name], packed[f"{name}.scale"] = quantise(tensor)
        else:
            packed[name] = tensor
    save_file(packed, to / "model.safetensors", metadata={"format": "pt"})
    (to / "model.safetensors").chmod(0o644)
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": {"quant_method": METHOD}}
    (to / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    shutil.copyfile(folder / "tokenizer.json", to / "tokenizer.json")
