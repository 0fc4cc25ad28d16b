"""A controlled comparison: what differs between methods is the method, and nothing else.

Equal for all: update steps, images per step and their views, dropout off, one setting for all image sets, no images to
choose on, the last step. Learning rates stay the methods' own.
"""

from __future__ import annotations

import statistics
from typing import Any

from core.experiments.spec import ExperimentSpec
from core.tuning.config import LoopConfig, steps_per_epoch
from core.tuning.fitting import Setup
from core.tuning.registry import get_method

IMAGES_PER_STEP = 32
IMAGES_PER_SET, CLASSES_PER_SET = 64, 4
"""Training images that a method's own number of updates is counted with where it depends on them."""
PRECISION = "fp32"


def controlled_options(spec: ExperimentSpec, backbone: str) -> dict[str, Any]:
    """Option values that every method gets which has them."""
    return {
        "updates": spec.updates or _median_updates(spec, backbone),
        "batch_size": IMAGES_PER_STEP,
        "drop_last": False,
        "augmentation": _commonest_augmentation(spec, backbone),
        "text_dropout": False,
        "fusion_dropout": False,
        "intervention_dropout": False,
    }


def controlled_notes(spec: ExperimentSpec, setup: Setup, backbone: str) -> list[str]:
    """What a cell says of being controlled, and where its method could not follow."""
    kind = get_method(setup.method)
    if not kind.trains_by_steps:
        return [f"Controlled comparison: {kind.title} is solved, it takes no steps."]
    updates = spec.updates or _median_updates(spec, backbone)
    return [
        f"Controlled comparison: {updates} updates of {IMAGES_PER_STEP} images each, rounded up to whole epochs; equal "
        "views, dropout off, no images to choose on, one setting for all sets; the learning rate is the method's own."
    ]


def _own_configs(spec: ExperimentSpec, backbone: str) -> list[LoopConfig]:
    """What the lines that are trained by steps would use by themselves."""
    found = [Setup(line.method, line.variant, dict(line.options)).config(backbone)[0] for line in spec.candidates]
    return [config for config in found if isinstance(config, LoopConfig)]


def _commonest_augmentation(spec: ExperimentSpec, backbone: str) -> str:
    return statistics.mode([config.augmentation for config in _own_configs(spec, backbone)] or ["crop"])


def _median_updates(spec: ExperimentSpec, backbone: str) -> int:
    """The median over the methods of how many updates they make by themselves on a set of ordinary size."""
    counts = []
    for config in _own_configs(spec, backbone):
        settled = config.settled(IMAGES_PER_SET, CLASSES_PER_SET)
        counts.append(settled.epochs * steps_per_epoch(IMAGES_PER_SET, settled.batch_size, settled.drop_last))
    return round(statistics.median(counts)) if counts else 1
