"""Device and precision, chosen in this one place."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import torch
from torch import nn

from core.backbones.memory import recall, remember
from core.errors import InvalidInput, Unavailable

PRECISIONS = ("fp32", "bf16", "fp16")
WORTHWHILE = 1.15  # bf16 must be this much faster before its rounding is accepted
MEASURED_TOKENS, MEASURED_WIDTH, MEASURED_LAYERS, MEASURED_ROUNDS = 197 * 4, 384, 2, 5


def choose_device(device: str = "auto") -> torch.device:
    """The device to compute on. "auto": CUDA where present, else CPU. Raises Unavailable, InvalidInput."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InvalidInput(
            "A device is auto, cpu, cuda or cuda:NUMBER", f"found '{device}'", "Choose one of them."
        ) from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise Unavailable(
            f"The device '{device}' must exist on this machine",
            f"{torch.cuda.device_count()} CUDA devices were found",
            "Choose device auto or cpu.",
        )
    return chosen


def choose_precision(precision: str, device: torch.device, home: Path) -> str:
    """The autocast of gradient-free passes: "fp32", "bf16" or "fp16".

    "auto" on CUDA: bf16 where the device has it, else fp16. "auto" on CPU: bf16 if the processor has bf16 units and
    a measurement of well under a second, made once a home folder and remembered there, finds it faster. Where
    nothing can be remembered the answer is fp32, so that it stays the same. Raises InvalidInput.
    """
    if precision == "auto":
        return _cuda_precision() if device.type == "cuda" else _cpu_precision(home)
    if precision not in PRECISIONS or (precision == "fp16" and device.type != "cuda"):
        raise InvalidInput(
            f"Precision on {device.type} is auto, fp32, bf16" + (" or fp16" if device.type == "cuda" else ""),
            f"found '{precision}'",
            "Choose one of them.",
        )
    return precision


def _cuda_precision() -> str:
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def _cpu_precision(home: Path) -> str:
    if not has_bf16_units():
        return "fp32"
    file, key = home / "cache" / "device.json", f"{processor_name()} | torch {torch.__version__}"
    known = recall(file, key)
    if known in PRECISIONS:
        return str(known)
    chosen = "bf16" if measure_speedup() >= WORTHWHILE else "fp32"
    return chosen if remember(file, key, chosen) else "fp32"


def has_bf16_units() -> bool:
    """True where the processor multiplies bf16 in hardware."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def processor_name() -> str:
    """The processor's model as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        parts = dict(line.split(":", 1) for line in lines if ":" in line)
        fields = {key.strip(): value.strip() for key, value in parts.items()}
        return " ".join(fields.get(key, "") for key in ("model name", "cpu family", "model", "stepping")).strip()
    except OSError:
        return platform.processor() or platform.machine()


def measure_speedup() -> float:
    """How many times faster bf16 autocast runs the matrix products of a small transformer than fp32 does."""
    generator = torch.Generator().manual_seed(0)
    narrow, wide = MEASURED_WIDTH, 4 * MEASURED_WIDTH
    pairs = [nn.Sequential(nn.Linear(narrow, wide), nn.Linear(wide, narrow)) for _ in range(MEASURED_LAYERS)]
    layers = nn.Sequential(*pairs).requires_grad_(False)
    x = torch.randn(MEASURED_TOKENS, MEASURED_WIDTH, generator=generator)
    return _best_seconds(layers, x, False) / _best_seconds(layers, x, True)


def _best_seconds(layers: nn.Module, x: torch.Tensor, mixed: bool) -> float:
    seconds = []
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        for _ in range(MEASURED_ROUNDS + 1):  # the first round warms up and is not counted
            start = time.perf_counter()
            layers(x)
            seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
