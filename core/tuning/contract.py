"""What a method is: its options, its learned tensors, its loss, and the few hooks the one loop offers."""

from __future__ import annotations

import copy
import inspect
import sys
from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.contract import Backbone, LayerTokens, PartlyEncoded, PictureReader
from core.backbones.image_encoder import ImageEncoder
from core.descriptions.description_set import DescriptionSet
from core.tuning.config import (
    EPOCH_RULES,
    SCHEDULES,
    ImagePath,
    LoopConfig,
    MethodConfig,
    PromptConfig,
    augmentation_option,
    steps_per_epoch,
)
from core.tuning.feature_store import FeatureStore
from core.tuning.features import text_features
from core.tuning.training_data import Batch, TrainingData, epoch_generator

__all__ = [
    "EPOCH_RULES",
    "SCHEDULES",
    "Batch",
    "Choice",
    "ImagePath",
    "LoopConfig",
    "Method",
    "MethodConfig",
    "PromptConfig",
    "Starter",
    "Task",
    "TrainingData",
    "augmentation_option",
    "steps_per_epoch",
]
"""All that a method file needs of the engine's rules."""


@dataclass(frozen=True)
class Starter:
    """That a method is offered before the others: its place among these, from 1, and a word for it."""

    place: int
    label: str


@dataclass(frozen=True)
class Choice:
    """Something of a model that is chosen on validation images, in a few words.

    inside_shots: without such images it is chosen by cross-fitting inside the shots, where each class has two; else it
    stays at its default.
    """

    what: str
    inside_shots: bool = False


