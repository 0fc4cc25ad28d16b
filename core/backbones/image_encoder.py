"""A frozen image encoder that stands beside the backbone or in its place: what another model sees in a picture."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from core.backbones.contract import LayerTokens, Preprocessing
from core.errors import InvalidInput

NOT_STATED = "not stated"
TOKENS = ("pooled", "cls_mean")


class ImageEncoder(ABC):
    """Pictures to vectors, without gradient.

    name, checksum: of the weights. width: of what `encode` gives. preprocessing: its own recipe. architecture,
    parameters, weights, licence: what it is, how large, what its weights are called, and what its folder says of use.
    """

    name: str
    checksum: str
    width: int
    device: torch.device
    preprocessing: Preprocessing
    architecture: str
    parameters: int
    weights: str = NOT_STATED
    licence: str = NOT_STATED
    crop_share: float = 1.0

    @property
    def sentence(self) -> str:
        """What it is, for people."""
        return (
            f"Image encoder '{self.name}': {self.architecture}, {self.parameters:,} parameters, "
            f"weights {self.weights}, licence {self.licence}, checksum {self.checksum[:12]}."
        )

    @abstractmethod
    def preprocess(self, image: Image.Image) -> Tensor:
        """RGB picture to float tensor (3, size, size), by its own recipe."""

    @abstractmethod
    def over_places(self, pixels: Tensor) -> Tensor:
        """Model input (batch, 3, size, size) to vectors (batch, width) averaged over their places."""

    @abstractmethod
    def read(self, pixels: Tensor, tokens: str) -> Tensor:
        """Model input to vectors as the model itself pools them; with "cls_mean" class token and mean patch token."""

    @torch.no_grad()
    def encode(self, levels: Tensor) -> Tensor:
        """Grey levels (batch, 3, height, width) in [0, 1] to vectors (batch, width), without gradient."""
        recipe = self.preprocessing
        size = (recipe.size, recipe.size)
        if levels.shape[-2:] != size:
            levels = functional.interpolate(levels, size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (torch.tensor(values, device=levels.device)[:, None, None] for values in (recipe.mean, recipe.std))
        return self.over_places((levels - mean) / std).float()

    def state(self) -> dict[str, Tensor]:
        """Its weights by name, for a model that goes on training them. Raises InvalidInput where they are no timm's."""
        raise InvalidInput("Weights in timm's format", f"'{self.name}' is a backbone", "Name a folder in that format.")


@dataclass(frozen=True)
class EncoderReader:
    """An encoder in the backbone's place as the source of features, see `PictureReader`.

    tokens: one of TOKENS. unit_features: whether features are brought to unit length.
    """

    encoder: ImageEncoder
    tokens: str = "pooled"
    unit_features: bool = True
    precision: str = field(default="fp32", init=False)
    joint_width: int = field(init=False)

    def __post_init__(self) -> None:
        recipe = self.encoder.preprocessing
        empty = torch.zeros(1, 3, recipe.size, recipe.size, device=self.encoder.device)
        object.__setattr__(self, "joint_width", self.encode_images_frozen(empty).shape[-1])

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.encoder.device

    @property
    def preprocessing(self) -> Preprocessing:
        """The encoder's own recipe."""
        return self.encoder.preprocessing

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) over the weights' own, and over how they are read."""
        told = f"{self.encoder.checksum}|{self.tokens}|{self.unit_features}|{self.encoder.crop_share}"
        return hashlib.sha256(told.encode()).hexdigest()

    def preprocess(self, image: Image.Image) -> Tensor:
        """As the encoder does."""
        return self.encoder.preprocess(image)

    @torch.no_grad()
    def encode_images_frozen(self, pixels: Tensor, tokens: LayerTokens | None = None) -> Tensor:
        """Features (batch, joint_width), float32. An encoder takes no tokens."""
        return self.encoder.read(pixels.to(self.device), self.tokens).float()
