"""CILMP: what a language model's layers say of each class, adapted to each image, as words of the class prompt.

Paper: Du, Yu, Wang, Medical Knowledge Intervention Prompt Tuning for Medical Image Classification, IEEE Transactions on
Medical Imaging 44 (12), 2025.
Official code: usr922/cilmp, commit b6db230 (Apache-2.0); hidden states are read as in the re-run LuckyE993/cilmp,
commit e55484d.

Differences. The published backbone is OpenAI's CLIP; here any tower does, with as many sets of tokens and maps as it
has layers (12 there), and causal towers and BERTs get the same sequence: start, context, one vector per layer of the
language model, class name, end. The published code expects a folder of states for each of its data sets; here the model
is asked when training begins, and its states are kept with the trained model. Without a language model the backbone's
own text layers, reading the class's descriptions, stand in: not CILMP as published, and each such run says so.

What the published code loads and never uses (two further encoders, 60 templates, two loss weights) is left out, and so
are frozen weights in the average. The code averages its tokens over the epochs, of which the paper says nothing
(variant "paper": off), and skips interventions and projections, 98 % of what is trained; "gpa" = all takes them in. Its
subspaces are orthogonal at the start only (the paper asks for none); "orthogonal" puts the nearest orthogonal map in
place of each after every epoch. Its batches of 64 images (variant "reference") were made for thousands of images: with
few shots that is one step an epoch, and 64 images times the classes are more prompts than most machines can learn
through, so the default is 16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.contract import LayerTokens
from core.errors import InvalidInput, InvalidOption
from core.tuning.averaging import Averaged, gaussian_weights
from core.tuning.class_texts import LearnedWords
from core.tuning.contract import ImagePath, PromptConfig, Task, augmentation_option
from core.tuning.option import option
from core.tuning.state_words import Intervention, StatesToWords, class_states
from core.tuning.text_context import DeepWords, TextContext
from core.tuning.visual_prompt import VisualPrompt, check_depth

DROPOUT = 0.1
INTERVENED_ROWS = 4
STD_SHARE = 0.3
"""Published: averaging weights with a standard deviation of 30 of 100 epochs."""
MAPS = "maps."
"""Names of what is no token: interventions and projections."""
STAND_IN = (
    "No language model was given, so the backbone's own text layers stand in: not CILMP as published. "
    "Set 'language_model' to use one."
)


@dataclass(frozen=True)
class Config(PromptConfig):
    """Options of CILMP."""

    language_model: str = option(
        "",
        "Hub name or folder of a causal language model that is on this machine (a folder on the site only where "
        "PROMPTOSCOPE_ALLOW_FOLDERS is set); empty takes the backbone's own text layers, which is not the published "
        "method.",
    )
    visual_tokens: int = option(4, "Learned vectors in the image tower.", unit="tokens", bounds=(1, 64))
    depth: int | None = option(
        None, "Layers of either tower that get tokens of their own; empty takes all.", unit="layers", bounds=(1, 64)
    )
    rank: int = option(8, "Width of the subspace in which states are changed.", bounds=(1, 256), advanced=True)
    intervened_rows: int | None = option(
        None,
        "First and last layers of the language model whose states the image changes; empty: 4, or half where there "
        "are fewer than 8.",
        unit="layers",
        bounds=(1, 64),
        advanced=True,
    )
    intervention_dropout: bool = option(True, "Dropout of 0.1 on changed states while training.", advanced=True)
    orthogonal: bool = option(False, "Keep the map into the subspace orthogonal after each epoch.", advanced=True)
    gpa: str = option(
        "tokens",
        "What is averaged over the epochs, late ones more: the tokens, all that is learned, or nothing (off).",
        choices=("tokens", "all", "off"),
        advanced=True,
    )
    gpa_std: float | None = option(
        None,
        "Standard deviation of the averaging weights, which peak at the last epoch; empty takes 30 % of the epochs.",
        unit="epochs",
        bounds=(0.1, 5000.0),
        advanced=True,
    )
    batch_size: int = option(16, "Images per step.", unit="images", bounds=(1, 4096))
    learning_rate: float = option(0.0025, "Step size after the first epoch.", bounds=(0.0, 100.0))
    augmentation: str = augmentation_option("crop_flip")


class CILMP(Averaged, LearnedWords):
    """Cross-entropy through both towers; the states of the language model stay fixed."""

    title = "CILMP"
    summary = (
        "Turns what a language model knows of each class into words that adapt to each image. Large and slow. "
        "Without a language model the encoder's own text layers stand in."
    )
    paper = (
        "Du, Yu, Wang. Medical Knowledge Intervention Prompt Tuning for Medical Image Classification. "
        "IEEE Transactions on Medical Imaging 44 (12), 2025."
    )
    code = "usr922/cilmp, commit b6db230"
    licence = "Apache-2.0"
    trains = "maps from a language model's states to words, and tokens in all layers of both towers"
    needs = frozenset({"template", "descriptions"})
    per_image_text = True
    variants: ClassVar = {"paper": {"gpa": "off", "batch_size": 64}, "reference": {"batch_size": 64}}

    states: Tensor

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        tower = task.backbone
        check_depth(config.depth or 1, min(tower.image_layers, tower.text_layers), "image or text")
        # kept with the model, so that whoever loads it needs no language model
        self.register_buffer("states", class_states(task).to(tower.device))
        layers, width = self.states.shape[1:]
        self._rows = _intervened_rows(config.intervened_rows, layers)
        self.context = TextContext(tower, task.classes, config.template, n=config.context_length)
        _check_length(self.context.prompts()[1].shape[1], layers, tower.context_length)
        depth, generator = config.depth or tower.text_layers, task.generator()
        self.deep = DeepWords(tower, self.context.n, depth, generator)
        self.visual = VisualPrompt(tower, config.visual_tokens, config.depth or tower.image_layers, "append", generator)
        with task.initial_values():
            maps = [StatesToWords(width, tower.joint_width, tower.text_width, config.rank) for _ in range(depth)]
        self.maps = nn.ModuleList(maps).to(tower.device)

    @classmethod
    def image_path(cls, config: Any) -> ImagePath:
        return "trained"

    @classmethod
    def notes(cls, config: Any) -> list[str]:
        return [] if config.language_model.strip() else [STAND_IN]

    def take_learned_from(self, other: Self) -> None:
        # the states are those of the class names, not learned
        self.load_learned_state(other.state_dict() | {"states": self.states})

    @classmethod
    def saved_hidden_states(cls, classes: Sequence[str], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(zip(classes, state["states"], strict=True))

    def visual_tokens(self) -> LayerTokens:
        return self.visual.tokens()

    def logits(self, features: Tensor) -> Tensor:
        return self.backbone.logit_scale * torch.einsum("bd,bcd->bc", features, self.text_features(features))

    def text_features(self, images: Tensor) -> Tensor:
        """Unit-norm text features (batch, classes, joint_width) for unit-norm image features (batch, joint_width)."""
        dropout = DROPOUT if self.training and self.config.intervention_dropout else 0.0
        # (batch * classes, layers, text_width) for each depth
        words = [to_words(self.states, images, self._rows, dropout).flatten(0, 1) for to_words in self.maps]
        embeds, mask = self._prompts(words[0], len(images))
        deep = [
            torch.cat([own.expand(len(late), -1, -1), late], dim=1)
            for own, late in zip(self.deep, words[1:], strict=True)
        ]
        tokens = LayerTokens((None, *deep), "replace") if deep else None
        found = self.backbone.encode_text(embeds, mask, tokens, dropout=self.drops_text)
        return functional.normalize(found, dim=-1).view(len(images), len(self.states), -1)

    def _prompts(self, words: Tensor, images: int) -> tuple[Tensor, Tensor]:
        """Prompts and mask of all images and classes, with `words` between context and class name."""
        n = self.context.n
        embeds, mask = self.context.prompts(self.context.vectors.expand(images, 1, n, -1))
        inserted = mask.new_ones(words.shape[:2])
        return (
            torch.cat([embeds[:, : 1 + n], words, embeds[:, 1 + n :]], dim=1),
            torch.cat([mask[:, : 1 + n], inserted, mask[:, 1 + n :]], dim=1),
        )

    # averaging over epochs --------------------------------------------------------------------------------------

    def epoch_weights(self) -> Tensor:
        return averaging_weights(self.config.epochs, self.config.gpa_std)

    def after_epoch(self, epoch: int) -> None:
        if self.config.orthogonal:
            self._make_orthogonal()
        super().after_epoch(epoch)

    def after_training(self) -> None:
        super().after_training()
        if self.config.orthogonal:
            self._make_orthogonal()

    def averaged(self) -> dict[str, nn.Parameter]:
        if self.config.gpa == "off":
            return {}
        everything = dict(self.named_parameters())
        if self.config.gpa == "all":
            return everything
        return {name: value for name, value in everything.items() if not name.startswith(MAPS)}

    @torch.no_grad()
    def _make_orthogonal(self) -> None:
        """Put the nearest matrix with orthonormal columns (the polar factor) in the place of each subspace map."""
        for part in self.maps.modules():
            if isinstance(part, Intervention):
                left, _, right = torch.linalg.svd(part.subspace, full_matrices=False)
                part.subspace.copy_(left @ right)


def averaging_weights(epochs: int, std: float | None = None) -> Tensor:
    """Weights (epochs,), float64, that sum to 1: a Gaussian around the last epoch. std: None takes 30 % of the epochs.

    Source: CILMP, Gaussian prompt averaging with mean 100 and standard deviation 30 of 100 epochs.
    """
    return gaussian_weights(epochs, epochs, std or STD_SHARE * epochs)


def _intervened_rows(asked: int | None, layers: int) -> int:
    """How many rows change at either end. Raises InvalidOption where the two ends would meet."""
    rows = asked or min(INTERVENED_ROWS, layers // 2)
    if not 1 <= rows <= layers // 2:
        raise InvalidOption(
            f"'intervened_rows' is at most half of the {layers} layers that hidden states come from",
            f"found {rows}",
            f"Choose {layers // 2}." if layers > 1 else "Choose a model with more layers.",
        )
    return rows


def _check_length(prompt: int, layers: int, limit: int) -> None:
    """Raises InvalidInput if prompts of `prompt` tokens and one more per layer are longer than the tower reads."""
    if prompt + layers > limit:
        raise InvalidInput(
            f"Class prompts of this backbone may have {limit} tokens",
            f"the longest has {prompt}, and hidden states of {layers} layers add as many",
            "Shorten the class names or the template, or choose a language model with fewer layers.",
        )
