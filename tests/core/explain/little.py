"""A tower small enough to compute by hand: width 3, one head, two equal blocks, a class token and two patches.

It is a real timm tower with these numbers in it, so maps of it go the way all maps go.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from open_clip.timm_model import TimmModel
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from core.backbones.contract import LayerTokens, Preprocessing
from core.backbones.open_clip_adapter import OpenClipBackbone
from core.descriptions.description_set import DescriptionSet
from core.tuning.classifier import Classifier
from core.tuning.contract import Method, MethodConfig, Task
from tests.builders import tiny_backbone

CLASSES = ("first", "second")
QUERY = torch.eye(3)
KEY = torch.tensor([[0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]])
VALUE = torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
TEXTS = torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.6, 0.8]])
SCALE, TEMPERATURE = 10.0, 2.0


class Patches(nn.Module):
    """Each patch is its pixel times a vector of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_size = (1, 1)
        self.img_size = (1, 2)
        self.vectors = nn.Parameter(torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]]))

    def forward(self, pixels):
        return pixels.mean(dim=1).flatten(1)[..., None] * self.vectors


def _tower() -> VisionTransformer:
    trunk = VisionTransformer(
        img_size=(1, 2),
        patch_size=1,
        num_classes=0,
        embed_dim=3,
        depth=2,
        num_heads=1,
        mlp_ratio=1,
        global_pool="token",
    )
    trunk.patch_embed = Patches()
    with torch.no_grad():
        trunk.cls_token.copy_(torch.tensor([1.0, 0.0, 0.5]))
        trunk.pos_embed.copy_(torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.5, 0.0, 1.0]]))
        for block in trunk.blocks:
            block.norm1.bias.copy_(torch.tensor([0.2, 0.0, -0.1]))
            block.attn.qkv.weight.copy_(torch.cat([QUERY, KEY, VALUE]))
            block.attn.qkv.bias.zero_()
            block.attn.proj.weight.copy_(0.5 * torch.eye(3))
            block.attn.proj.bias.copy_(torch.tensor([0.0, 0.1, 0.0]))
            for parameter in block.mlp.parameters():
                parameter.zero_()
    return trunk


def little_backbone() -> OpenClipBackbone:
    """The tower behind the contract; its texts are those of another backbone and unused."""
    other = tiny_backbone("timm-bert")
    model = copy.copy(other.model)
    model._modules = dict(other.model._modules)
    visual = TimmModel.__new__(TimmModel)
    nn.Module.__init__(visual)
    visual.image_size, visual.trunk, visual.head = (1, 2), _tower(), nn.Identity()
    model.visual = visual
    backbone = OpenClipBackbone(
        model,
        other.tokenizer,
        Preprocessing(2, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        name="little",
        checksum="2" * 64,
        device=torch.device("cpu"),
    )
    backbone.logit_scale = SCALE
    return backbone


class LittleHead(Method):
    """Two fixed texts, and zero vectors if asked for."""

    title, summary, paper, trains = "Little", "", "", "nothing"
    Config = MethodConfig

    def __init__(self, backbone: OpenClipBackbone, vectors: LayerTokens | None) -> None:
        sentences = {name: (name,) for name in CLASSES}
        super().__init__(MethodConfig(), Task(backbone, CLASSES, DescriptionSet(sentences, "test")))
        self.vectors = vectors

    def visual_tokens(self):
        return self.vectors

    def class_features(self):
        return TEXTS


def little_classifier(vectors: LayerTokens | None = None) -> Classifier:
    """The tower with its two texts and its temperature."""
    return Classifier(LittleHead(little_backbone(), vectors), {"temperature": TEMPERATURE}, Path("little"))


def little_pixels(*values: float) -> torch.Tensor:
    """Model input (1, 3, 1, 2) of two grey pixels."""
    return torch.tensor(values or (1.0, 2.0)).view(1, 1, 1, 2).repeat(1, 3, 1, 1)
