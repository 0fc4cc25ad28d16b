"""The files of a trained model's folder, as those see them that record, pack and move it without loading it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

CONFIG, WEIGHTS, CARD = "adapter_config.json", "adapter_model.safetensors", "README.md"
"""Everything needed to rebuild the model; its learned tensors; a card for people."""
SEEN = "adapter_seen.safetensors"
"""What the model keeps of the images it has seen; models that were trained in experiments or long ago have none."""
DRAFT = ".draft-"
"""How the names of folders begin that are still being written."""


def weights_checksum(folder: Path) -> str:
    """SHA-256 (hex) of the file of learned tensors."""
    with (folder / WEIGHTS).open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()


def describe_model_folder(folder: Path) -> dict[str, Any]:
    """What a record of the model says of its folder: folder, weights_sha256, size_bytes, card, calibrated."""
    card = json.loads((folder / CONFIG).read_text("utf-8"))
    return {
        "folder": folder.name,
        "weights_sha256": weights_checksum(folder),
        "size_bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "card": card,
        "calibrated": bool(card.get("calibrated", False)),
    }
