"""The two image towers, opened up: timm's vision transformer and open_clip's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import timm.layers
import torch
from open_clip.timm_model import TimmModel
from open_clip.transformer import ResidualAttentionBlock
from open_clip.transformer import VisionTransformer as OpenClipViT
from timm.models.vision_transformer import Block as TimmBlock
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torch import Tensor, nn

from core.backbones.attention import capture_open_clip_block, run_open_clip_block, run_timm_block
from core.backbones.contract import BeforeLayer, LayerTokens, PartlyEncoded
from core.backbones.placement import check_tokens, place_tokens, token_layout
from core.backbones.tower_pass import AttentionOutput, BlockParts, TowerPass
from core.errors import InvalidInput


@dataclass(frozen=True)
class _Capture:
    """Who asked for open passes of which tower. graph_from: the block before which the graph begins, None: as is."""

    tower: ImageTower
    passes: list[TowerPass]
    graph_from: int | None


_CAPTURE: ContextVar[_Capture | None] = ContextVar("capture", default=None)
"""Each thread starts without one, so a pass is seen only by the thread that makes it."""


class ImageTower(ABC):
    """A vision transformer with a class token at position 0, run layer by layer."""

    blocks: list[nn.Module]
    width: int
    prefix: int
    """Tokens before the first patch: the class token and any registers."""
    patch_size: tuple[int, int]
    image_size: tuple[int, int]
    part_by_part = False
    """Blocks are never called whole: something was added to products that only the runners know of."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.image_size[0] // self.patch_size[0], self.image_size[1] // self.patch_size[1]

    @property
    def length(self) -> int:
        """Tokens of one picture, nothing inserted."""
        return self.prefix + self.grid[0] * self.grid[1]

    def run(
        self,
        pixels: Tensor | PartlyEncoded,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
        mask: Tensor | None = None,
        weights: list[Tensor] | None = None,
    ) -> Tensor:
        """Hidden states after the last norm; arguments as in `Backbone.image_tokens`."""
        parts = self._parts(tokens)
        if parts is None and weights is not None:
            parts = []
        # Called as a module wherever that is possible: forward hooks on a block see only such calls.
        plain = mask is None and parts is None and not self.part_by_part

        def step(layer: int, hidden: Tensor) -> Tensor:
            block = self.blocks[layer]
            return block(hidden) if plain else self.run_block(block, hidden, mask, parts)

        hidden = self.norm_last(self._through(pixels, tokens, before_layer, step))
        if weights is not None and parts is not None:
            weights += [part.weights for part in parts]
        return hidden

    def run_stepwise(
        self,
        pixels: Tensor,
        tokens: LayerTokens | None,
        before_layer: BeforeLayer | None,
        step: Callable[[int, Tensor], Tensor],
    ) -> Tensor:
        """Hidden states after the last norm, each block run by `step` (block index, hidden in) instead of as it is.

        For experiments that change what a block does; `core.backbones.changeable_block` gives each in that form.
        """
        return self.norm_last(self._through(pixels, tokens, before_layer, step))

    def features(
        self,
        pixels: Tensor | PartlyEncoded,
        tokens: LayerTokens | None,
        before_layer: BeforeLayer | None,
        blocks: Sequence[nn.Module],
    ) -> Tensor:
        """The class token (batch, width) that `run` gives, on the shortest way: the last block works on it alone.

        blocks: the tower's own, or their equals in another precision. Hooks on a block do not see such a pass.
        """
        return self.states(pixels, tokens, before_layer, blocks, read=1)[:, 0]

    def states(
        self,
        pixels: Tensor | PartlyEncoded,
        tokens: LayerTokens | None,
        before_layer: BeforeLayer | None,
        blocks: Sequence[nn.Module],
        read: int | None = None,
    ) -> Tensor:
        """What `run` gives, from pixels or part-way on; read: the first so many tokens alone. `blocks` as above."""
        last, parts = len(blocks) - 1, self._parts(tokens)

        def step(layer: int, hidden: Tensor) -> Tensor:
            return self.run_block(blocks[layer], hidden, None, parts, read=read if layer == last else None)

        return self.norm_last(self._through(pixels, tokens, before_layer, step))

    def part(
        self, pixels: Tensor, layer: int, tokens: LayerTokens | None, blocks: Sequence[nn.Module]
    ) -> PartlyEncoded:
        """What enters block `layer`, before its own extra vectors; `blocks` as above."""
        if layer == 0:
            self._check_pixels(pixels)
            return PartlyEncoded(self.embed(pixels), 0)

        def step(at: int, hidden: Tensor) -> Tensor:
            return self.run_block(blocks[at], hidden, None, None)

        return PartlyEncoded(self._through(pixels, tokens, None, step, end=layer), layer)

    def _through(
        self,
        pixels: Tensor | PartlyEncoded,
        tokens: LayerTokens | None,
        before_layer: BeforeLayer | None,
        step: Callable[[int, Tensor], Tensor],
        end: int | None = None,
    ) -> Tensor:
        """Hidden states after the last block, or what enters block `end`; `step` runs a block."""
        tokens = check_tokens(tokens, len(self.blocks), self.width)
        self._check_place(tokens)
        if isinstance(pixels, Tensor):
            self._check_pixels(pixels)
            pixels = PartlyEncoded(self.embed(pixels), 0)
        hidden, capture = pixels.hidden, self._capture()
        begin = None if capture is None or end is not None else capture.graph_from
        for layer in range(pixels.layer, len(self.blocks) if end is None else end):
            with torch.no_grad() if begin is not None and layer < begin else nullcontext():
                hidden = place_tokens(hidden, tokens, layer, self.length)
                if layer == 0:
                    hidden = self.norm_first(hidden)
                if before_layer is not None:
                    hidden = before_layer(layer, hidden)
                if layer == begin:
                    hidden = hidden.detach().requires_grad_()
                hidden = step(layer, hidden)
        return hidden

    @contextmanager
    def capturing(self, passes: list[TowerPass], graph_from: int | None = None) -> Iterator[None]:
        """As in `Backbone.capturing`."""
        token = _CAPTURE.set(_Capture(self, passes, graph_from))
        try:
            yield
        finally:
            _CAPTURE.reset(token)

    @property
    def captures(self) -> bool:
        """Whether this thread's passes are being captured."""
        return self._capture() is not None

    def _capture(self) -> _Capture | None:
        found = _CAPTURE.get()
        return found if found is not None and found.tower is self else None

    def _parts(self, tokens: LayerTokens | None) -> list[BlockParts] | None:
        """Where a new pass leaves its parts, or None where nobody captures."""
        if (capture := self._capture()) is None:
            return None
        tokens = check_tokens(tokens, len(self.blocks), self.width)
        capture.passes.append(TowerPass(tokens, token_layout(tokens, self.length, self.prefix, self.grid), []))
        return capture.passes[-1].blocks

    def _check_place(self, tokens: LayerTokens | None) -> None:
        if tokens is not None and tokens.mode == "replace" and 0 < tokens.start < self.prefix:
            raise InvalidInput(
                "Vectors replace patches of an image tower",
                f"this tower has {self.prefix} tokens before its first patch, and the vectors start at {tokens.start}",
                "Choose an option that inserts them, or another backbone.",
            )

    def _check_pixels(self, pixels: Tensor) -> None:
        expected = (3, *self.image_size)
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != expected:
            raise InvalidInput(
                f"This backbone reads pixels of the shape (batch, {expected[0]}, {expected[1]}, {expected[2]})",
                f"found {tuple(pixels.shape)}",
                "Prepare pictures with the backbone's own preprocess().",
            )

    @abstractmethod
    def embed(self, pixels: Tensor) -> Tensor:
        """Class token, patches and positions: (batch, tokens, width), before any norm."""

    @abstractmethod
    def norm_first(self, hidden: Tensor) -> Tensor:
        """The norm before the first block, where the tower has one."""

    @abstractmethod
    def norm_last(self, hidden: Tensor) -> Tensor:
        """The norm after the last block."""

    @abstractmethod
    def run_block(
        self,
        block: nn.Module,
        x: Tensor,
        mask: Tensor | None,
        capture: list[BlockParts] | None,
        read: int | None = None,
    ) -> Tensor:
        """One block part by part, appended to `capture`; `read`: the output of the first so many tokens only."""

    @abstractmethod
    def project(self, hidden: Tensor) -> Tensor:
        """Into the joint space."""

    @abstractmethod
    def attention_output(self, block: Any) -> AttentionOutput:
        """The projection that writes what attention mixed."""


