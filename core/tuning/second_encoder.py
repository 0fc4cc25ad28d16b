"""The image encoder that a method's options name: beside the backbone, in its place, or as the start of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from core.backbones.encoder_loading import NEEDED, check_image_encoder, load_image_encoder
from core.backbones.image_encoder import ImageEncoder
from core.errors import BackboneMismatch, InvalidOption

if TYPE_CHECKING:
    from core.tuning.contract import Method


def encoder_name(config: Any) -> str:
    """The name or folder in the options; empty where they have none."""
    return str(getattr(config, "encoder", "")).strip()


def check_encoder(kind: type[Method], config: Any, home: Path | None, folders: bool = True) -> None:
    """Raise what `named_encoder` would, without loading weights."""
    if name := _needed_name(kind, config):
        check_image_encoder(name, home, folders=folders, architecture=kind.starts_from or None)


def named_encoder(
    kind: type[Method], config: Any, device: torch.device, home: Path | None, folders: bool = True
) -> ImageEncoder | None:
    """That encoder, loaded, or None where no name is given and none is needed.

    Raises InvalidOption where one is needed, and else as `load_image_encoder` does.
    """
    check_encoder(kind, config, home, folders)
    name = encoder_name(config)
    return load_image_encoder(name, device=device, home=home, folders=folders) if name else None


def _needed_name(kind: type[Method], config: Any) -> str:
    name = encoder_name(config)
    if not name and "encoder" in kind.needs:
        raise InvalidOption(f"{kind.title} needs an image encoder", "'encoder' is empty", f"Name one there: {NEEDED}.")
    return name


def checksum_tensor(checksum: str, device: torch.device) -> Tensor:
    """A checksum as bytes, uint8 (32,), to be kept among what is learned."""
    return torch.tensor(list(bytes.fromhex(checksum)), dtype=torch.uint8, device=device)


def check_same_encoder(state: Mapping[str, Tensor], own: Tensor, what: str) -> None:
    """Raises BackboneMismatch if "encoder_checksum" of saved tensors is another than this one."""
    saved = state["encoder_checksum"].cpu()
    if not torch.equal(saved, own.cpu()):
        raise BackboneMismatch(
            f"The {what} with the checksum {bytes(saved.tolist()).hex()[:12]}",
            f"this one has {bytes(own.tolist()).hex()[:12]}",
            "Name the encoder that the model was trained with.",
        )
