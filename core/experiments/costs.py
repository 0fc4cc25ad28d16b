"""What a training of a method takes on this machine, apart from what it shares with others."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.tuning.config import LoopConfig, MethodConfig, PromptConfig
from core.tuning.contract import Method

SPREAD_OF_FIXED, SPREAD_OF_STEPS = 1.8, 1.5
"""Factors by which what was timed by a few steps may be off."""
LEAST_SPREAD, MOST_SPREAD = 1.2, 3.0
SPREAD_OF_ONE = 1.4
"""The least where all that is known comes from trainings in step, which is one measurement."""
SAME_HOUR = timedelta(hours=1)
"""Apart by more, a picture does not say how busy the machine was while a cell was computed."""
MOST_PACE = 6.0
"""By which factor the machine is believed to be slower or faster than it was."""
MORE_IN_STEP = 0.6
"""What a further training in step takes of a lone one, where only one number of them has been seen."""


@dataclass(frozen=True)
class Cost:
    """What one training takes, all features being kept: fixed_s once, per_step_s each step, more_in_step of it for
    each further training in step.

    classes, images: of a step of the trainings it was seen in, None where they make no difference. peak_mb: of the
    process. timed: measured just now, by a few steps; otherwise by earlier runs. The spreads: by which factor it may
    be off.
    """

    fixed_s: float
    per_step_s: float
    peak_mb: float | None
    more_in_step: float = 1.0
    classes: int | None = None
    images: float | None = None
    timed: bool = False
    spread: float = SPREAD_OF_STEPS
    spread_of_fixed: float = SPREAD_OF_FIXED

    def of_steps(self, steps: int, together: int, scale: float = 1.0) -> float:
        """Seconds of the steps of so many trainings in step, for all of them. scale: of a step against those seen."""
        return steps * self.per_step_s * scale * (1 + (together - 1) * self.more_in_step)


def step_scale(
    kind: type[Method], config: MethodConfig, classes: int, images: float, seen: tuple[int | None, float | None]
) -> float:
    """How much longer a step takes with so many classes and images than with those it was seen with.

    Learned words pass the text tower once a class, learned visual tokens the image tower once an image; where the text
    depends on the image, each of them with each.
    """
    more_classes, more_images = classes / (seen[0] or classes), images / (seen[1] or images)
    words, pictures = isinstance(config, PromptConfig), kind.image_path(config) == "trained"
    if kind.per_image_text:
        return more_classes * more_images
    if words and pictures:
        return (more_classes + more_images) / 2
    return more_classes if words else more_images if pictures else 1.0


def images_per_step(config: MethodConfig, n_train: int) -> int:
    """Images of one step, at least 1."""
    return max(1, min(config.batch_size, n_train)) if isinstance(config, LoopConfig) else max(1, n_train)


@dataclass(frozen=True)
class EarlierPass:
    """What a picture took the image tower on average while a cell was computed. image_set: its fingerprint."""

    image_set: str
    at: datetime
    seconds: float


def at_present_pace(
    runs: Sequence[Mapping[str, Any]], passes: Sequence[EarlierPass], now: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Earlier cells with the seconds they would take now, on a machine that may be busier or less so than it was.

    runs: as of `cost_of_earlier` with `at`, when each was. now: seconds of a picture by fingerprint of its image set.
    Each run is scaled by a picture's time now over that of the nearest pass on the same set; a run without one stays.
    """
    known = [each for each in passes if each.image_set in now and each.seconds > 0]
    found = []
    for run in runs:
        nearest = min(known, key=lambda each: abs(each.at - run["at"]), default=None)
        pace = 1.0
        if nearest is not None and abs(nearest.at - run["at"]) <= SAME_HOUR:
            pace = min(MOST_PACE, max(1 / MOST_PACE, now[nearest.image_set] / nearest.seconds))
        times = ("seconds", "training_seconds", "feature_seconds")
        found.append({**run, **{name: run[name] * pace for name in times}})
    return found


def cost_of_earlier(runs: Sequence[Mapping[str, Any]]) -> Cost | None:
    """The cost of a method by its earlier runs as cells; None where there are none.

    runs: seconds, training_seconds, feature_seconds, trained_together, steps, peak_mb, n_train, options and classes of
    each, all of one method.
    """
    if not runs:
        return None
    stepped = [row for row in runs if row.get("steps")]
    peak = max((row["peak_mb"] for row in runs if row.get("peak_mb")), default=None)
    own = "training_seconds" if stepped else ""
    fixed = [max(0.01, row["seconds"] - row["feature_seconds"] - (row[own] if own else 0.0)) for row in runs]
    if not stepped:
        return Cost(statistics.median(fixed), 0.0, peak, spread_of_fixed=_spread(fixed))
    alone = [_alone(row) for row in stepped]
    in_step = len({row["training_seconds"] for row in stepped}) == 1
    like = min(stepped, key=lambda row: abs(_alone(row) - statistics.median(alone)))
    batch = (like.get("options") or {}).get("batch_size") or like["n_train"]
    return Cost(
        statistics.median(fixed),
        statistics.median(alone),
        peak,
        MORE_IN_STEP,
        len(like["classes"]) or None,
        min(batch, like["n_train"]) or None,
        spread=max(_spread(alone), SPREAD_OF_ONE if in_step else LEAST_SPREAD),
        spread_of_fixed=max(SPREAD_OF_FIXED, _spread(fixed)),
    )


def _alone(row: Mapping[str, Any]) -> float:
    """Seconds of a step of one training alone, from its share of the steps of several."""
    together = row.get("trained_together") or 1
    return row["training_seconds"] / row["steps"] * together / (1 + (together - 1) * MORE_IN_STEP)


def _spread(values: Sequence[float]) -> float:
    usual = statistics.median(values)
    return min(MOST_SPREAD, max(LEAST_SPREAD, max(values) / usual, usual / min(values)))
