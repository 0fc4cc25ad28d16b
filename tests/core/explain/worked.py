"""A tower of width 3 whose every number can be worked out by hand, in timm's form and in open_clip's.

Two equal blocks of one head without a second part; two patches of one pixel each, read from one colour channel each.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import torch
from open_clip.transformer import VisionTransformer as OpenClipViT
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torch import nn
from torch.nn import functional

from core.backbones.image_tower import OpenClipTower, TimmTower

QUERY = torch.eye(3)
KEY = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
VALUE = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
POSITIONS = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.5, 0.0, 1.0]])
TEXTS = torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.6, 0.8]])
PIXELS = torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]], [[0.0, 0.0]]]])
NORM = partial(nn.LayerNorm, eps=1e-6)


class WorkedBackbone:
    """What an experiment asks of a backbone, around such a tower."""

    name, device = "worked", torch.device("cpu")

    def __init__(self, kind: str) -> None:
        self.image_tower = timm_tower() if kind == "timm" else open_clip_tower()
        self.image_layers, self.image_width, self.patch_grid = 2, 3, (1, 2)

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        return 10 * functional.normalize(features, dim=-1) @ TEXTS.T


def timm_tower() -> TimmTower:
    trunk = TimmViT(
        img_size=(1, 2), patch_size=1, num_classes=0, embed_dim=3, depth=2, num_heads=1, mlp_ratio=1, norm_layer=NORM
    ).eval()
    with torch.no_grad():
        fill_patches(trunk.patch_embed.proj.weight, trunk.patch_embed.proj.bias)
        trunk.cls_token.copy_(torch.tensor([1.0, 0.0, 0.5]))
        trunk.pos_embed.copy_(POSITIONS[None])
        for block in trunk.blocks:
            fill_norm(block.norm1)
            block.attn.qkv.weight.copy_(torch.cat([QUERY, KEY, VALUE]))
            block.attn.qkv.bias.zero_()
            fill_output(block.attn.proj)
            for parameter in block.mlp.parameters():
                parameter.zero_()
    return TimmTower(SimpleNamespace(trunk=trunk, image_size=(1, 2), head=nn.Identity()))


def open_clip_tower() -> OpenClipTower:
    visual = OpenClipViT(
        image_size=(1, 2), patch_size=1, width=3, layers=2, heads=1, mlp_ratio=1, output_dim=3, no_ln_pre=True,
        norm_layer=NORM,
    ).eval()  # fmt: skip
    with torch.no_grad():
        fill_patches(visual.conv1.weight)
        visual.class_embedding.copy_(torch.tensor([1.0, 0.0, 0.5]))
        visual.positional_embedding.copy_(POSITIONS)
        visual.proj.copy_(torch.eye(3))
        for block in visual.transformer.resblocks:
            fill_norm(block.ln_1)
            block.attn.in_proj_weight.copy_(torch.cat([QUERY, KEY, VALUE]))
            block.attn.in_proj_bias.zero_()
            fill_output(block.attn.out_proj)
            for parameter in block.mlp.parameters():
                parameter.zero_()
    return OpenClipTower(visual)


def fill_patches(weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
    weight.zero_()
    weight[:, 0, 0, 0] = torch.tensor([1.0, 2.0, 0.0])
    weight[:, 1, 0, 0] = torch.tensor([0.0, 1.0, -1.0])
    if bias is not None:
        bias.zero_()


def fill_norm(norm: nn.LayerNorm) -> None:
    norm.weight.fill_(1.0)
    norm.bias.copy_(torch.tensor([0.2, 0.0, -0.1]))


def fill_output(linear: nn.Linear) -> None:
    linear.weight.copy_(0.5 * torch.eye(3))
    linear.bias.copy_(torch.tensor([0.0, 0.1, 0.0]))
