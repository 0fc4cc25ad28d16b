"""A whole image set under several conditions: one row per image and condition, in few passes of the tower.

`plan_batch` says what will be run, `run_batch` runs it and can go on where it stopped, and
`core.explain.batch_summary` reads the rows. Rows are JSON-ready, so they may be kept between these steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from core.backbones.changeable_block import changeable
from core.errors import InvalidOption, Unavailable
from core.explain.attention import LAST_LAYERS
from core.explain.batch_images import BatchImage, ReadImage, pixel_batches, read_image
from core.explain.calibration import Calibration, calibrate
from core.explain.changed_pass import Change, Seen, observe, tower_of
from core.explain.classifier import ExplainedClassifier, check_reads_backbone
from core.explain.conditions import CALIBRATED, DRAWS, MOST_VECTORS, Condition, Setup, chosen_conditions
from core.explain.redistribution import follows_plain_path
from core.explain.shares import (
    UnitShares,
    entropy,
    log_odds,
    pointing_hit,
    share_of_map,
    split_change,
    unit_shares,
)

IMAGES_AT_ONCE = 16
LARGEST_WEIGHTS = 128_000_000
"""Bytes of one layer's attention weights, which one condition computes in the open; fewer images run at once then."""
MARGIN = 0.01
HALF_COVERED = 0.5


@dataclass(frozen=True)
class BatchSettings:
    """vectors: how many to try. conditions: ids, none for the standard ones. by_block: C1 at each block alone too.

    draws: of conditions with chance in them. margin: the change of the lesion's share that matters, set beforehand.
    last_layers: whose attention is read.
    """

    vectors: tuple[int, ...] = (4,)
    conditions: tuple[str, ...] = ()
    by_block: bool = False
    seed: int = 0
    draws: int = DRAWS
    margin: float = MARGIN
    last_layers: int = LAST_LAYERS


@dataclass(frozen=True)
class Planned:
    """One condition with its number of vectors (0 where it has none of its own) and the passes it needs."""

    condition: Condition
    k: int
    changes: tuple[Change, ...]

    @property
    def key(self) -> str:
        """Its name in rows and in what is done: "C1:4"."""
        return key_of(self.condition.id, self.k)


@dataclass(frozen=True)
class Plan:
    """What will be run. absent: {key: why} of conditions that do not exist here. counted: cells that every condition
    shares, bool. calibrated_on: images; norms: what was learned of patches, one row a block."""

    settings: BatchSettings
    planned: tuple[Planned, ...]
    absent: dict[str, str]
    counted: np.ndarray
    calibrated_on: int = 0
    norms: list[dict[str, Any]] = field(default_factory=list)

    @property
    def passes(self) -> int:
        """Passes of the tower that each group of images needs."""
        return sum(len(each.changes) for each in self.planned)


def key_of(condition: str, k: int) -> str:
    """The name of a condition with its number of vectors."""
    return f"{condition}:{k}"


