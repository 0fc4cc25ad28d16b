"""One adapter from any open_clip dual encoder to the backbone contract."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Self

import torch
from open_clip.transform import image_transform
from PIL import Image
from torch import Tensor, nn

from core.backbones.contract import (
    Backbone,
    BeforeLayer,
    ImageAttention,
    LayerTokens,
    PartlyEncoded,
    Preprocessing,
    Tokens,
)
from core.backbones.image_tower import open_image_tower
from core.backbones.low_precision import can_pack, shorten
from core.backbones.text_company import text_company
from core.backbones.text_tower import open_text_tower
from core.backbones.tokenizer import Tokenizer
from core.backbones.tower_pass import AttentionOutput, BlockParts, TowerPass
from core.backbones.weight_places import Added, Matrix, place_added, tower_matrices

AUTOCAST_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
TEXTS_AT_ONCE = 128  # keeps memory flat for thousands of sentences; each chunk is cut to its own longest text


class OpenClipBackbone(Backbone):
    """An open_clip model, frozen and opened up.

    Image towers: timm's vision transformer and open_clip's. Text towers: BERT and open_clip's causal transformer.
    Raises InvalidInput for any other tower.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        preprocessing: Preprocessing,
        *,
        name: str,
        checksum: str,
        device: torch.device,
        precision: str = "fp32",
        known_classes: tuple[str, ...] = (),
    ) -> None:
        self.known_classes = known_classes
        self._fast = ContextVar("fast", default=False)
        self._shortened: dict[tuple[int, torch.dtype], list[nn.Module]] = {}
        self._owns_weights = False
        self.model = model.to(device).eval().requires_grad_(False)
        self.image_tower, self.text_tower = open_image_tower(self.model.visual), open_text_tower(self.model)
        self.name, self.checksum, self.device, self.precision = name, checksum, device, precision
        self.preprocessing, self.tokenizer = preprocessing, tokenizer
        self.image_width, self.image_layers = self.image_tower.width, len(self.image_tower.blocks)
        self.text_width, self.text_layers = self.text_tower.width, len(self.text_tower.blocks)
        self.text_kind, self.patch_grid = self.text_tower.kind, self.image_tower.grid
        self.context_length = min(tokenizer.context_length, self.text_tower.positions)
        self.logit_scale = float(self.model.logit_scale.exp())
        with torch.no_grad():
            self.joint_width = self.project_image(torch.zeros(1, self.image_width, device=device)).shape[-1]
        self._transform = image_transform(
            preprocessing.size,
            is_train=False,
            mean=preprocessing.mean,
            std=preprocessing.std,
            resize_mode=preprocessing.resize,
            interpolation=preprocessing.interpolation,
        )

    # pictures ---------------------------------------------------------------------------------------------------

    def preprocess(self, image: Image.Image) -> Tensor:
        return self._transform(image.convert("RGB"))

    def image_tokens(
        self,
        pixels: Tensor | PartlyEncoded,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
        attention_mask: Tensor | None = None,
        attention: list[Tensor] | None = None,
    ) -> Tensor:
        """As in the contract. With a mask or captured weights the blocks run part by part: hooks on a block's norms
        fire, hooks on the block itself do not."""
        pixels = pixels.to(self.device) if isinstance(pixels, Tensor) else pixels
        return self.image_tower.run(pixels, tokens, before_layer, attention_mask, attention)

    def pool_image(self, hidden: Tensor) -> Tensor:
        return hidden[:, 0]

    def project_image(self, hidden: Tensor) -> Tensor:
        return self.image_tower.project(hidden)

    def encode_images(
        self,
        pixels: Tensor | PartlyEncoded,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
    ) -> Tensor:
        tower = self.image_tower
        captured = tower.captures
        fast = self._fast.get() and not captured
        if isinstance(pixels, Tensor):
            pixels = pixels.to(self.device)
            if not (fast or captured):
                return self.project_image(self.pool_image(self.image_tokens(pixels, tokens, before_layer)))
        dtype = self._short_type() if fast else None
        with self._autocast(dtype):
            pooled = tower.features(pixels, tokens, before_layer, self._blocks(tower.blocks, dtype))
            return self.project_image(pooled).float()

    def encode_image_tokens(self, pixels: Tensor | PartlyEncoded, tokens: LayerTokens | None = None) -> Tensor:
        tower = self.image_tower
        dtype = self._short_type() if self._fast.get() and not tower.captures else None
        if isinstance(pixels, Tensor):
            pixels = pixels.to(self.device)
        with self._autocast(dtype):
            return self.project_image(tower.states(pixels, tokens, None, self._blocks(tower.blocks, dtype))).float()

    def encode_part(self, pixels: Tensor, layer: int, tokens: LayerTokens | None = None) -> PartlyEncoded:
        dtype = AUTOCAST_TYPES.get(self.precision)
        # not in inference mode: what comes out takes part in later passes with gradients
        with torch.no_grad(), self._autocast(dtype):
            blocks = self._blocks(self.image_tower.blocks, dtype)
            found = self.image_tower.part(pixels.to(self.device), layer, tokens, blocks)
        return PartlyEncoded(found.hidden.float(), layer)

    def encode_images_frozen(self, pixels: Tensor, tokens: LayerTokens | None = None) -> Tensor:
        """Image features (batch, joint_width), float32, without gradient, in the backbone's precision."""
        with torch.inference_mode(), self.fast_passes():
            features = self.encode_images(pixels, tokens)
        return features.clone()

    @contextmanager
    def fast_passes(self) -> Iterator[None]:
        token = self._fast.set(True)
        try:
            yield
        finally:
            self._fast.reset(token)

    def _short_type(self) -> torch.dtype | None:
        """The type of matrix products in fast passes, or None for float32.

        Gradients in fp16 would need their loss scaled, so with that precision they are computed in float32.
        """
        dtype = AUTOCAST_TYPES.get(self.precision)
        return None if dtype == torch.float16 and torch.is_grad_enabled() else dtype

    def _autocast(self, dtype: torch.dtype | None) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)

    def _blocks(self, blocks: list[nn.Module], dtype: torch.dtype | None) -> list[nn.Module]:
        """The blocks in that type; a shortened copy is made once, that of the text tower packed for few tokens."""
        if dtype is None or self._owns_weights:
            return blocks
        key = (id(blocks), dtype)
        if key not in self._shortened:
            # parameters that are born in inference mode could not take part in a later pass with gradients
            with torch.inference_mode(False), torch.no_grad():
                packed = blocks is self.text_tower.blocks and can_pack(dtype, self.device)
                self._shortened[key] = shorten(blocks, dtype, packed)
        return self._shortened[key]

    def image_attention(self, pixels: Tensor, tokens: LayerTokens | None = None) -> ImageAttention:
        """As in the contract, in float32. Where tokens enter after layer 0, they look at themselves alone before."""
        passes: list[TowerPass] = []
        with torch.inference_mode(), self.capturing(passes):
            self.image_tokens(pixels, tokens)
        return replace(passes[0].attention, weights=passes[0].attention.weights.clone())

    @contextmanager
    def capturing(self, passes: list[TowerPass], graph_from: int | None = None) -> Iterator[None]:
        with self.image_tower.capturing(passes, graph_from):
            yield

    def open_block(self, layer: int, hidden: Tensor) -> BlockParts:
        parts: list[BlockParts] = []
        self.image_tower.run_block(self.image_tower.blocks[layer], hidden, None, parts)
        return parts[0]

    def read_out(self, hidden: Tensor) -> Tensor:
        return self.project_image(self.pool_image(self.image_tower.norm_last(hidden)))

    def attention_output(self, layer: int) -> AttentionOutput:
        return self.image_tower.attention_output(self.image_tower.blocks[layer])

    def image_blocks(self) -> Sequence[nn.Module]:
        return self.image_tower.blocks

    def with_image_blocks(self, blocks: Sequence[nn.Module]) -> Self:
        other = copy.copy(self)
        other.image_tower = copy.copy(self.image_tower)
        other.image_tower.blocks = list(blocks)
        other._shortened = {}  # copies in another precision are of the blocks
        return other

    def with_own_weights(self) -> Self:
        other = copy.copy(self)
        shared = {id(tensor): tensor for tensor in (*self.model.parameters(), *self.model.buffers())}
        other.model = copy.deepcopy(self.model, shared)
        other.image_tower, other.text_tower = open_image_tower(other.model.visual), open_text_tower(other.model)
        other._owns_weights = True
        return other

    def matrices(self) -> list[Matrix]:
        image, text = self.image_tower.blocks, self.text_tower.blocks
        return [*tower_matrices("image", image), *tower_matrices("text", text)]

    def named_weights(self) -> dict[str, tuple[nn.Module, str, nn.Parameter]]:
        return {
            f"{name}.{attribute}" if name else attribute: (module, attribute, parameter)
            for name, module in self.model.named_modules()
            for attribute, parameter in module.named_parameters(recurse=False)
            if attribute not in ("logit_scale", "logit_bias")
        }

    def text_blocks(self) -> Sequence[nn.Module]:
        return self.text_tower.blocks

    def add_to_products(self, added: Mapping[str, Added]) -> None:
        self.image_tower.part_by_part = bool(added)
        place_added(self.matrices(), added)

    # texts ------------------------------------------------------------------------------------------------------

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """As in the contract. Raises InvalidInput for a text longer than `context_length`: nothing is cut off."""
        found = self.tokenizer(texts)
        return Tokens(found.ids.to(self.device), found.mask.to(self.device))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, start and end included; may exceed `context_length`."""
        return self.tokenizer.count(texts)

    def embed_tokens(self, ids: Tensor) -> Tensor:
        return self.text_tower.words(ids.to(self.device))

    def text_tokens(
        self,
        embeds: Tensor,
        mask: Tensor,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
        attention_mask: Tensor | None = None,
        dropout: bool = False,
    ) -> Tensor:
        """As in the contract; `attention_mask` is that of the widened sequence. Pool with `text_pool_mask`."""
        return self.text_tower.run(embeds, mask, tokens, before_layer, attention_mask, dropout)

    def text_pool_mask(self, mask: Tensor, tokens: LayerTokens | None) -> Tensor:
        """The mask that `pool_text` needs after `tokens` went into the sequence."""
        return self.text_tower.pool_mask(mask, tokens)

    def pool_text(self, hidden: Tensor, mask: Tensor) -> Tensor:
        return self.text_tower.pool(hidden, mask)

    def project_text(self, hidden: Tensor) -> Tensor:
        return self.text_tower.project(hidden)

    def encode_text(
        self,
        embeds: Tensor,
        mask: Tensor,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
        dropout: bool = False,
    ) -> Tensor:
        dtype, tower = self._short_type() if self._fast.get() else None, self.text_tower
        company = text_company()
        if company is not None and tokens is None and before_layer is None and not dropout:
            return company.encode(lambda e, m: self._text_features(e, m, dtype), (id(self), dtype), embeds, mask)
        if tokens is None and before_layer is None:
            return self._text_features(embeds, mask, dtype, dropout)
        with self._autocast(dtype):
            blocks = self._blocks(tower.blocks, dtype)
            hidden = tower.run(embeds, mask, tokens, before_layer, dropout=dropout, blocks=blocks)
            return self.project_text(tower.pool(hidden, tower.pool_mask(mask, tokens))).float()

    def _text_features(self, embeds: Tensor, mask: Tensor, dtype: torch.dtype | None, dropout: bool = False) -> Tensor:
        """Features of plain prompts on the shortest way. dtype: of matrix products, None for float32."""
        tower = self.text_tower
        with self._autocast(dtype):
            return self.project_text(tower.features(embeds, mask, self._blocks(tower.blocks, dtype), dropout)).float()

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        chunks = [texts[start : start + TEXTS_AT_ONCE] for start in range(0, len(texts), TEXTS_AT_ONCE)]
        return torch.cat([super(OpenClipBackbone, self).encode_texts(chunk) for chunk in chunks or [texts]])