class TimmTower(ImageTower):
    """The trunk of open_clip's TimmModel, `visual`."""

    def __init__(self, visual: Any) -> None:
        trunk = visual.trunk
        if not isinstance(trunk, TimmViT) or trunk.cls_token is None or trunk.global_pool != "token":
            raise unsupported_tower("image", f"timm's {type(trunk).__name__} without a class token for pooling")
        for block in trunk.blocks:
            if type(block) is not TimmBlock or type(block.attn) is not timm.layers.Attention or block.attn.gate:
                raise unsupported_tower("image", f"timm's {type(block).__name__} with {type(block.attn).__name__}")
        self.visual, self.trunk, self.blocks = visual, trunk, list(trunk.blocks)
        self.width, self.prefix = trunk.embed_dim, trunk.num_prefix_tokens
        self.patch_size = tuple(trunk.patch_embed.patch_size)
        self.image_size = tuple(visual.image_size)
        if not trunk.dynamic_img_size and self.image_size != tuple(trunk.patch_embed.img_size):
            raise InvalidInput(
                f"Pictures of this architecture have {trunk.patch_embed.img_size[0]} pixels a side",
                f"'image_size' in the configuration is {self.image_size[0]} x {self.image_size[1]}",
                "Fetch or copy the backbone again.",
            )

    def embed(self, pixels: Tensor) -> Tensor:
        return self.trunk._pos_embed(self.trunk.patch_embed(pixels))

    def norm_first(self, hidden: Tensor) -> Tensor:
        return self.trunk.norm_pre(hidden)

    def norm_last(self, hidden: Tensor) -> Tensor:
        return self.trunk.fc_norm(self.trunk.norm(hidden))

    def run_block(
        self,
        block: nn.Module,
        x: Tensor,
        mask: Tensor | None,
        capture: list[BlockParts] | None,
        read: int | None = None,
    ) -> Tensor:
        return run_timm_block(block, x, mask, capture, read)

    def project(self, hidden: Tensor) -> Tensor:
        return self.visual.head(self.trunk.head(hidden))

    def attention_output(self, block: Any) -> AttentionOutput:
        return _attention_output(block.attn.proj, block.ls1)


