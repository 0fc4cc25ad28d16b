"""A dual encoder that saves nothing: the ground on which the project's own way is measured.

It does what published trainers do at each step: the whole image tower in float32 and every prompt padded to the full
length of the text tower. The methods on top are the project's own, so both ways make the same updates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.contract import BeforeLayer, LayerTokens
from core.backbones.open_clip_adapter import OpenClipBackbone
from core.tuning.contract import Batch, LoopConfig, Method
from core.tuning.data import TensorData

SECOND_IMAGE_PASS = {"biomedcoop"}
"""Methods whose published trainer runs a second, equal image tower at each step."""


class StraightforwardBackbone(OpenClipBackbone):
    """The model of another backbone, always run in full."""

    @classmethod
    def around(cls, backbone: OpenClipBackbone) -> StraightforwardBackbone:
        """The same weights, in float32."""
        return cls(
            backbone.model,
            backbone.tokenizer,
            backbone.preprocessing,
            name=backbone.name,
            checksum=backbone.checksum,
            device=backbone.device,
        )

    @contextmanager
    def fast_passes(self) -> Iterator[None]:
        yield

    def encode_images_frozen(self, pixels: Tensor, tokens: LayerTokens | None = None) -> Tensor:
        with torch.no_grad():
            return self.encode_images(pixels, tokens)

    def encode_text(
        self,
        embeds: Tensor,
        mask: Tensor,
        tokens: LayerTokens | None = None,
        before_layer: BeforeLayer | None = None,
        dropout: bool = False,
    ) -> Tensor:
        missing = self.context_length - embeds.shape[1]
        embeds, mask = functional.pad(embeds, (0, 0, 0, missing)), functional.pad(mask, (0, missing))
        hidden = self.text_tokens(embeds, mask, tokens, before_layer, dropout=dropout)
        return self.project_text(self.pool_text(hidden, self.text_pool_mask(mask, tokens)))


class EveryStep(TensorData):
    """Training data whose image features are computed anew for each batch, as often as the published trainer does."""

    def __init__(self, method: Method, labels: Tensor, batches: list[list[int]], pixels: Tensor) -> None:
        super().__init__(labels, batches, pixels=pixels)
        self._method = method

    def batches(self, epoch: int, config: LoopConfig) -> Iterator[Batch]:
        for batch in super().batches(epoch, config):
            yield self.encoded(batch)

    def encoded(self, batch: Batch) -> Batch:
        """The batch with features in place of pixels, unless the method trains inside the image tower."""
        method, pixels = self._method, batch.pixels
        if method.image_path(method.config) == "trained" or pixels is None:
            return batch
        for _ in range(1 + (method.card()["name"] in SECOND_IMAGE_PASS)):
            found = method.backbone.encode_images_frozen(pixels, method.visual_tokens())
        return Batch(batch.labels, features=functional.normalize(found, dim=-1), index=batch.index)
