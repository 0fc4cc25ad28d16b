"""The fourteen changes of a picture that AAPL learns to tell apart, each on model input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import functional as pictures

from core.backbones.contract import Preprocessing

SHIFT_SHARE = 30 / 224
"""Of the picture's side, to the right."""
CUT_SHARE = 0.5
RAW = "-raw"
"""Behind the name of a change that works on normalised values, as published, and not on grey levels from 0 to 1."""

Change = Callable[[Tensor, torch.Generator], Tensor]


def _between(low: float, high: float, drawn: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=drawn))


def _jitter(brightness: float, contrast: float, saturation: float, hue: float) -> Change:
    """Each factor uniform from 1 minus its strength, at least 0, to 1 plus it; hue up to its share of the circle."""

    def change(x: Tensor, drawn: torch.Generator) -> Tensor:
        for adjust, strength in (
            (pictures.adjust_brightness, brightness),
            (pictures.adjust_contrast, contrast),
            (pictures.adjust_saturation, saturation),
        ):
            x = adjust(x, _between(max(0.0, 1 - strength), 1 + strength, drawn))
        return pictures.adjust_hue(x, _between(-hue, hue, drawn))

    return change


def _shift(x: Tensor, drawn: torch.Generator) -> Tensor:
    width = x.shape[-1]
    by = round(SHIFT_SHARE * width)
    return functional.pad(x[..., : width - by], (by, 0))


def _cut_out(x: Tensor, drawn: torch.Generator) -> Tensor:
    """Zero in a square of half the area, somewhere."""
    side = round(CUT_SHARE**0.5 * x.shape[-1])
    row, column = torch.randint(0, x.shape[-1] - side + 1, (2,), generator=drawn).tolist()
    x = x.clone()
    x[:, row : row + side, column : column + side] = 0
    return x


def _edges(x: Tensor, drawn: torch.Generator) -> Tensor:
    """Length of Sobel's gradient in each channel."""
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=x.device, dtype=x.dtype)
    kernels = torch.stack([across, across.T])[:, None]
    found = functional.conv2d(x[:, None], kernels, padding=1)
    return found.square().sum(dim=1).sqrt()


def _noise(x: Tensor, drawn: torch.Generator) -> Tensor:
    return x + torch.randn(x.shape, generator=drawn)


PIXEL_CHANGES: dict[str, Change] = {
    "jitter-light": _jitter(1.5, 1.0, 1.0, 0.2),
    "jitter-colour": _jitter(1.0, 1.0, 1.5, 0.0),
    "jitter-hue": _jitter(1.0, 1.0, 1.0, 0.5),
    "grey": lambda x, drawn: pictures.rgb_to_grayscale(x, 3),
    "noise": _noise,
    "blur": lambda x, drawn: pictures.gaussian_blur(x, [3, 3]),
    "flip-sides": lambda x, drawn: x.flip(-1),
    "flip-up": lambda x, drawn: x.flip(-2),
    "turn-90": lambda x, drawn: torch.rot90(x, 1, (-2, -1)),
    "turn-180": lambda x, drawn: torch.rot90(x, 2, (-2, -1)),
    "turn-270": lambda x, drawn: torch.rot90(x, 3, (-2, -1)),
    "shift": _shift,
    "cut-out": _cut_out,
    "edges": _edges,
}


def change_pixels(name: str, pixels: Tensor, preprocessing: Preprocessing, drawn: torch.Generator) -> Tensor:
    """A changed picture as model input, (3, size, size) both.

    On grey levels the result is cut to [0, 1]; noise has the same strength in both forms, 1 in normalised values.
    """
    plain = name.removesuffix(RAW)
    change = PIXEL_CHANGES[plain]
    if name.endswith(RAW) or plain == "noise":
        found = change(pixels, drawn)
        return found if name.endswith(RAW) else _normalised(preprocessing.levels(found), preprocessing)
    return _normalised(change(preprocessing.levels(pixels), drawn), preprocessing)


def _normalised(levels: Tensor, preprocessing: Preprocessing) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return (levels.clamp(0, 1) - mean) / std