@dataclass(frozen=True)
class Task:
    """What a method is built for.

    classes: names in label order. descriptions: sentences per class, always given (written by people or a model, or
    made from templates). hidden_states: class -> (layers, width) of a language model, where a method needs them.
    encoder: a second image encoder, where the options name one.
    """

    backbone: Backbone
    classes: tuple[str, ...]
    descriptions: DescriptionSet
    modality: str | None = None
    seed: int = 1
    hidden_states: Mapping[str, Tensor] = field(default_factory=dict)
    store: FeatureStore | None = None
    encoder: ImageEncoder | None = None

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Unit-norm features (texts, joint_width) of frozen texts, from the store where they are known."""
        return text_features(self.backbone, texts, self.store)

    def template_features(self, template: str) -> Tensor:
        """Unit-norm features (classes, joint_width) of one sentence per class."""
        return self.text_features([template.format(name) for name in self.classes])

    def template_norms(self, template: str) -> Tensor:
        """Lengths (classes, 1) of these features as the text tower gives them, before they are brought to unit norm."""
        texts = [template.format(name) for name in self.classes]
        return self.backbone.encode_texts(texts).float().norm(dim=-1, keepdim=True)

    def description_features(self) -> list[Tensor]:
        """For each class the unit-norm features (its sentences, joint_width) of its descriptions."""
        groups = [self.descriptions.sentences[name] for name in self.classes]
        found = self.text_features([text for group in groups for text in group])
        return list(found.split([len(group) for group in groups]))

    def description_bank(self) -> Tensor:
        """Unit-norm features (classes, sentences, joint_width): as many of each class as the one with the fewest has.

        For methods that hold sentence i of one class against sentence i of the others.
        """
        found = self.description_features()
        fewest = min(len(features) for features in found)
        return torch.stack([features[:fewest] for features in found])

    def description_anchors(self) -> Tensor:
        """Unit-norm mean (classes, joint_width) of the unit-norm features of each class's descriptions."""
        means = torch.stack([features.mean(dim=0) for features in self.description_features()])
        return functional.normalize(means, dim=-1)

    def generator(self, part: str = "") -> torch.Generator:
        """Randomness for initial values. part: what is begun, where it must not depend on what was drawn before it."""
        return epoch_generator(self.seed, 0, part) if part else torch.Generator().manual_seed(self.seed)

    @contextmanager
    def initial_values(self) -> Iterator[None]:
        """Modules built inside start from the task's seed; the global generator is put back afterwards."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            yield


class Method(nn.Module, ABC):
    """One way of tuning a frozen dual encoder. A subclass lives alone in `core/methods/<name>.py`.

    Parameters and persistent buffers of the module are what is learned and saved; frozen teachers are
    non-persistent buffers, rebuilt from the task. The backbone is not a submodule.
    """

    # what a subclass declares ------------------------------------------------------------------------------------

    title: ClassVar[str]
    """Name as written in papers, such as "Tip-Adapter-F"."""
    summary: ClassVar[str]
    """One plain line for a clinician."""
    paper: ClassVar[str]
    """Authors, title, venue, year."""
    code: ClassVar[str] = ""
    """Official code and commit; empty where none exists."""
    licence: ClassVar[str] = ""
    """Licence of the official code; ours is written from the specification."""
    trains: ClassVar[str]
    """What is learned, in a few words."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Of: "template", "descriptions", "encoder" (one that stands in the backbone's place and has to be named)."""
    starts_from: ClassVar[str] = ""
    """Architecture of timm, where an encoder is but a start: a saved model holds its weights and needs it no more."""
    extra_views: ClassVar[Mapping[str, str]] = {}
    """Further views a step needs: name -> what is done to the step's own view of the image on top."""
    per_image_text: ClassVar[bool] = False
    """Text features depend on the image, so prediction runs in small chunks."""
    learns_words: ClassVar[bool] = False
    """Words of the class sentences are learned."""
    renames_classes: ClassVar[bool] = False
    """What is learned serves other class names too, as words do; weights or a cache of the training classes do not."""
    trains_by_steps: ClassVar[bool] = True
    """False for closed-form fits: `fit_directly` replaces the loop."""
    trains_a_head: ClassVar[bool] = False
    """Steps train nothing but one vector a class on frozen features: as cheap and simple as a closed form."""
    Config: ClassVar[type[MethodConfig]] = LoopConfig
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Option values of "paper" and "reference" where they differ from the defaults."""
    starter: ClassVar[Starter | None] = None
    """Set for the few methods that people are offered first; the one in place 1 is trained where none is named."""
    reads_unlabelled: ClassVar[bool] = False
    """Learns from pictures without labels beside the shots, which the option "unlabelled" names."""
    fitted: ClassVar[tuple[str, ...]] = ("weight", "bias")
    """Names of what a closed form or a solver finds; the optimiser's part are the parameters."""
    answers_from: ClassVar[str] = ""
    """What an answer is read from, where it is more than the class token of one pass: no map follows it there."""
    is_baseline: ClassVar[bool] = False
    """Nothing is learned: every comparison holds the others against this one. True for one method."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # the dataclass called Config beside a method is its own; without one it has the options of the loop
        cls.Config = getattr(sys.modules[cls.__module__], "Config", cls.Config)

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__()
        self.config, self.task = config, task

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        """frozen: plain tower, cacheable. prompted: constant visual tokens, cacheable. trained: gradients inside."""
        return "frozen"

    @classmethod
    def notes(cls, config: Any) -> list[str]:
        """Sentences that a person reads before a training with these options, and beside its result."""
        return []

    @classmethod
    def choices(cls, config: Any) -> list[Choice]:
        """What is chosen on validation images with these options: those images flatter what is measured on them."""
        return []

    def remarks(self) -> list[str]:
        """Sentences that show only once it has learned."""
        return []

    # forward ----------------------------------------------------------------------------------------------------

    @property
    def backbone(self) -> Backbone:
        """The frozen encoder."""
        return self.task.backbone

    @property
    def reader(self) -> PictureReader:
        """What pictures are read with: the backbone, or an encoder in its place."""
        return self.backbone

    def visual_tokens(self) -> LayerTokens | None:
        """Tokens inside the image tower: constants for "prompted", learned ones for "trained"."""
        return None

    def steady_layers(self) -> int | None:
        """How many image layers, from the first, nothing learned reaches. Asked of the path "trained".

        What enters the next layer is kept for each view, with the constants of `visual_tokens` in the layers before.
        None: the pixels are kept, where something before the first layer is learned or they are read in another way.
        """
        return 0

    def encode_images(self, pixels: Tensor | PartlyEncoded) -> Tensor:
        """Unit-norm image features (batch, joint_width) as this method sees them. Overridden by trained towers."""
        return functional.normalize(self.backbone.encode_images(pixels, self.visual_tokens()), dim=-1)

    def picture_vectors(self, features: Tensor) -> Tensor:
        """One vector an image (batch, width), of any length, by which pictures are called alike or not.

        features: as `encode_images` gives them. Overridden where these are several vectors, or hold something else too.
        """
        return features

    def over(self, backbone: Backbone) -> Self:
        """The same method, sharing what it has learned, over a changed copy of the backbone that it reads with."""
        other = copy.copy(self)
        other.task = replace(self.task, backbone=backbone)
        return other

    def image_features(self, batch: Batch) -> Tensor:
        """Features of a batch: cached ones, or a pass through the tower."""
        if batch.features is not None:
            return batch.features
        assert batch.pixels is not None, "a batch carries features or pixels"
        return self.encode_images(batch.pixels)

    def class_features(self) -> Tensor:
        """Unit-norm text features (classes, joint_width). Not asked of methods whose text depends on the image."""
        raise NotImplementedError(f"{type(self).__name__} has no class features of its own")

    def logits(self, features: Tensor) -> Tensor:
        """Scores (batch, classes) from unit-norm image features: the scaled cosine with the class features."""
        return self.backbone.logit_scale * features @ self.class_features().T

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Named parts of the loss, weights included; the loop adds them up."""
        return {"cross_entropy": functional.cross_entropy(self.logits(self.image_features(batch)), batch.labels)}

    # hooks, each called by the one loop -------------------------------------------------------------------------

    def prepare(self, data: TrainingData) -> None:
        """Once before training: caches, closed-form starting values, teachers that need the training images."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimiser groups; "multiplier" scales the learning rate of a group (warm-up excepted)."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def stage(self, epoch: int) -> tuple[int, int]:
        """First epoch and length of the stage that `epoch` (from 0) belongs to.

        In each stage the learning rate runs its course from the start, with an optimiser that knows nothing yet.
        """
        return 0, self.config.epochs

    def before_epoch(self, epoch: int) -> None:
        """Before epoch `epoch` (from 0): what changes with the stage."""

    def step_passes(self) -> AbstractContextManager[None]:
        """Around the loss of a step: the fast precision. Overridden where a loss compares what rounding would hide."""
        return self.backbone.fast_passes()

    def backward(self, terms: dict[str, Tensor]) -> None:
        """Write gradients. Overridden where they are not those of the plain sum (gradient projection)."""
        torch.stack(list(terms.values())).sum().backward()

    def after_epoch(self, epoch: int) -> None:
        """After epoch `epoch`: weight averaging."""

    def after_training(self) -> None:
        """Once after the last epoch."""

    def fit_directly(self, data: TrainingData) -> None:
        """Closed-form fit, for methods with trains_by_steps False."""

    def tune(self, data: TrainingData) -> None:
        """Choose what is chosen on validation images (`data.validation`), never on test images."""

    # saving -----------------------------------------------------------------------------------------------------

    def learned_numbers(self) -> int:
        """How many numbers were learned: parameters that are trained, and what was fitted without steps."""
        trained = sum(p.numel() for p in self.parameters() if p.requires_grad)
        if self.trains_by_steps:
            return trained
        return trained + sum(value.numel() for name, value in self.named_buffers() if name in self.fitted)

    def learned_state(self) -> dict[str, Tensor]:
        """What is saved: parameters and persistent buffers."""
        return {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}

    def load_learned_state(self, state: Mapping[str, Tensor]) -> None:
        """Take saved tensors. Overridden where shapes depend on the training images (caches)."""
        self.load_state_dict(dict(state))

    def can_rename_classes(self) -> bool:
        """Whether what was learned with these options serves other class names."""
        return self.renames_classes

    def take_learned_from(self, other: Self) -> None:
        """Take what another of this kind, built for other class names, has learned."""
        self.load_learned_state(other.state_dict())

    @classmethod
    def saved_hidden_states(cls, classes: Sequence[str], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`Task.hidden_states` as kept among saved tensors: a loaded model needs no language model."""
        return {}

    def training_state(self) -> dict[str, Tensor]:
        """Further tensors that an unfinished training needs after a crash: running averages, best so far."""
        return {}

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `training_state` gave."""

    @classmethod
    def card(cls) -> dict[str, Any]:
        """The method's line in lists: name, title, summary, paper, code, licence, needs, trains, image_path and more.

        is_simple: it learns a head on frozen features of its shots and no more, so a method that does more has to beat
        it. starter is the label it is offered under and starter_place its place there, from 1; both None for most.
        """
        return {
            "name": cls.__module__.rsplit(".", 1)[-1],
            "title": cls.title,
            "summary": cls.summary,
            "paper": cls.paper,
            "code": cls.code,
            "licence": cls.licence,
            "needs": sorted(cls.needs),
            "trains": cls.trains,
            "image_path": cls.image_path(cls.Config()),
            "learns_words": cls.learns_words,
            "per_image_text": cls.per_image_text,
            "variants": sorted({"default", *cls.variants}),
            "starter": cls.starter.label if cls.starter else None,
            "starter_place": cls.starter.place if cls.starter else None,
            "is_baseline": cls.is_baseline,
            "reads_unlabelled": cls.reads_unlabelled,
            "is_simple": (cls.trains_a_head or not cls.trains_by_steps)
            and not cls.is_baseline
            and not cls.reads_unlabelled,
            "notes": inspect.getdoc(inspect.getmodule(cls)) or "",
        }
