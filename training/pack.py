"""Packed int8: a matrix as whole numbers and one scale a row, a quarter of f32's bytes.

The contract: tensor `X` is I8 `[out, in]` beside `X.scale` F32 `[out]`, and `value = integer * scale`; what is
no matrix of products (biases, norms, positions) stays f16.

A model is rounded once, and its f16 file then holds the same numbers as the packed one, bit by bit: a scale has
four significant bits, a whole number seven, and f16 has room for their product. So whatever is measured or shown
of one holds for the other.
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
FINEST = 2.0**-21  # a scale; an eighth of it is the smallest step of f16


def is_packed(name: str, tensor: Tensor) -> bool:
    return tensor.dim() == 2 and tensor.shape[0] > 2 and "position" not in name


def quantise(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) -> integers in -127 to 127, and the scale of each row that loses least.

    The largest value of a row need not be kept: cutting it a little makes all others finer. The scales of four
    significant bits from half of what would keep it to twice that are tried, and the one with the smallest squared
    error stays. A matrix that was rounded before comes out as it is.
    """
    matrix = matrix.float()
    largest = matrix.abs().amax(1, keepdim=True)
    power = torch.exp2((largest / 127).clamp(min=FINEST).log2().floor())
    best_scale, best_error = power, torch.full_like(largest, torch.inf)
    for eighths in (*(n / 2 for n in range(8, 16)), *range(8, 17)):
        scale = (power * eighths / 8).clamp(min=FINEST)
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
    """Writes the model of `folder` as a packed folder, and rounds its own matrices to the same values."""
    to.mkdir(parents=True, exist_ok=True)
    whole, packed = load_file(folder / "model.safetensors"), {}
    for name, tensor in whole.items():
        if is_packed(name, tensor):
            packed[name], packed[f"{name}.scale"] = quantise(tensor)
        else:
            packed[name] = tensor
    whole = {name: tensor.half() for name, tensor in unpack(packed).items()}
    for tensors, path in ((whole, folder / "model.safetensors"), (packed, to / "model.safetensors")):
        save_file(tensors, path, metadata={"format": "pt"})
        path.chmod(0o644)
    config = json.loads((folder / "config.json").read_text()) | {"quantization_config": {"quant_method": METHOD}}
    (to / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    shutil.copyfile(folder / "tokenizer.json", to / "tokenizer.json")
