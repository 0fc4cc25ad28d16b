"""What every dual encoder offers, in tensors. Methods and explanations talk to this and never to a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import torch
from PIL import Image
from torch import Tensor, nn

from core.backbones.token_places import ImageAttention, LayerTokens
from core.backbones.tower_pass import AttentionOutput, BlockParts, TowerPass
from core.backbones.weight_places import Added, Matrix
from core.errors import Unavailable

BeforeLayer = Callable[[int, Tensor], Tensor]
"""Called at the input of every layer with (layer index from 0, hidden (batch, tokens, width)); returns the hidden."""


@dataclass(frozen=True)
class Tokens:
    """Tokenised texts, cut to the longest of them.

    ids: (texts, length), int64. mask: (texts, length), bool, True from the start token to the end token. Padding is
    masked in every layer, so cutting is exact.
    """

    ids: Tensor
    mask: Tensor


@dataclass(frozen=True)
class PartlyEncoded:
    """Pictures on their way through the image tower, taken where `encode_images` goes on with them.

    hidden: (batch, tokens, width), without gradient: what enters block `layer`, before that block's own extra vectors.
    For block 0 it is what follows the position embeddings.
    """

    hidden: Tensor
    layer: int

    def __len__(self) -> int:
        return len(self.hidden)

    def __getitem__(self, index: Tensor | slice) -> PartlyEncoded:
        return PartlyEncoded(self.hidden[index], self.layer)


@dataclass(frozen=True)
class Preprocessing:
    """The backbone's own recipe from picture to tensor.

    size: pixels of the square input. mean, std: per channel, on values in [0, 1]. interpolation: "bicubic" or
    "bilinear". resize: "shortest" (shorter side to size, then centre crop) or "squash".
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    resize: str = "shortest"

    def levels(self, pixels: Tensor) -> Tensor:
        """Model input (..., 3, rows, columns) as values in [0, 1] again."""
        mean, std = (torch.tensor(v, device=pixels.device)[:, None, None] for v in (self.mean, self.std))
        return pixels * std + mean


class PictureReader(Protocol):
    """What frozen features of pictures come from: a backbone, or an image encoder without text.

    checksum: hex, of the weights and of all else that tells its features from another's. joint_width: of a feature.
    unit_features: whether features are kept with unit length, or with the length they have.
    """

    @property
    def checksum(self) -> str: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def precision(self) -> str: ...
    @property
    def preprocessing(self) -> Preprocessing: ...
    @property
    def joint_width(self) -> int: ...
    @property
    def unit_features(self) -> bool: ...
    def preprocess(self, image: Image.Image) -> Tensor:
        """RGB picture to float tensor (3, size, size), by `preprocessing`."""

    def encode_images_frozen(self, pixels: Tensor, tokens: LayerTokens | None = None) -> Tensor:
        """Features (batch, joint_width), float32, without gradient."""