class OpenClipTower(ImageTower):
    """open_clip's own vision transformer."""

    prefix = 1

    def __init__(self, visual: Any) -> None:
        if visual.attn_pool is not None or visual.pool_type != "tok":
            raise unsupported_tower("image", "a tower that does not pool by its class token")
        check_open_clip_blocks("image", visual.transformer.resblocks)
        self.visual, self.blocks = visual, list(visual.transformer.resblocks)
        self.width = visual.conv1.out_channels
        self.patch_size, self.image_size = tuple(visual.patch_size), tuple(visual.image_size)

    def embed(self, pixels: Tensor) -> Tensor:
        patches = self.visual.conv1(pixels).flatten(2).transpose(1, 2)
        class_token = self.visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        return self.visual.positional_embedding.to(patches.dtype) + torch.cat([class_token, patches], dim=1)

    def norm_first(self, hidden: Tensor) -> Tensor:
        return self.visual.ln_pre(hidden)

    def norm_last(self, hidden: Tensor) -> Tensor:
        return self.visual.ln_post(hidden)

    def run_block(
        self,
        block: nn.Module,
        x: Tensor,
        mask: Tensor | None,
        capture: list[BlockParts] | None,
        read: int | None = None,
    ) -> Tensor:
        if capture is not None:
            return capture_open_clip_block(block, x, mask, capture, read)
        return run_open_clip_block(block, x, mask, read=read)

    def project(self, hidden: Tensor) -> Tensor:
        return hidden if self.visual.proj is None else hidden @ self.visual.proj

    def attention_output(self, block: Any) -> AttentionOutput:
        return _attention_output(block.attn.out_proj, block.ls_1)


def _attention_output(projection: Any, scale: Any) -> AttentionOutput:
    weight = projection.weight
    bias = weight.new_zeros(len(weight)) if projection.bias is None else projection.bias
    gamma = getattr(scale, "gamma", None)
    return AttentionOutput(weight, bias, weight.new_ones(len(weight)) if gamma is None else gamma)


def open_image_tower(visual: nn.Module) -> ImageTower:
    """The tower around an open_clip model's `visual`. Raises InvalidInput for a kind that cannot be opened."""
    if isinstance(visual, TimmModel):
        return TimmTower(visual)
    if isinstance(visual, OpenClipViT):
        return OpenClipTower(visual)
    raise unsupported_tower("image", f"an open_clip {type(visual).__name__}")


def check_open_clip_blocks(kind: str, blocks: Iterable[Any]) -> None:
    """Raise InvalidInput unless all are open_clip's standard residual blocks, batch first."""
    for block in blocks:
        if type(block) is not ResidualAttentionBlock or not block.attn.batch_first:
            raise unsupported_tower(kind, f"blocks of the type {type(block).__name__}")


def unsupported_tower(kind: str, found: str) -> InvalidInput:
    """The error for a tower that visual or text prompts cannot enter."""
    expected = {
        "image": "The image tower must be a standard vision transformer with a class token",
        "text": "The text tower must be a BERT or open_clip's causal transformer that pools at the end token",
    }[kind]
    return InvalidInput(expected, f"found {found}", "Choose another backbone.")
