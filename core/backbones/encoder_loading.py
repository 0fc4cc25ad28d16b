"""From a name or folder to an image encoder that is ready to use. Reads local files only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from timm.data import create_transform
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.catalogue import (
    CONFIG_FILE,
    FOLDER_PREFIX,
    catalogue,
    default_home,
    find_folder,
    names_folder,
    refuse_folder,
    user_path,
)
from core.backbones.contract import Backbone, Preprocessing
from core.backbones.folder_rules import own_file, read_object
from core.backbones.image_encoder import NOT_STATED, ImageEncoder
from core.backbones.loading import file_checksum, load_backbone
from core.errors import InvalidInput, NotFound

TIMM_CONFIG, TIMM_WEIGHTS = "config.json", "model.safetensors"
NEEDED = (
    "a backbone's name, a folder in open_clip's format, or one in timm's: config.json with its 'architecture' and "
    "'pretrained_cfg', and model.safetensors; a folder inside 'encoders' of the home folder goes by its name"
)
ENCODERS = "encoders"


def check_encoder_name(name: str, *, folders: bool) -> None:
    """Raise NotAllowed for a name that can only be a folder outside the home, where none may be named."""
    if not folders and names_folder(name):
        raise refuse_folder("image encoder")


def check_image_encoder(
    name: str, home: Path | None = None, *, folders: bool = True, architecture: str | None = None
) -> None:
    """Raise what `load_image_encoder` would for a name, as far as it shows without loading weights.

    architecture: the only one of timm that will do.
    """
    folder = _timm_folder(name, default_home(home), folders)
    if folder is None:
        find_folder(name, default_home(home), folders=folders)
    found = read_object(folder, TIMM_CONFIG).get("architecture") if folder else "a backbone"
    if architecture not in (None, found):
        raise InvalidInput(
            f"A folder of timm's architecture '{architecture}'", f"'{name}' holds {found!r:.60}", "Give another folder."
        )


def load_image_encoder(
    name: str, *, device: torch.device, home: Path | None = None, folders: bool = True
) -> ImageEncoder:
    """The encoder of a backbone's name, of a folder in open_clip's or timm's format, or of one by name in the home.

    folders: whether a folder outside the home may be named. Nothing in a folder is run. Raises NotFound, Unavailable,
    NotAllowed or InvalidInput.
    """
    folder = _timm_folder(name, default_home(home), folders)
    if folder is not None:
        return _TimmEncoder(folder, device, default_home(home))
    return _TowerEncoder(load_backbone(name, device=str(device), home=home, folders=folders))


class _TowerEncoder(ImageEncoder):
    """The image tower of a backbone."""

    def __init__(self, tower: Backbone) -> None:
        self._tower = tower
        self.name, self.checksum, self.width = tower.name, tower.checksum, tower.joint_width
        self.device, self.preprocessing = tower.device, tower.preprocessing
        self.architecture = f"the image tower of a backbone, {tower.image_layers} layers of width {tower.image_width}"
        weights = tower.named_weights().items()
        self.parameters = sum(weight.numel() for name, (_, _, weight) in weights if name.startswith("visual."))
        known = catalogue().get(tower.name)
        self.weights, self.licence = tower.name, known.licence if known else NOT_STATED

    def preprocess(self, image: Image.Image) -> Tensor:
        return self._tower.preprocess(image)

    def over_places(self, pixels: Tensor) -> Tensor:
        """The joint feature, of unit norm: the tower has learned to put a picture into it."""
        return functional.normalize(self._tower.encode_images_frozen(pixels), dim=-1)

    def read(self, pixels: Tensor, tokens: str) -> Tensor:
        hidden = self._tower.image_tokens(pixels)
        pooled = self._tower.pool_image(hidden)
        if tokens == "pooled":
            return pooled
        rows, columns = self._tower.patch_grid
        return torch.cat([pooled, hidden[:, -rows * columns :].mean(dim=1)], dim=-1)


class _TimmEncoder(ImageEncoder):
    """A model of timm from its folder."""

    def __init__(self, folder: Path, device: torch.device, home: Path) -> None:
        config = read_object(folder, TIMM_CONFIG)
        architecture, about = config.get("architecture"), config.get("pretrained_cfg", {})
        if architecture not in timm.list_models():
            raise _unusable(folder, f"'architecture' is {architecture!r:.60}, which timm does not know")
        side = (config.get("model_args") or {}).get("img_size")
        try:
            size_px = int(side or about["input_size"][-1])
            (m0, m1, m2), (s0, s1, s2) = (map(float, about[key]) for key in ("mean", "std"))
            interpolation = str(about.get("interpolation", "bicubic"))
            self.preprocessing = Preprocessing(size_px, (m0, m1, m2), (s0, s1, s2), interpolation)
            self.crop_share = float(about.get("crop_pct", 1.0))
            self._transform: Any = create_transform(
                (3, size_px, size_px),
                is_training=False,
                interpolation=interpolation,
                mean=(m0, m1, m2),
                std=(s0, s1, s2),
                crop_pct=self.crop_share,
                crop_mode=str(about.get("crop_mode", "center")),
            )
            sized: dict[str, Any] = {"img_size": size_px} if side else {}
            model: Any = timm.create_model(architecture, num_classes=0, **sized)
            weights = folder / TIMM_WEIGHTS
            missing = model.load_state_dict(load_file(weights), strict=False).missing_keys
        except Exception as error:  # whatever odd values in a folder make the library raise
            raise _unusable(folder, f"{type(error).__name__}: {str(error)[:200]}") from error
        if missing:
            raise _unusable(folder, f"its weights lack {', '.join(missing[:3])}")
        self._model: Any = model.to(device).eval().requires_grad_(False)
        inside = folder.parent == (home / ENCODERS).resolve()
        self.name = folder.name if inside else f"{FOLDER_PREFIX}{folder}"
        self.checksum, self.device, self.architecture = file_checksum(weights, home), device, str(architecture)
        self.parameters = sum(weight.numel() for weight in model.parameters())
        self.weights = str(about.get("tag") or NOT_STATED)
        self.licence = str(about.get("license") or _licence_of_page(folder))
        with torch.no_grad():
            self.width = self.over_places(torch.zeros(1, 3, size_px, size_px, device=device)).shape[-1]

    def preprocess(self, image: Image.Image) -> Tensor:
        found: Tensor = self._transform(image.convert("RGB"))
        return found

    def over_places(self, pixels: Tensor) -> Tensor:
        return _averaged(self._model.forward_features(pixels), self._model.num_features)

    def read(self, pixels: Tensor, tokens: str) -> Tensor:
        found: Tensor = self._model.forward_features(pixels)
        if tokens == "pooled":
            return self._model.forward_head(found, pre_logits=True)
        if found.ndim != 3 or getattr(self._model, "cls_token", None) is None:
            raise InvalidInput(
                "An encoder with a class token, as 'tokens' cls_mean asks",
                f"{self.architecture} has none",
                "Choose pooled.",
            )
        return torch.cat([found[:, 0], found[:, self._model.num_prefix_tokens :].mean(dim=1)], dim=-1)

    def state(self) -> dict[str, Tensor]:
        own: nn.Module = self._model
        return own.state_dict()


def _timm_folder(name: str, home: Path, folders: bool) -> Path | None:
    """The folder that a name gives, if it is one in timm's format."""
    path = user_path(name.removeprefix(FOLDER_PREFIX))
    inside = home / ENCODERS / name
    if re.fullmatch(r"\w[\w.-]*", name) and inside.is_dir():
        path = inside
    elif not names_folder(name):
        return None
    check_encoder_name(name, folders=folders)
    if "\0" in name or not path.is_dir():
        raise NotFound(f"An image encoder: {NEEDED}", f"'{name}' is no folder", "Give the path of one.")
    is_timm = own_file(path, CONFIG_FILE) is None and own_file(path, TIMM_CONFIG) is not None
    if is_timm and own_file(path, TIMM_WEIGHTS) is None:
        raise _unusable(path, f"it holds no {TIMM_WEIGHTS}")
    if path is inside and not is_timm:
        raise _unusable(path, f"it holds no {TIMM_CONFIG}")
    return path.resolve() if is_timm else None


def _licence_of_page(folder: Path) -> str:
    """What the head of a folder's README says, where one is there."""
    page = own_file(folder, "README.md")
    head = page.read_text("utf-8", errors="replace")[:4000] if page else ""
    found = re.search(r"^license:\s*([\w.-]+)\s*$", head, re.MULTILINE)
    return found.group(1) if found else NOT_STATED


def _averaged(found: Tensor, width: int) -> Tensor:
    """Mean over the places of tokens (batch, n, width) or of a grid with its channels first or last."""
    if found.ndim == 3:
        return found.mean(dim=1)
    return found.mean(dim=(2, 3)) if found.shape[1] == width else found.mean(dim=(1, 2))


def _unusable(folder: Path, found: str) -> InvalidInput:
    return InvalidInput(f"An image encoder: {NEEDED}", f"'{folder.name}': {found}", "Give another folder.")
