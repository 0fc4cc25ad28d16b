"""Running cells one after the other, so that each pays only for what no earlier one has paid for.

One backbone, one store of features and texts, one reading of each image set and one search for leakage serve all cells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from core.backbones.contract import Backbone
from core.descriptions.description_set import DescriptionSet
from core.errors import PromptoscopeError
from core.evaluation.metrics import majority_accuracy
from core.experiments.cells import Cell, cell_hash, cell_setup
from core.experiments.controlled import controlled_notes, controlled_options
from core.experiments.protocols import Drawn, check_targets, draw_cell, measure_cell, trained_classes
from core.experiments.spec import ExperimentSpec
from core.images.image_set import ImageSet
from core.images.leak_counts import Leakage, count_leakage
from core.images.protocol_draws import narrowed_draw
from core.tuning.drawing import check_measurable
from core.tuning.feature_store import FeatureStore
from core.tuning.fitting import Fitted, Setup, fit_classifier
from core.tuning.measure import Measurement
from core.tuning.method_cards import baseline_method
from core.tuning.progress import Progress, Report, unheard
from core.tuning.seal import run_card, run_record, save_model


@dataclass(frozen=True)
class CellResult:
    """What a cell gave. record: as of a single training, with `parts`. predictions: rows by part, the ranked first."""

    record: dict[str, Any]
    predictions: dict[str, list[dict[str, Any]]]


@dataclass
class Grid:
    """Everything that the cells of one experiment share.

    image_sets, targets: by the names the experiment gives them. texts: descriptions by name. home: of features and
    language models.
    """

    spec: ExperimentSpec
    backbone: Backbone
    image_sets: Mapping[str, ImageSet]
    targets: Mapping[str, ImageSet]
    texts: Mapping[str, DescriptionSet]
    home: Path
    _leakage: dict[Any, Leakage] = field(default_factory=dict, init=False)
    _measurable: set[str] = field(default_factory=set, init=False)
    _zero_shot: dict[Any, Fitted] = field(default_factory=dict, init=False)

    @cached_property
    def store(self) -> FeatureStore:
        """Features and texts, kept on disk."""
        return FeatureStore(self.home / "cache" / "features.sqlite")

    def setup(self, cell: Cell) -> Setup:
        """How a cell is trained. Raises InvalidOption, NotFound."""
        return cell_setup(self.spec, cell, self.image_sets[cell.image_set], self._forced(cell))

    def hash(self, cell: Cell) -> str:
        """The name of the cell's result, see `cell_hash`."""
        found, texts = self.image_sets[cell.image_set], self._texts(cell)
        return cell_hash(self.spec, cell, self.setup(cell), found, self.targets, texts, self.backbone)

    def run(
        self, cell: Cell, folder: Path, *, progress: Report = unheard, checkpoint_dir: Path | None = None
    ) -> CellResult:
        """Train and measure one cell and save its model. Raises what `train` raises."""
        started = time.monotonic()
        image_set, setup = self.image_sets[cell.image_set], self.setup(cell)
        progress(Progress("images"))
        self._check(image_set)
        drawn = draw_cell(self.spec, cell, image_set)
        check_targets(drawn.draw, image_set, self.targets)
        leakage = self._count(image_set, drawn, cell)
        fitted = self._fit(setup, drawn, cell, progress, checkpoint_dir)
        parts, said = measure_cell(
            self.spec,
            fitted,
            drawn,
            image_set,
            self.targets,
            lambda: self._baseline(setup, drawn, cell),
            self._texts(cell),
            store=self.store,
            home=self.home,
            progress=progress,
        )
        first = next(iter(parts.values()))
        asked = image_set if drawn.classes == image_set.classes else image_set.of_classes(drawn.classes)
        notes = [*drawn.notes, *self._controlled_notes(cell), *said]
        card = run_card(
            fitted, first, asked, leakage, shots=cell.shots, seconds=time.monotonic() - started, notes=notes
        )
        card["image_set"] = {"name": image_set.name, "fingerprint": image_set.fingerprint}
        card |= {"protocol": self.spec.protocol, "parts": {name: _part(found) for name, found in parts.items()}}
        if cell.share is not None:
            card["share"] = cell.share
        progress(Progress("saving"))
        save_model(card, fitted, folder)
        return CellResult(run_record(card, folder), {name: found.rows() for name, found in parts.items()})

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def _fit(
        self, setup: Setup, drawn: Drawn, cell: Cell, progress: Report, checkpoint_dir: Path | None = None
    ) -> Fitted:
        classes = trained_classes(drawn, setup.method)
        draw = drawn.draw if classes == drawn.classes else narrowed_draw(drawn.draw, drawn.classes, classes)
        return fit_classifier(
            setup,
            self.backbone,
            classes,
            draw,
            seed=cell.seed,
            store=self.store,
            home=self.home,
            descriptions=self._texts(cell),
            progress=progress,
            checkpoint_dir=checkpoint_dir,
        )

    def _baseline(self, setup: Setup, drawn: Drawn, cell: Cell) -> Fitted:
        """Zero-shot with the same words."""
        same = replace(setup, method=baseline_method(), variant="default", options={}, recipe=None)
        return self._fit(replace(same, epochs=None, views=None), drawn, cell, unheard)

    def _check(self, image_set: ImageSet) -> None:
        if image_set.fingerprint not in self._measurable:
            check_measurable(image_set, self.spec.allow_leakage)
            self._measurable.add(image_set.fingerprint)

    def _count(self, image_set: ImageSet, drawn: Drawn, cell: Cell) -> Leakage:
        """Leakage of the set for these drawn images, which methods share."""
        key = image_set.fingerprint, cell.shots, cell.share, cell.seed
        if key not in self._leakage:
            contents = {image.sha256 for image in (*drawn.draw.train, *drawn.draw.validation)}
            used = [image for image in image_set.images if image.sha256 in contents and image.part != "test"]
            self._leakage[key] = count_leakage(image_set, used, self.spec.allow_leakage)
        return self._leakage[key]

    def _texts(self, cell: Cell) -> DescriptionSet | None:
        return self.texts[cell.descriptions] if cell.descriptions else None

    def _forced(self, cell: Cell) -> dict[str, Any]:
        return controlled_options(self.spec, self.backbone.name) if self.spec.controlled else {}

    def _controlled_notes(self, cell: Cell) -> list[str]:
        return controlled_notes(self.spec, self.setup(cell), self.backbone.name) if self.spec.controlled else []


def _part(found: Measurement) -> dict[str, Any]:
    """One part of a cell, JSON-ready. chance, majority: accuracy of guessing and of always naming one class."""
    return {
        "classes": list(found.classes),
        "n_test": len(found.images),
        "metrics": found.metrics(),
        "confusion": found.confusion(),
        "per_class": found.per_class(),
        "intervals": found.intervals(),
        "chance": 1 / len(found.classes),
        "majority": majority_accuracy(found.labels),
    }


def run_cells(
    grid: Grid,
    cells: list[Cell],
    folder: Callable[[Cell], Path],
    done: Callable[[Cell, CellResult | Exception], None],
    *,
    progress: Callable[[Cell, Progress], None] | None = None,
) -> None:
    """Run cells in order. A cell that fails is handed to `done` with its error, and the next one goes on.

    progress may raise Cancelled, which ends all.
    """
    for cell in cells:
        found: CellResult | Exception
        try:
            found = grid.run(cell, folder(cell), progress=partial(progress, cell) if progress else unheard)
        except PromptoscopeError as error:
            found = error
        done(cell, found)