def plan_batch(
    model: ExplainedClassifier,
    settings: BatchSettings,
    calibrate_on: Sequence[BatchImage] = (),
    step: Callable[[], None] = lambda: None,
    calibration: Calibration | None = None,
) -> Plan:
    """Which conditions exist for this model. calibrate_on: images that are not tested; without them some do not.

    step: called before each pass; what it raises ends the work. calibration: of an earlier `calibration_for`, which is
    then not made again. Raises InvalidOption for impossible settings.
    """
    check_reads_backbone(model)
    tower = tower_of(model.backbone)
    n_cells = tower.grid[0] * tower.grid[1]
    most = max(settings.vectors, default=0)
    if not settings.vectors or min(settings.vectors) < 0 or most > min(MOST_VECTORS, n_cells // 2):
        raise InvalidOption(
            f"0 to {min(MOST_VECTORS, n_cells // 2)} vectors",
            f"found {', '.join(map(str, settings.vectors)) or 'none'}",
        )
    conditions = chosen_conditions(settings.conditions, len(tower.blocks), settings.by_block)
    calibration = calibration or calibration_for(model, settings, calibrate_on, step)
    planned, absent = [], {}
    for condition in conditions:
        for k in sorted({k for k in settings.vectors if k > 0}) if condition.counted else [0]:
            setup = Setup(tower, k, settings.seed, settings.draws, calibration, model.visual_tokens())
            try:
                planned.append(Planned(condition, k, tuple(condition.make(setup))))
            except Unavailable as reason:
                absent[key_of(condition.id, k)] = reason.found
    rows = calibration.norms.rows() if calibration else []
    counted = np.arange(n_cells) >= most
    return Plan(settings, tuple(planned), absent, counted, calibration.n if calibration else 0, rows)


def calibration_for(
    model: ExplainedClassifier,
    settings: BatchSettings,
    images: Sequence[BatchImage],
    step: Callable[[], None] = lambda: None,
) -> Calibration | None:
    """What patches look like on images that are not tested; None where no condition asks, or no image tells."""
    if not images or (settings.conditions and not set(settings.conditions) & CALIBRATED):
        return None
    batches = list(pixel_batches(model.backbone, images, images_at_once(model)))
    return calibrate(model.backbone, batches, step) if batches else None


def images_at_once(model: ExplainedClassifier) -> int:
    """How many images one pass takes, so that memory stays bounded on large towers."""
    tower = tower_of(model.backbone)
    weights = 4 * changeable(tower.blocks[0]).heads * (tower.length + MOST_VECTORS) ** 2
    return max(1, min(IMAGES_AT_ONCE, LARGEST_WEIGHTS // weights))


def run_batch(
    model: ExplainedClassifier,
    images: Sequence[BatchImage],
    plan: Plan,
    step: Callable[[], None] = lambda: None,
    done: Collection[tuple[str, str]] = frozenset(),
) -> Iterator[dict[str, Any]]:
    """Rows of images and conditions, group of images by group of images.

    done: (image name, key) of rows that exist already and are not made again; the key of an image that is left out is
    "". Such a row has `left_out`, the reason, instead of measures. step: called before each pass.
    """
    keys = [each.key for each in plan.planned]
    size, finished = images_at_once(model), set(done)
    todo = [
        image
        for image in images
        if (image.name, "") not in finished and any((image.name, key) not in finished for key in keys)
    ]
    for start in range(0, len(todo), size):
        kept = []
        for image in todo[start : start + size]:
            read = read_image(model.backbone, image)
            if isinstance(read, ReadImage):
                kept.append(read)
            else:
                yield {**_named(image), "condition": None, "key": "", "left_out": read}
        if kept:
            yield from _rows_of(model, kept, plan, step, finished)


def _rows_of(
    model: ExplainedClassifier,
    kept: Sequence[ReadImage],
    plan: Plan,
    step: Callable[[], None],
    finished: Collection[tuple[str, str]],
) -> Iterator[dict[str, Any]]:
    """Rows of images that fit into one pass; the condition without anything is run anew, the others refer to it."""
    pixels = torch.stack([each.pixels for each in kept])
    group = _Group(model, kept, plan)
    step()
    plain = group.observe(pixels, Change())
    for planned in plan.planned:
        missing = [(each.image.name, planned.key) not in finished for each in kept]
        if not any(missing):
            continue
        draws = []
        for change in planned.changes:
            if planned.condition.id == "C0":
                seen = plain
            else:
                step()
                seen = group.observe(pixels, change)
            draws.append(group.measure(plain, seen))
        for place, each in enumerate(kept):
            if missing[place]:
                yield {
                    **_named(each.image),
                    "condition": planned.condition.id,
                    "vectors": planned.k,
                    "key": planned.key,
                    "title": planned.condition.title_for(planned.k),
                    **_averaged([draw[place] for draw in draws]),
                }


@dataclass(frozen=True)
class _Observed:
    seen: Seen
    logits: np.ndarray | None


class _Group:
    """Images that pass together, with what is measured on them."""

    def __init__(self, model: ExplainedClassifier, kept: Sequence[ReadImage], plan: Plan) -> None:
        self.model, self.plan = model, plan
        self.first_layer = max(0, model.backbone.image_layers - plan.settings.last_layers)
        self.has_lesion = [each.lesion is not None for each in kept]
        nothing = np.zeros(len(plan.counted))
        self.lesion = np.stack([nothing if each.lesion is None else each.lesion for each in kept])
        self.seen_masks = [each.seen for each in kept]
        classes = list(model.classes)
        self.labels = [classes.index(c) if (c := each.image.class_name) in classes else None for each in kept]

    def observe(self, pixels: torch.Tensor, change: Change) -> _Observed:
        """One pass: what is looked at, and scores where the method reads nothing but the tower's features."""
        from core.tuning.scores import predict_logits

        seen = observe(self.model.backbone, pixels, change, self.first_layer)
        if not follows_plain_path(self.model):
            return _Observed(seen, None)
        features = seen.features.to(self.model.backbone.device)
        return _Observed(seen, predict_logits(self.model.method, features).cpu().double().numpy())

    def measure(self, plain: _Observed, changed: _Observed) -> list[dict[str, Any]]:
        """Measures of one pass, image by image; both sides use the cells that exist in both."""
        counted = self.plan.counted & changed.seen.cells.numpy()
        attention, written = changed.seen.attention.numpy(), changed.seen.written.numpy()
        before = unit_shares(plain.seen.attention.numpy(), self.lesion, counted)
        after = unit_shares(attention, self.lesion, counted)
        cells = attention.mean(axis=1)
        nats = entropy(cells, counted)
        table: dict[str, np.ndarray] = {
            "vectors_share": changed.seen.vectors.numpy().mean(axis=1),
            "class_token_share": changed.seen.class_token.numpy().mean(axis=1),
            "patches_share": attention.sum(axis=2).mean(axis=1),
            "entropy": nats,
            "effective_patches": np.exp(nats),
        }
        lesion = self._lesion_measures(before, after, cells, written.mean(axis=1), counted)
        rows = []
        for place, has_lesion in enumerate(self.has_lesion):
            row: dict[str, Any] = {
                name: float(values[place]) if has_lesion else None for name, values in lesion.items()
            }
            row |= {name: float(values[place]) for name, values in table.items()}
            seen = self.seen_masks[place]
            row |= {"lesion_in_view": None if seen is None else seen.in_view}
            row |= {"lesion_patches": None if seen is None else float(seen.cells.sum())}
            rows.append(row | self._answer(plain, changed, place))
        return rows

    def _lesion_measures(
        self, before: UnitShares, after: UnitShares, cells: np.ndarray, written: np.ndarray, counted: np.ndarray
    ) -> dict[str, np.ndarray]:
        units, within = split_change(before, after)
        area = self.lesion[:, counted].mean(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            enrichment = np.where(area > 0, after.renormalised / area, np.nan)
        return {
            "lesion_share": after.renormalised,
            "background_share": 1 - after.renormalised,
            "difference": after.renormalised - before.renormalised,
            "units_term": units,
            "within_term": within,
            "raw_lesion_share": after.raw,
            "raw_difference": after.raw - before.raw,
            "enrichment": enrichment,
            "written_share": share_of_map(written, self.lesion, counted),
            "hit": pointing_hit(cells, self.lesion, counted),
            "hit_half": pointing_hit(cells, self.lesion, counted, HALF_COVERED),
            "hit_chance": (self.lesion[:, counted] > 0).mean(axis=1),
        }

    def _answer(self, plain: _Observed, changed: _Observed, place: int) -> dict[str, Any]:
        """What the model says of an image, None where it cannot be said under another condition."""
        unknown = dict.fromkeys(("predicted", "answer_changed", "right", "log_odds", "log_odds_change"))
        if plain.logits is None or changed.logits is None:
            return unknown
        before, after = plain.logits[place : place + 1], changed.logits[place : place + 1]
        answer, label = int(after.argmax()), self.labels[place]
        row = unknown | {
            "predicted": self.model.classes[answer],
            "answer_changed": float(answer != int(before.argmax())),
        }
        if label is None:
            return row
        temperature = float(self.model.temperature)
        odds = [float(log_odds(side, np.array([label]), temperature)[0]) for side in (before, after)]
        return row | {"right": float(answer == label), "log_odds": odds[1], "log_odds_change": odds[1] - odds[0]}


def _named(image: BatchImage) -> dict[str, Any]:
    return {"image": image.name, "class": image.class_name, "group": image.group}


def _averaged(draws: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over draws; `difference_sd` is the spread of the difference over them, None for one draw."""
    row = {}
    for name, first in draws[0].items():
        values = [draw[name] for draw in draws]
        if isinstance(first, str):
            row[name] = max(sorted(set(values)), key=values.count)
        else:
            row[name] = None if None in values else float(np.mean(values))
    row = {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}
    apart = [draw["difference"] for draw in draws]
    spread = None if len(draws) < 2 or None in apart else float(np.std(apart, ddof=1))
    return row | {"draws": len(draws), "difference_sd": spread}
