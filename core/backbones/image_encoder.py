"""A frozen image encoder that stands beside the backbone: what another model sees in the same picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from core.backbones.catalogue import CONFIG_FILE, FOLDER_PREFIX, default_home, find_folder, refuse_folder
from core.backbones.folder_rules import own_file, read_object
from core.backbones.loading import file_checksum, load_backbone
from core.errors import InvalidInput, NotFound

TIMM_CONFIG, TIMM_WEIGHTS = "config.json", "model.safetensors"
NEEDED = (
    "a backbone's name, a folder in open_clip's format, or one in timm's: config.json with its 'architecture' and "
    "'pretrained_cfg', and model.safetensors"
)


class ImageEncoder:
    """Pictures to one vector each, averaged over their places.

    name, checksum: of the weights. width: of a vector. size_px, mean, std: of what it reads.
    """

    def __init__(
        self,
        name: str,
        checksum: str,
        width: int,
        size_px: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        read: Callable[[Tensor], Tensor],
    ) -> None:
        self.name, self.checksum, self.width, self.size_px = name, checksum, width, size_px
        self._mean, self._std, self._read = mean, std, read

    @torch.no_grad()
    def encode(self, levels: Tensor) -> Tensor:
        """Grey levels (batch, 3, height, width) in [0, 1] to vectors (batch, width), without gradient."""
        size = (self.size_px, self.size_px)
        if levels.shape[-2:] != size:
            levels = functional.interpolate(levels, size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (torch.tensor(values, device=levels.device)[:, None, None] for values in (self._mean, self._std))
        return self._read((levels - mean) / std).float()


def check_image_encoder(name: str, home: Path | None = None, *, folders: bool = True) -> None:
    """Raise what `load_image_encoder` would for a name, as far as it shows without loading weights."""
    if _timm_folder(name, folders) is None:
        find_folder(name, default_home(home), folders=folders)


def load_image_encoder(
    name: str, *, device: torch.device, home: Path | None = None, folders: bool = True
) -> ImageEncoder:
    """The encoder of a backbone's name, or of a folder in open_clip's or timm's format.

    folders: whether a folder outside the home may be named. Nothing in a folder is run. Raises NotFound, Unavailable,
    NotAllowed or InvalidInput.
    """
    folder = _timm_folder(name, folders)
    if folder is not None:
        return _load_timm(folder, device, default_home(home))
    tower = load_backbone(name, device=str(device), home=home, folders=folders)
    recipe = tower.preprocessing

    def read(pixels: Tensor) -> Tensor:
        return functional.normalize(tower.encode_images_frozen(pixels), dim=-1)

    return ImageEncoder(tower.name, tower.checksum, tower.joint_width, recipe.size, recipe.mean, recipe.std, read)


def _timm_folder(name: str, folders: bool) -> Path | None:
    """The folder that a name gives, if it is one in timm's format."""
    path = Path(name.removeprefix(FOLDER_PREFIX)).expanduser()
    if "/" not in str(path) and not name.startswith(FOLDER_PREFIX):
        return None
    if not folders:
        raise refuse_folder("image encoder")
    if not path.is_dir():
        raise NotFound(f"An image encoder: {NEEDED}", f"'{name}' is no folder", "Give the path of one.")
    is_timm = own_file(path, CONFIG_FILE) is None and own_file(path, TIMM_CONFIG) is not None
    if is_timm and own_file(path, TIMM_WEIGHTS) is None:
        raise _unusable(path, f"it holds no {TIMM_WEIGHTS}")
    return path.resolve() if is_timm else None


def _load_timm(folder: Path, device: torch.device, home: Path) -> ImageEncoder:
    config = read_object(folder, TIMM_CONFIG)
    architecture, about = config.get("architecture"), config.get("pretrained_cfg", {})
    if architecture not in timm.list_models():
        raise _unusable(folder, f"'architecture' is {architecture!r:.60}, which timm does not know")
    side = (config.get("model_args") or {}).get("img_size")
    try:
        size_px = int(side or about["input_size"][-1])
        mean, std = (tuple(float(v) for v in about[key]) for key in ("mean", "std"))
        sized: dict[str, Any] = {"img_size": size_px} if side else {}
        model: Any = timm.create_model(architecture, num_classes=0, **sized)
        weights = folder / TIMM_WEIGHTS
        missing = model.load_state_dict(load_file(weights), strict=False).missing_keys
    except Exception as error:  # whatever odd values in a folder make the library raise
        raise _unusable(folder, f"{type(error).__name__}: {str(error)[:200]}") from error
    if missing:
        raise _unusable(folder, f"its weights lack {', '.join(missing[:3])}")
    model = model.to(device).eval().requires_grad_(False)

    def read(pixels: Tensor) -> Tensor:
        return _averaged(model.forward_features(pixels), model.num_features)

    with torch.no_grad():
        width = read(torch.zeros(1, 3, size_px, size_px, device=device)).shape[-1]
    return ImageEncoder(f"{FOLDER_PREFIX}{folder}", file_checksum(weights, home), width, size_px, mean, std, read)


def _averaged(found: Tensor, width: int) -> Tensor:
    """Mean over the places of tokens (batch, n, width) or of a grid with its channels first or last."""
    if found.ndim == 3:
        return found.mean(dim=1)
    return found.mean(dim=(2, 3)) if found.shape[1] == width else found.mean(dim=(1, 2))


def _unusable(folder: Path, found: str) -> InvalidInput:
    return InvalidInput(f"An image encoder: {NEEDED}", f"'{folder.name}': {found}", "Give another folder.")
