"""DCPL: MaPLe whose words and image feature are shifted by what a second encoder of the domain sees.

Paper: Cao, Xu, Chen, Ma, Yan, Domain-Controlled Prompt Learning, AAAI 2024.
Official code: caoql98/DCPL (no licence file); written from a specification.

Differences. The code is not connected to its own training script and lacks its domain encoder. Here the encoder is any
folder of a known vision model or a backbone's name ("encoder"), read at the size it asks for and averaged over its
places; without one the backbone's own frozen feature stands in, which knows no other domain, and the run says so. The
code adds noise while testing too, so that an answer is random and depends on the other pictures: here while training
only; variant "reference" adds it always, drawn from the run's seed. The noise is scaled by the mean of all values of
the batch's image features, near zero and possibly negative, as in the code. Words are shifted in the first layer alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.contract import PartlyEncoded
from core.tuning.contract import Task, augmentation_option
from core.tuning.coupled_prompts import CoupledConfig, CoupledPrompts
from core.tuning.option import option
from core.tuning.second_encoder import check_same_encoder, checksum_tensor

HIDDEN = 32


@dataclass(frozen=True)
class Config(CoupledConfig):
    """Options of DCPL."""

    encoder: str = option(
        "", "The domain's encoder: a folder of a known vision model, or a backbone's name; empty: the backbone's own."
    )
    noise: str = option(
        "train", "When noise is added to image features.", choices=("train", "always", "never"), advanced=True
    )
    depth: int | None = option(
        None,
        "Layers of both towers that get prompts; empty: 9 of 12, in proportion to the smaller tower.",
        unit="layers",
        bounds=(1, 64),
    )
    visual_mode: str = option(
        "append",
        "The vectors replace the first patches or are appended behind the last.",
        choices=("replace", "append"),
    )
    context_length: int | None = option(
        2, "Learned tokens; empty takes one per word before the class name.", unit="tokens", bounds=(1, 64)
    )
    epochs: int = option(5, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    batch_size: int = option(4, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.0035, "Step size after the first epoch.", bounds=(0.0, 100.0))
    augmentation: str = augmentation_option("crop_flip")


class DCPL(CoupledPrompts):
    """Two small networks turn the domain's vector into a shift of the words and one of the image feature."""

    title = "DCPL"
    summary = "Like MaPLe, with a second encoder of the domain that shifts words and image. The slowest of all."
    paper = "Cao, Xu, Chen, Ma, Yan. Domain-Controlled Prompt Learning. AAAI 2024."
    code = "caoql98/DCPL"
    licence = "none stated"
    trains = "context words, maps from them into the image tower, and two networks that shift words and image feature"
    per_image_text = True
    variants: ClassVar = {"reference": {"noise": "always"}}

    encoder_checksum: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        tower, encoder = task.backbone, task.encoder
        self._width = encoder.width if encoder else tower.joint_width
        with task.initial_values():
            self.meta_net, self.visual_net = (
                nn.Sequential(nn.Linear(self._width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, width)).to(tower.device)
                for width in (tower.text_width, tower.joint_width)
            )
        self.register_buffer("encoder_checksum", checksum_tensor((encoder or tower).checksum, tower.device))

    @classmethod
    def notes(cls, config: Any) -> list[str]:
        if config.encoder:
            return []
        return [
            "No domain encoder was named, so the backbone's own frozen feature stands in; 'encoder' takes a folder of "
            "a known vision model, such as one trained on medical pictures."
        ]

    def steady_layers(self) -> None:
        """The domain's encoder reads the pixels themselves."""

    def domain(self, pixels: Tensor) -> Tensor:
        """What the domain's encoder makes of model input: (batch, width), without gradient."""
        if (encoder := self.task.encoder) is None:
            with torch.no_grad():
                return functional.normalize(self.backbone.encode_images(pixels), dim=-1)
        return encoder.encode(self.backbone.preprocessing.levels(pixels))

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        """Unit-norm image features with the domain's vectors behind them: (batch, joint_width + width)."""
        assert isinstance(pixels, Tensor), "steady_layers asks for pixels"
        domain = self.domain(pixels)
        plain = self.backbone.encode_images(pixels, self.visual_tokens())
        shifted = plain + self.visual_net(domain)
        if self.config.noise == "always" or (self.training and self.config.noise == "train"):
            shifted = shifted + self._noise(plain) * plain.mean()
        return torch.cat([functional.normalize(shifted, dim=-1), domain], dim=-1)

    def _noise(self, features: Tensor) -> Tensor:
        if self.training:
            return torch.randn_like(features)
        return torch.randn(features.shape, generator=self.task.generator("noise")).to(features)

    def picture_vectors(self, features: Tensor) -> Tensor:
        """The image features, without the domain's behind them."""
        return features[:, : -self._width]

    def logits(self, features: Tensor) -> Tensor:
        images, domain = self.picture_vectors(features), features[:, -self._width :]
        words = self.context.vectors + self.meta_net(domain)[:, None, None, :]
        texts = self.context.features(words, dropout=self.drops_text, tokens=self.deep.tokens())
        return self.backbone.logit_scale * torch.einsum("bd,bcd->bc", images, texts)

    def load_learned_state(self, state: Mapping[str, Tensor]) -> None:
        check_same_encoder(state, self.encoder_checksum, "domain encoder")
        super().load_learned_state(state)
