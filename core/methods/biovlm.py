"""BioVLM: a bank of learned prompts of which each image uses its surest half, taught by described attributes.

Paper: BioVLM: Routing Prompts, Not Parameters, for Cross-Modality Generalization in Biomedical VLMs, Findings of ACL
2026.
Official code: mainaksingha01/BioVLM, commit 53e34dd (no licence file); written from the specification.

Differences. The public code stops at its first step (a result is read before it is computed): the same routing is used
here in training as in its test. Its entropy terms are rebuilt from plain numbers and never reach the gradient
("entropy_gradient"); it adds positions twice to the fixed words ("double_embedding") and compares texts over classes
instead of features ("similarity_over"): variant "reference" does all three, the default none. It orders attributes by
file, not by class, and normalises with the statistics of another model; here classes are never permuted and the
backbone's own statistics hold. Its colour jitter works on normalised values, where it blackens every pixel below the
mean; here it is drawn before normalising, its four changes in one order where the code shuffles them, and the blur of
the strong view has one width where the code draws it. Its ten attributes are our descriptions, as many as the class
with the fewest has. As published, the strong and the weak view change the crop that the step itself sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.tuning.class_texts import LearnedWords
from core.tuning.contract import Batch, PromptConfig, Task, augmentation_option
from core.tuning.losses import divergence
from core.tuning.option import option
from core.tuning.text_context import RANDOM_STD, TextContext


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of BioVLM."""

    context_length: int = option(4, "Learned tokens in each prompt.", unit="tokens", bounds=(1, 64))
    prompts: int = option(10, "Prompts in the bank; each image uses half of them.", bounds=(2, 64))
    entropy_weight: float = option(0.5, "Weight of each entropy term.", bounds=(0.0, 1000.0))
    distillation_weight: float = option(1.0, "Weight of the two distances to the attributes' scores.", bounds=(0, 1000))
    similarity_weight: float = option(
        0.5, "Weight of the distance between learned and attribute texts.", bounds=(0.0, 1000.0)
    )
    entropy_gradient: bool = option(
        True, "The entropy of the learned prompts is trained, not only added to the printed loss.", advanced=True
    )
    double_embedding: bool = option(
        False, "The fixed words pass the text tower's embedding block twice.", advanced=True
    )
    similarity_over: str = option(
        "features",
        "What the cosine of learned and attribute texts runs over: features, or (by mistake) classes.",
        choices=("features", "classes"),
        advanced=True,
    )
    epochs: int = option(50, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    augmentation: str = augmentation_option("crop_flip")


class BioVLM(LearnedWords):
    """Cross-entropy, entropies, two distillations and a text similarity; scores are means over the surest prompts."""

    title = "BioVLM"
    summary = "Learns ten prompts and lets each image use the five that are surest about it, guided by descriptions."
    paper = "BioVLM: Routing Prompts, Not Parameters, for Cross-Modality Generalization in Biomedical VLMs. ACL 2026."
    code = "mainaksingha01/BioVLM, commit 53e34dd"
    licence = "none"
    trains = "a bank of context words"
    needs = frozenset({"template", "descriptions"})
    extra_views: ClassVar = {"strong": "strong", "weak": "weak"}
    variants: ClassVar = {
        "reference": {"entropy_gradient": False, "double_embedding": True, "similarity_over": "classes"}
    }

    _attributes: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        self.context = TextContext(
            task.backbone,
            task.classes,
            # what stands before the name gives way to the learned tokens
            "{}" + config.template.split("{}", 1)[1],
            n=config.context_length,
            random=True,
            embedded_twice=config.double_embedding,
        )
        shape = (config.prompts, 1, config.context_length, task.backbone.text_width)
        start = torch.randn(shape, generator=task.generator()) * RANDOM_STD
        self.context.vectors = nn.Parameter(start.to(task.backbone.device))
        self.register_buffer("_attributes", task.description_bank().transpose(0, 1), persistent=False)

    def prompt_features(self) -> Tensor:
        """Unit-norm features (prompts, classes, joint_width) of the bank."""
        return self.context.features(dropout=self.drops_text)

    def logits(self, features: Tensor) -> Tensor:
        return surest(self._scores(features, self.prompt_features())).mean(dim=0)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        images, texts = self.image_features(batch), self.prompt_features()
        learned = surest(self._scores(images, texts))
        described = surest(self._scores(images, self._attributes))
        others = [self._scores(batch.views[name], self._attributes) for name in self.extra_views]
        augmented = surest(torch.cat(others))
        final = learned.mean(dim=0)
        distance = divergence(final, described.mean(dim=0)) + divergence(final, augmented.mean(dim=0))
        kept = learned if self.config.entropy_gradient else learned.detach()
        entropies = entropy_of_mean(kept) + entropy_of_mean(described) + entropy_of_mean(augmented)
        pairs = torch.arange(len(texts), device=texts.device) % len(self._attributes)
        axis = -1 if self.config.similarity_over == "features" else 1
        similarity = functional.cosine_similarity(texts, self._attributes[pairs], dim=axis).mean()
        return {
            "cross_entropy": functional.cross_entropy(final, batch.labels),
            "entropy": self.config.entropy_weight * entropies,
            "distillation": self.config.distillation_weight * distance / len(texts),
            "similarity": self.config.similarity_weight * (1 - similarity),
        }

    def _scores(self, images: Tensor, texts: Tensor) -> Tensor:
        """Scaled cosines (prompts, batch, classes)."""
        return self.backbone.logit_scale * torch.einsum("bd,mcd->mbc", images, texts)


def surest(scores: Tensor) -> Tensor:
    """Of (prompts, batch, classes) scores the half with the least entropy, image by image: (half, batch, classes)."""
    entropy = -(scores.softmax(dim=-1) * scores.log_softmax(dim=-1)).sum(dim=-1)
    kept = entropy.argsort(dim=0, stable=True)[: max(1, len(scores) // 2)]
    return scores.gather(0, kept[..., None].expand(-1, -1, scores.shape[-1]))


def entropy_of_mean(scores: Tensor) -> Tensor:
    """Mean over the batch of the entropy, in nats, of the mean distribution over (prompts, batch, classes) scores."""
    mean = scores.softmax(dim=-1).mean(dim=0)
    return -(mean * mean.clamp_min(torch.finfo(mean.dtype).tiny).log()).sum(dim=-1).mean()
