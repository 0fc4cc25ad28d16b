"""When a model should be silent: an image's prediction set, how unlike what it has seen it is, and the reason."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from core.evaluation.calibration import apply_temperature
from core.evaluation.conformal import LEVEL, class_p_values, lac_scores, members, percent
from core.evaluation.outside import OUTSIDE_P, nearest_images, outside_p
from core.tuning.contract import Method
from core.tuning.scores import predict_logits
from core.tuning.seen import Seen

NOT_KEPT = "no set: this model keeps no images that could calibrate one"
UNLIKE = "unlike the images this model has seen"
FITS_NONE = "fits no class"


class Judge:
    """Gives each answer of a model its set, its reason to be silent and its nearest training images.

    seen: None for a model folder without them. reason: why there is no set, as recorded.
    """

    def __init__(self, method: Method, temperature: float, seen: Seen | None, reason: str | None) -> None:
        self.method, self.temperature, self.seen = method, temperature, seen
        self.reason = (reason or NOT_KEPT) if seen is None or not seen.scores else None
        self._known = None if seen is None else directions(method, seen.features)

    def answers(self, features: Tensor, probabilities: np.ndarray) -> list[dict[str, Any]]:
        """One object an image: set, set_reason, abstain, outside.

        features: (images, width), as the model sees them. probabilities: calibrated (images, classes). set:
        class names, or None with set_reason. abstain: one reason, or None. outside: score (a distance), p (None where
        nothing calibrates it) and nearest, training images {file, sha256, class, distance}; None without them.
        """
        inside = None if self.reason else self.members(features, probabilities)
        outside = self._outside(features)
        classes = self.method.task.classes
        found = []
        for at in range(len(probabilities)):
            own = None if inside is None else [name for name, has in zip(classes, inside[at], strict=True) if has]
            abstain = _abstain(own, self.reason, outside[at])
            found.append({"set": own, "set_reason": self.reason, "abstain": abstain, "outside": outside[at]})
        return found

    def members(self, features: Tensor, probabilities: np.ndarray) -> np.ndarray:
        """Which classes are in each image's set: bool (images, classes). For models that give sets."""
        assert self.seen is not None, "a model without calibration images gives no set"
        stated = [probabilities]
        if self.seen.refits:
            stated = [stated_by(twin, features, self.temperature) for twin in self._twins]
        return members(class_p_values(self.seen.scores, [lac_scores(p) for p in stated]))

    def strangeness(self, features: Tensor) -> np.ndarray | None:
        """p of `outside` of each image, None where nothing calibrates it."""
        if self.seen is None or self._known is None:
            return None
        return outside_p(nearest_images(directions(self.method, features), self._known).score, self.seen.distances)

    @cached_property
    def _twins(self) -> list[Method]:
        assert self.seen is not None
        return [with_state(self.method, state) for state in self.seen.refits]

    def _outside(self, features: Tensor) -> list[dict[str, Any] | None]:
        if self.seen is None or self._known is None:
            return [None] * len(features)
        near = nearest_images(directions(self.method, features), self._known)
        p = outside_p(near.score, self.seen.distances)
        images = self.seen.images
        return [
            {
                "score": float(near.score[at]),
                "p": None if p is None else float(p[at]),
                "nearest": [
                    images[place] | {"distance": float(distance)}
                    for place, distance in zip(near.places[at], near.distances[at], strict=True)
                ],
            }
            for at in range(len(near.score))
        ]


def with_state(method: Method, state: Mapping[str, Tensor]) -> Method:
    """A copy of a method, on the same backbone and task, that has learned these tensors."""
    shared = (method.task, method.config, method.backbone, method.task.encoder)
    twin = copy.deepcopy(method, {id(each): each for each in shared})
    device = method.backbone.device
    twin.load_learned_state({name: value.to(device) for name, value in state.items()})
    return twin.eval()


def stated_by(method: Method, features: Tensor, temperature: float) -> np.ndarray:
    """Calibrated probabilities (images, classes) of features."""
    if not len(features):
        return np.empty((0, len(method.task.classes)))
    return apply_temperature(predict_logits(method, features).cpu().numpy(), temperature)


def _abstain(own: list[str] | None, reason: str | None, outside: dict[str, Any] | None) -> str | None:
    """The one reason to be silent that matters most, or None."""
    if outside is not None and outside["p"] is not None and outside["p"] <= OUTSIDE_P:
        return UNLIKE
    if own is None:
        return reason
    if not own:
        return FITS_NONE
    return f"{len(own)} classes remain at {percent(LEVEL)}" if len(own) > 1 else None


def directions(method: Method, features: Tensor) -> np.ndarray:
    """What stands for each picture (images, width), of unit length, from features as the method makes them."""
    return as_numbers(method.picture_vectors(features))


def as_numbers(vectors: Tensor) -> np.ndarray:
    """Vectors (images, width) in float64, outside of torch, of unit length."""
    return functional.normalize(vectors.detach().cpu().double(), dim=-1).numpy()
