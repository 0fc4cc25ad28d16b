"""A file of weights, judged by its header before anything is built or read: names, shapes and types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from open_clip.model import convert_to_custom_text_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from core.backbones.catalogue import CONFIG_FILE
from core.backbones.folder_rules import FETCH_AGAIN
from core.errors import InvalidInput

NUMBERS = frozenset({"F64", "F32", "F16", "BF16"})
POSITIONS = "embeddings.position_ids"
Value = TypeVar("Value")


def check_fit(weights: Path, model: nn.Module) -> None:
    """Raise InvalidInput unless the file holds exactly the model's weights, as numbers with a fraction.

    model: may stand on the device "meta", where it takes no memory whatever sizes its configuration gives.
    """
    found = _named_for(model, _header(weights))
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for title, names in (("lacks", wanted.keys() - found.keys()), ("has besides", found.keys() - wanted.keys())):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise _unfit(weights, f"the file {title} {min(names)[:100]}{more}")
    for name, (kind, shape) in found.items():
        if kind not in NUMBERS:
            raise _unfit(weights, f"{name} holds values of the type {kind}")
        if shape != wanted[name] and not (name.startswith("logit_") and set(shape) <= {1}):
            raise _unfit(weights, f"{name} has the shape {list(shape)} in place of {list(wanted[name])}")


def load_weights(model: nn.Module, weights: Path) -> None:
    """Fill a model that fits. Raises InvalidInput for a value that is no finite number."""
    try:
        state: dict[str, Tensor] = _named_for(model, load_file(str(weights)))
    except (SafetensorError, OSError) as error:
        raise _damaged(weights, error) from error
    wanted = model.state_dict()
    for name, value in state.items():
        # in the model's own type: a number of 64 bits may be too large for it
        fitted = value.reshape(wanted[name].shape).to(wanted[name].dtype)
        if not bool(torch.isfinite(fitted).all()):
            raise InvalidInput(
                f"The weights in {weights} must be finite numbers",
                f"{name} holds others (NaN or infinity)",
                FETCH_AGAIN,
            )
        state[name] = fitted
    model.load_state_dict(state, strict=True)


def _header(weights: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    try:
        with safe_open(str(weights), framework="pt") as file:
            parts: dict[str, Any] = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in parts.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(weights, error) from error


def _named_for(model: nn.Module, values: Mapping[str, Value]) -> dict[str, Value]:
    """The same under the model's names: without what training scripts put before them and what is computed anew."""
    found = {name.removeprefix("module."): value for name, value in values.items() if not name.endswith(POSITIONS)}
    if "positional_embedding" in found and not hasattr(model, "positional_embedding"):
        return convert_to_custom_text_state_dict(found)
    return found


def _damaged(weights: Path, error: Exception) -> InvalidInput:
    lines = str(error).strip().splitlines()
    return InvalidInput(
        f"{weights} must be a whole safetensors file", lines[0][:160] if lines else type(error).__name__, FETCH_AGAIN
    )


def _unfit(weights: Path, found: str) -> InvalidInput:
    return InvalidInput(f"The weights in {weights} must fit the architecture in {CONFIG_FILE}", found, FETCH_AGAIN)