class Backbone(ABC):
    """A frozen dual encoder: pictures and texts into one joint space.

    All parameters have requires_grad False and all modules stay in eval mode. `device` and `precision` ("fp32",
    "bf16" or "fp16": the type of matrix products in fast passes) are chosen in `core.backbones.device`.
    """

    name: str
    checksum: str
    """SHA-256 of the weight file(s), hex."""
    device: torch.device
    precision: str
    preprocessing: Preprocessing
    text_width: int
    image_width: int
    joint_width: int
    text_layers: int
    image_layers: int
    patch_grid: tuple[int, int]
    context_length: int
    """Longest text in tokens, start and end included."""
    logit_scale: float
    """exp of the stored parameter: the factor on cosines."""
    text_kind: Literal["bert", "causal"]
    unit_features: bool = True
    known_classes: tuple[str, ...] = ()
    """Class names that the text side has learned from labelled images: scores on them are no honest zero-shot."""

    # pictures ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def preprocess(self, image: Image.Image) -> Tensor:
        """RGB picture to float tensor (3, size, size), by `preprocessing`."""

    @abstractmethod
    def image_tokens(
        self,
        pixels: Tensor | PartlyEncoded,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
        attention_mask: Tensor | None = None,
        attention: list[Tensor] | None = None,
    ) -> Tensor:
        """Final hidden states of all tokens, after the last norm: (batch, tokens, image_width).

        attention_mask: bool, broadcastable to (batch, heads, tokens, tokens), True where a query may look at a key.
        attention: a list that receives each layer's weights (batch, heads, tokens, tokens).
        Differentiable in pixels, tokens and whatever `before_layer` puts in. `before_layer` runs after `tokens`.
        """

    @abstractmethod
    def project_image(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., image_width) into the joint space (..., joint_width), not normalised."""

    @abstractmethod
    def encode_images(
        self,
        pixels: Tensor | PartlyEncoded,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
    ) -> Tensor:
        """Image features (batch, joint_width), not normalised; from pixels, or from where `encode_part` stopped."""

    def encode_image_tokens(self, pixels: Tensor | PartlyEncoded, tokens: LayerTokens | None = None) -> Tensor:
        """All final tokens in the joint space (batch, tokens, joint_width), not normalised; else as `encode_images`."""
        raise _closed(self)

    @abstractmethod
    def encode_part(self, pixels: Tensor, layer: int, tokens: LayerTokens | None = None) -> PartlyEncoded:
        """Pictures up to the input of block `layer`, without gradient, in the fast precision of the device."""

    @abstractmethod
    def encode_images_frozen(self, pixels: Tensor, tokens: LayerTokens | None = None) -> Tensor:
        """Image features (batch, joint_width), float32, without gradient, in the fast precision of the device."""

    @contextmanager
    def fast_passes(self) -> Iterator[None]:
        """Inside, `encode_images` and `encode_text` go the shortest way, for training and for image features.

        Same features up to rounding, in `precision` (fp16 only without gradients), last layers only where they are
        read. Forward hooks on blocks do not see such passes: explanations stay outside.
        """
        yield

    @abstractmethod
    def pool_image(self, hidden: Tensor) -> Tensor:
        """The hidden state that stands for the picture: (batch, tokens, width) to (batch, width)."""

    @abstractmethod
    def image_attention(self, pixels: Tensor, tokens: LayerTokens | None = None) -> ImageAttention:
        """Attention weights of every layer, without gradient."""

    @contextmanager
    def capturing(self, passes: list[TowerPass], graph_from: int | None = None) -> Iterator[None]:
        """Inside, each pass of this thread through the image tower appends one open `TowerPass`, in float32.

        That includes passes a method makes on an image path of its own. graph_from: blocks before this one run without
        gradient, and the graph begins at what enters it, whatever requires gradients before: maps that read the last
        block alone need no longer way back. None leaves the graph as the caller's. `encode_images` then gives the last
        block's output for the class token alone. Hooks on blocks do not see such passes, hooks on their norms do.
        """
        raise _closed(self)
        yield

    def open_block(self, layer: int, hidden: Tensor) -> BlockParts:
        """Block `layer` alone on what enters it, (batch, tokens, width): all its parts, in the graph."""
        raise _closed(self)

    def read_out(self, hidden: Tensor) -> Tensor:
        """(batch, tokens, width) after any block into the joint space, as after the last: (batch, joint_width).

        The last norm, the pooled token, the projection; not normalised.
        """
        raise _closed(self)

    def attention_output(self, layer: int) -> AttentionOutput:
        """How block `layer` writes into the hidden state what its attention mixed."""
        raise _closed(self)

    @abstractmethod
    def image_blocks(self) -> Sequence[nn.Module]:
        """The image tower's blocks in order; each is called as a module, so that forward hooks see it."""

    def with_image_blocks(self, blocks: Sequence[nn.Module]) -> Self:
        """The same backbone with other blocks in its image tower, as many and of the same kind.

        Everything else is shared, and this one is left as it is: experiments on weights disturb nobody.
        """
        raise _closed(self)

    def with_own_weights(self) -> Self:
        """The same backbone with modules of its own around the same tensors, in which others may be placed.

        This one and all others that share its tensors stay as they are. Fast passes use what was placed as it is, in
        no shortened copy.
        """
        raise _closed(self)

    def matrices(self) -> list[Matrix]:
        """The matrices of both towers' blocks, image tower first."""
        raise _closed(self)

    def named_weights(self) -> dict[str, tuple[nn.Module, str, nn.Parameter]]:
        """All parameters of both towers by name: the module, its attribute, and the tensor. The scale is not one."""
        raise _closed(self)

    def text_blocks(self) -> Sequence[nn.Module]:
        """The text tower's blocks in order."""
        raise _closed(self)

    def add_to_products(self, added: Mapping[str, Added]) -> None:
        """Let matrices get something on top in products, see `place_added`. Only where weights are its own."""
        raise _closed(self)

    # texts ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Token ids cut to the longest text, never padded to the context length. Works offline."""

    @abstractmethod
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Length of each text in tokens, start and end included, uncut."""

    @abstractmethod
    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Raw word embeddings: no position, no type, no norm. (..., length) to (..., length, text_width)."""

    @abstractmethod
    def text_tokens(
        self,
        embeds: Tensor,
        mask: Tensor,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
        attention_mask: Tensor | None = None,
        dropout: bool = False,
    ) -> Tensor:
        """Final hidden states (texts, length (+ inserted), text_width) from raw word embeddings.

        Positions, types and the embedding norm are added here, once. mask: (texts, length), True on real tokens.
        dropout: the tower's own dropout probabilities are active. Differentiable in embeds.
        """

    @abstractmethod
    def pool_text(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """The hidden state that stands for the text: first token, mean over real tokens, or end token."""

    @abstractmethod
    def project_text(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., text_width) into the joint space, not normalised."""

    @abstractmethod
    def encode_text(
        self,
        embeds: Tensor,
        mask: Tensor,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
        dropout: bool = False,
    ) -> Tensor:
        """Text features (texts, joint_width), not normalised."""

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Features of plain texts (texts, joint_width), not normalised, without gradient."""
        found = self.tokenize(texts)
        with torch.inference_mode():
            return self.encode_text(self.embed_tokens(found.ids), found.mask).clone()


def _closed(backbone: Backbone) -> Unavailable:
    return Unavailable(
        "A map needs the parts of the image tower's blocks",
        f"the backbone '{backbone.name}' does not open them",
        "Explain a model on another backbone.",
    )
