"""Small classifiers to explain: a fixed head on any tower, and a tower that can see exactly one thing."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from core.backbones.contract import Backbone, ImageAttention, LayerTokens, Preprocessing
from core.backbones.placement import token_layout
from core.backbones.tower_pass import BlockParts, TowerPass
from core.descriptions.description_set import DescriptionSet
from core.tuning.classifier import Classifier
from core.tuning.contract import Method, MethodConfig, Task

CLASSES = ("dark", "bright")


def preprocess(image, recipe):
    square = image.convert("RGB").resize((recipe.size, recipe.size), Image.Resampling.BILINEAR)
    return (torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255 - recipe.mean[0]) / recipe.std[0]


class Head(Method):
    """A fixed linear head, with zero vectors in the tower if asked for."""

    title, summary, paper, trains = "Head", "", "", "nothing"
    Config = MethodConfig

    def __init__(self, backbone: Backbone, weight: torch.Tensor, vectors: int = 0, mode: str = "replace") -> None:
        sentences = {name: (f"a {name} picture.",) for name in CLASSES}
        super().__init__(MethodConfig(), Task(backbone, CLASSES, DescriptionSet(sentences, "test")))
        self.weight, self.vectors, self.mode = nn.Parameter(weight), vectors, mode

    def visual_tokens(self):
        if not self.vectors:
            return None
        tower = self.backbone
        return LayerTokens.zeros(self.vectors, tower.image_width, tower.image_layers, self.mode)

    def class_features(self):
        return functional.normalize(self.weight, dim=-1)


def head_classifier(backbone: Backbone, vectors: int = 0, mode: str = "replace") -> Classifier:
    """A classifier with a random head on the backbone."""
    weight = torch.randn(len(CLASSES), backbone.joint_width, generator=torch.Generator().manual_seed(1))
    return Classifier(Head(backbone, weight, vectors, mode), {"temperature": 2.0}, Path("model"))


# a tower that can see exactly one thing -------------------------------------------------------------------------


class PlainBlock(nn.Module):
    """Uniform attention on top of the residual path, with a norm that maps can read."""

    def __init__(self, mix: float) -> None:
        super().__init__()
        self.norm1 = nn.Identity()
        self.mix = nn.Parameter(torch.tensor([mix, 0.5]))

    def forward(self, hidden):
        return hidden + self.norm1(hidden).mean(dim=1, keepdim=True) * self.mix


class BrightSpotBackbone(Backbone):
    """64 px, 8 x 8 patches of width 2: (what exceeds half brightness, brightness). The feature is the class token."""

    name, checksum, precision, text_kind = "bright-spot", "1" * 64, "fp32", "bert"
    image_width = joint_width = text_width = 2
    image_layers, text_layers, patch_grid, context_length, logit_scale = 2, 0, (8, 8), 16, 1.0
    passes, graph_from = None, None

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.preprocessing = Preprocessing(64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        # The first block mixes little: what it spreads over all patches no map could bring back to one.
        self.blocks = nn.ModuleList([PlainBlock(0.1), PlainBlock(1.0)]).eval().requires_grad_(False)

    def preprocess(self, image):
        return preprocess(image, self.preprocessing)

    def image_tokens(self, pixels, tokens=None, before_layer=None, attention_mask=None, attention=None):
        brightness = functional.avg_pool2d(pixels.mean(dim=1, keepdim=True), 8).flatten(1)
        patches = torch.stack([functional.relu(brightness - 0.5), brightness], dim=-1)
        hidden = torch.cat([torch.zeros(len(pixels), 1, 2), patches], dim=1)
        if self.passes is not None:
            self.passes.append(TowerPass(tokens, token_layout(tokens, 65, 1, (8, 8)), []))
        for layer in range(len(self.blocks)):
            if tokens is not None:
                width = tokens.n
                lead = hidden[:, : tokens.start]
                rest = tokens.start + (0 if tokens.mode == "insert" and layer == 0 else width)
                zeros = tokens.vectors[layer].expand(len(pixels), -1, -1)
                hidden = torch.cat([lead, zeros, hidden[:, rest:]], dim=1)
            if layer == self.graph_from:
                hidden = hidden.detach().requires_grad_()
            hidden = self.open_block(layer, hidden, self.passes and self.passes[-1]).leaves
            if attention is not None:
                attention.append(torch.full((len(pixels), 1, *2 * (hidden.shape[1],)), 1 / hidden.shape[1]))
        return hidden

    def open_block(self, layer, hidden, taken=None):
        """Every token attends to all alike; the values are the patches themselves."""
        block = self.blocks[layer]
        normed, length = block.norm1(hidden), hidden.shape[1]
        weights = torch.full((len(hidden), 1, length, length), 1 / length)
        value = normed[:, None]
        mixed = (weights @ value)[:, 0]
        parts = BlockParts(hidden, normed, value, value, value, weights, mixed, hidden + mixed * block.mix)
        if taken:
            taken.blocks.append(parts)
        return parts

    @contextmanager
    def capturing(self, passes, graph_from=None):
        self.passes, self.graph_from = passes, graph_from
        try:
            yield
        finally:
            self.passes, self.graph_from = None, None

    def with_image_blocks(self, blocks):
        other = copy.copy(self)
        other.blocks = list(blocks)
        return other

    def project_image(self, hidden):
        return hidden

    def encode_images(self, pixels, tokens=None, before_layer=None):
        return self.project_image(self.pool_image(self.image_tokens(pixels, tokens, before_layer)))

    def encode_part(self, pixels, layer, tokens=None):
        raise NotImplementedError("nothing is trained inside this tower")

    def encode_images_frozen(self, pixels, tokens=None):
        with torch.no_grad():
            return self.encode_images(pixels, tokens)

    def pool_image(self, hidden):
        return hidden[:, 0]

    def image_attention(self, pixels, tokens=None):
        weights: list[torch.Tensor] = []
        self.image_tokens(pixels, tokens, attention=weights)
        total, n = weights[0].shape[-1], 0 if tokens is None else tokens.n
        patches = tuple(range(1 + n, total))
        missing = n if n and tokens.mode == "replace" else 0
        return ImageAttention(
            torch.stack(weights), 0, tuple(range(1, 1 + n)), patches, tuple(range(missing, 64)), (8, 8)
        )

    def image_blocks(self):
        return list(self.blocks)

    def _no_text(self, *_, **__):
        raise NotImplementedError("this tower reads no text")

    tokenize = count_tokens = embed_tokens = text_tokens = pool_text = project_text = encode_text = _no_text


class ClosedBackbone(BrightSpotBackbone):
    """The same, but its blocks are not opened."""

    capturing, with_image_blocks = Backbone.capturing, Backbone.with_image_blocks


class SpotHead(Head):
    """Scores the first feature: how much of the picture exceeds half brightness. The feature's length counts."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone, torch.zeros(2, 2))

    @classmethod
    def image_path(cls, config):
        return "trained"

    def encode_images(self, pixels):
        return self.backbone.encode_images(pixels)

    def logits(self, features):
        score = features[:, 0]
        return torch.stack([1.0 - 200 * score, 200 * score - 1.0], dim=1)


def spot_picture(row: int = 5, column: int = 2) -> Image.Image:
    """Dim texture with one bright patch of 8 x 8 px at a grid cell."""
    values = np.random.default_rng(0).integers(0, 110, size=(64, 64), dtype=np.uint8)
    values[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 250
    return Image.fromarray(values).convert("RGB")
