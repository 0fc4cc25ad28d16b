"""Device and precision, chosen in this one place."""

from __future__ import annotations

from pathlib import Path

import torch

from core.errors import InvalidInput, Unavailable

PRECISIONS = ("fp32", "bf16", "fp16")


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


def choose_precision(precision: str, device: torch.device) -> str:
    """The arithmetic of towers in fast passes: "fp32", "bf16" or "fp16".

    "auto" asks the hardware and never a clock, so that one machine always gives one answer: on CUDA bf16 where the
    device has it, else fp16; on a CPU bf16 where that is fast, else fp32. Raises InvalidInput.
    """
    if precision == "auto":
        return _cuda_precision() if device.type == "cuda" else _cpu_precision()
    if precision not in PRECISIONS or (precision == "fp16" and device.type != "cuda"):
        raise InvalidInput(
            f"Precision on {device.type} is auto, fp32, bf16" + (" or fp16" if device.type == "cuda" else ""),
            f"found '{precision}'",
            "Choose one of them.",
        )
    return precision


def _cuda_precision() -> str:
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def _cpu_precision() -> str:
    return "bf16" if has_fast_bf16() else "fp32"


def has_fast_bf16() -> bool:
    """True where the processor multiplies bf16 clearly faster than float32.

    AMX tiles do, and so do AMD's AVX-512 bf16 units. Other processors with such units but without AMX do not: on one of
    them the embedded tower was a fifth slower in bf16.
    """
    return bool(torch.cpu._is_amx_tile_supported()) or (
        bool(torch.cpu._is_avx512_bf16_supported()) and processor_vendor() == "AuthenticAMD"
    )


def processor_vendor() -> str:
    """The processor's maker as the system names it; empty where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("vendor_id")]
    return named[0] if named else ""
