"""What a model keeps of the images it learned from and of those that calibrate its sets, in a file beside its weights.

A model folder without this file answers as before; it can then give no set and no distance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.errors import UnreadableSource
from core.tuning.model_folder import SEEN

FOLD = "fold"


@dataclass(frozen=True)
class Seen:
    """Beside a model's weights.

    images: file, sha256 and class of each training image. features: (images, width), as the model sees them.
    distances: how far images that are known to be like these lie from them, (n,). scores: of the images that calibrate
    sets, an array a fold; one fold where the model itself scored them. refits: learned tensors of the model refitted
    without each fold, as many as scores, or none.
    """

    images: tuple[dict[str, str], ...]
    features: Tensor
    distances: np.ndarray
    scores: tuple[np.ndarray, ...] = ()
    refits: tuple[Mapping[str, Tensor], ...] = field(default=())


def write_seen(folder: Path, seen: Seen) -> None:
    """Write the file into a model folder."""
    tensors = {
        "features": seen.features.float().cpu(),
        "distances": torch.from_numpy(seen.distances.astype(np.float64)),
    }
    tensors |= {f"scores.{at}": torch.from_numpy(found.astype(np.float64)) for at, found in enumerate(seen.scores)}
    for at, state in enumerate(seen.refits):
        tensors |= {f"{FOLD}.{at}.{name}": value for name, value in state.items()}
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    save_file(whole, folder / SEEN, metadata={"images": json.dumps(list(seen.images), ensure_ascii=False)})


def read_seen(folder: Path) -> Seen | None:
    """The content of the file; None where the folder has none. Raises UnreadableSource for a damaged one."""
    place = folder / SEEN
    if not place.is_file():
        return None
    try:
        with safe_open(place, framework="pt") as file:
            images = tuple(_image(one) for one in json.loads(file.metadata()["images"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        scores = tuple(tensors[f"scores.{at}"].numpy() for at in range(_count(tensors, "scores")))
        refits = tuple(_state(tensors, at) for at in range(_count(tensors, FOLD)))
        found = Seen(images, tensors["features"], tensors["distances"].numpy(), scores, refits)
        sound = len(images) == len(found.features) and len(refits) in (0, len(scores))
        if not sound or not all(bool(value.isfinite().all()) for value in tensors.values()):
            raise ValueError("its parts do not fit together or are no numbers")
    except Exception as error:  # a file from anywhere: whatever it lacks is damage
        raise UnreadableSource(
            "A readable model folder", f"'{folder.name}' is damaged ({SEEN}: {error})", "Train or copy it again."
        ) from None
    return found


def _image(found: Any) -> dict[str, str]:
    return {name: str(found[name]) for name in ("file", "sha256", "class")}


def _count(tensors: Mapping[str, Tensor], kind: str) -> int:
    return len({name.split(".")[1] for name in tensors if name.startswith(f"{kind}.")})


def _state(tensors: Mapping[str, Tensor], at: int) -> dict[str, Tensor]:
    start = f"{FOLD}.{at}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
