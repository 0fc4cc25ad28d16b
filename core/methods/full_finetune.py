"""Full fine-tuning: every weight of both towers is learned.

Paper: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021, for the score;
comparisons of prompt methods list fully tuned models by their size and result alone.
Official code: none followed. Rates, decay and length are ours and reproduce no published number.

Differences. The scale of the scores stays frozen. Norms, biases and embeddings are not drawn to zero by weight decay.
Gradients are cut at a length of 1. Options leave one tower alone or train the last blocks only, whose input is then
kept. A saved model holds every weight that was learned, as large as the backbone itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.backbones.weight_places import place_tensor
from core.tuning.adapted_towers import AdaptedConfig, AdaptedTowers
from core.tuning.contract import Task
from core.tuning.option import option

LONGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class Config(AdaptedConfig):
    """Options of full fine-tuning."""

    last_blocks: int | None = option(
        None, "Train the last so many blocks of a tower only; empty: all there is.", unit="blocks", bounds=(1, 64)
    )
    epochs: int = option(50, "Passes over the training images.", unit="epochs", bounds=(1, 5000))
    learning_rate: float = option(1e-5, "Step size after the first epoch.", bounds=(0.0, 100.0))
    warmup_rate: float = option(1e-6, "Learning rate while warming up.", bounds=(0.0, 1.0), advanced=True)
    weight_decay: float = option(0.05, "Weight decay of matrices.", bounds=(0.0, 10.0), advanced=True)


class FullFineTuning(AdaptedTowers):
    """Cross-entropy of the scaled cosines, through everything."""

    title = "Full fine-tuning"
    summary = "Trains the whole model. Slow, large, and with few images easily worse than what it started from."
    paper = "Radford et al. Learning Transferable Visual Models From Natural Language Supervision. ICML 2021."
    licence = "ours"
    trains = "all weights of both towers"

    def __init__(self, config: Config, task: Task) -> None:
        super().__init__(config, task)
        own = self._own.named_weights()
        chosen = {id(p) for block in self._last_blocks() for p in block.parameters()}
        self._places = {
            _key(name): (module, attribute)
            for name, (module, attribute, parameter) in own.items()
            if (id(parameter) in chosen if config.last_blocks else config.changes(_tower(name)))
        }
        frozen = {_key(name): parameter for name, (_, _, parameter) in own.items()}
        self.weights = nn.ParameterDict({key: nn.Parameter(frozen[key].detach().clone()) for key in self._places})
        self.place(None, learning=False)

    def _last_blocks(self) -> list[nn.Module]:
        """The blocks that are trained where not everything is."""
        count = self.config.last_blocks or 0
        image, text = self._own.image_blocks(), self._own.text_blocks()
        chosen = {"image": image, "text": text}
        return [block for tower, all_of in chosen.items() if self.config.changes(tower) for block in all_of[-count:]]

    @classmethod
    def notes(cls, config: Any) -> list[str]:
        if config.last_blocks:
            return []
        return ["Everything is trained: a model takes four times the backbone's memory while it learns."]

    def steady_layers(self) -> int | None:
        if not self.config.changes("image"):
            return self._own.image_layers
        return max(0, self._own.image_layers - self.config.last_blocks) if self.config.last_blocks else None

    def place(self, tower: str | None, learning: bool) -> None:
        for key, (module, attribute) in self._places.items():
            weight = self.weights[key]
            place_tensor(module, attribute, weight if learning else weight.detach())

    def parameter_groups(self) -> list[dict[str, Any]]:
        drawn = {key: p for key, p in self.weights.items() if p.ndim > 1 and "embed" not in key}
        spared = [p for key, p in self.weights.items() if key not in drawn]
        return [{"params": list(drawn.values())}, {"params": spared, "weight_decay": 0.0}]

    def backward(self, terms: dict[str, Tensor]) -> None:
        super().backward(terms)
        torch.nn.utils.clip_grad_norm_(self.parameters(), LONGEST_GRADIENT)


def _tower(name: str) -> str:
    """Which tower a weight belongs to, by open_clip's names."""
    return "image" if name.startswith("visual.") else "text"


def _key(name: str) -> str:
    """A weight's name as a dictionary of parameters takes it."""
    return name.replace(".", "/")
