"""Running cells one after the other, so that each pays only for what no earlier one has paid for.

One backbone, one store of features and texts, one reading of each image set and one search for leakage serve all cells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from core.backbones.contract import Backbone
from core.descriptions.description_set import DescriptionSet
from core.errors import PromptoscopeError
from core.evaluation.metrics import majority_accuracy
from core.experiments.cells import Cell, cell_hash, cell_setup, in_step
from core.experiments.controlled import controlled_notes, controlled_options
from core.experiments.protocols import Drawn, check_targets, draw_cell, measure_cell, trained_classes
from core.experiments.spec import ExperimentSpec
from core.images.image_set import ImageSet
from core.images.leak_counts import Leakage, LeakSearch
from core.images.protocol_draws import narrowed_draw
from core.tuning.drawing import check_measurable
from core.tuning.feature_store import Computed, FeatureStore
from core.tuning.fitting import Fitted, Seeded, Setup, fit_classifiers
from core.tuning.measure import Measurement
from core.tuning.method_cards import baseline_method
from core.tuning.progress import Progress, Report, unheard
from core.tuning.seal import run_card, run_record, save_model


@dataclass(frozen=True)
class CellResult:
    """What a cell gave.

    record: as of a single training, with `parts`. predictions: rows by part, the ranked first. drawn: the images it
    learned from, see `core.tuning.train.TrainedRun`.
    """

    record: dict[str, Any]
    predictions: dict[str, list[dict[str, Any]]]
    drawn: dict[str, list[dict[str, str]]]


@dataclass(frozen=True)
class Order:
    """A cell to be run: folder of its model, who hears of its progress, where its unfinished state is kept."""

    cell: Cell
    folder: Path
    progress: Report = unheard
    checkpoint_dir: Path | None = None


@dataclass
class Grid:
    """Everything that the cells of one experiment share.

    image_sets, targets: by the names the experiment gives them. texts: descriptions by name, or by (image set, name)
    where each set has its own. home: of features and language models. features: where they are kept instead.
    """

    spec: ExperimentSpec
    backbone: Backbone
    image_sets: Mapping[str, ImageSet]
    targets: Mapping[str, ImageSet]
    texts: Mapping[str | tuple[str, str], DescriptionSet]
    home: Path
    features: Path | None = None
    _searched: dict[str, LeakSearch] = field(default_factory=dict, init=False)
    _leakage: dict[Any, Leakage] = field(default_factory=dict, init=False)
    _measurable: set[str] = field(default_factory=set, init=False)

    @cached_property
    def store(self) -> FeatureStore:
        """Features and texts, kept on disk."""
        return FeatureStore(self.features or self.home / "cache" / "features.sqlite")

    def setup(self, cell: Cell) -> Setup:
        """How a cell is trained. Raises InvalidOption, NotFound."""
        return cell_setup(self.spec, cell, self.image_sets[cell.image_set], self._forced())

    def hash(self, cell: Cell) -> str:
        """The name of the cell's result, see `cell_hash`."""
        found, texts = self.image_sets[cell.image_set], self.texts_of(cell)
        return cell_hash(self.spec, cell, self.setup(cell), found, self.targets, texts, self.backbone)

    def run(
        self, cell: Cell, folder: Path, *, progress: Report = unheard, checkpoint_dir: Path | None = None
    ) -> CellResult:
        """Train and measure one cell and save its model. Raises what `train` raises."""
        return self.run_in_step([Order(cell, folder, progress, checkpoint_dir)])[0]

    def run_in_step(self, orders: Sequence[Order]) -> list[CellResult]:
        """Cells that differ in their seed only, trained in step where their method allows it."""
        started = time.monotonic()
        first = orders[0].cell
        image_set, setup = self.image_sets[first.image_set], self.setup(first)
        for order in orders:
            order.progress(Progress("images"))
        self._check(image_set)
        drawn = [draw_cell(self.spec, order.cell, image_set) for order in orders]
        for each in drawn:
            check_targets(each.draw, image_set, self.targets)
        before = self.store.computed
        fitted = self._fit(setup, drawn, orders)
        # the time of what was done for all is shared out
        spent = (time.monotonic() - started) / len(orders)
        shared = (self.store.computed - before).shared_by(len(orders))
        return [self._seal(*each, spent, shared) for each in zip(orders, drawn, fitted, strict=True)]

    def _seal(self, order: Order, drawn: Drawn, fitted: Fitted, spent: float, computed: Computed) -> CellResult:
        """Measure a fitted cell and save its model. spent: seconds before this. computed: features in them."""
        started, before = time.monotonic(), self.store.computed
        cell, image_set = order.cell, self.image_sets[order.cell.image_set]
        leakage = self._count(image_set, drawn, cell)
        parts, said = measure_cell(
            self.spec,
            fitted,
            drawn,
            image_set,
            self.targets,
            lambda: self._baseline(fitted.setup, drawn, cell),
            self.texts_of(cell),
            store=self.store,
            home=self.home,
            progress=order.progress,
        )
        first = next(iter(parts.values()))
        asked = image_set if drawn.classes == image_set.classes else image_set.of_classes(drawn.classes)
        notes = [*drawn.notes, *self._controlled_notes(cell), *said]
        seconds = spent + time.monotonic() - started
        computed += self.store.computed - before
        card = run_card(
            fitted,
            first,
            asked,
            leakage,
            shots=cell.shots,
            seconds=seconds,
            computed=computed,
            notes=notes,
            # what the encoder knew makes the numbers of every part too good, also of names it was not trained on
            asked=list(dict.fromkeys(name for found in parts.values() for name in found.classes)),
        )
        card["image_set"] = {"name": image_set.name, "fingerprint": image_set.fingerprint}
        card |= {"protocol": self.spec.protocol, "parts": {name: _part(found) for name, found in parts.items()}}
        if cell.share is not None:
            card["share"] = cell.share
        order.progress(Progress("saving"))
        save_model(card, fitted, order.folder)
        predictions = {name: found.rows() for name, found in parts.items()}
        return CellResult(run_record(card, order.folder), predictions, fitted.draw.as_dict())

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def _fit(self, setup: Setup, drawn: Sequence[Drawn], orders: Sequence[Order]) -> list[Fitted]:
        """Fit the cells, those together that are built for the same classes."""
        found: dict[int, Fitted] = {}
        built = [trained_classes(each, setup.method) for each in drawn]
        for classes in dict.fromkeys(built):
            at = [place for place, own in enumerate(built) if own == classes]
            seeded = [
                Seeded(
                    narrowed_draw(drawn[place].draw, drawn[place].classes, classes),
                    orders[place].cell.seed,
                    orders[place].progress,
                    orders[place].checkpoint_dir,
                )
                for place in at
            ]
            texts = self.texts_of(orders[0].cell)
            fitted = fit_classifiers(
                setup, self.backbone, classes, seeded, store=self.store, home=self.home, descriptions=texts
            )
            found |= dict(zip(at, fitted, strict=True))
        return [found[place] for place in range(len(orders))]

    def _baseline(self, setup: Setup, drawn: Drawn, cell: Cell) -> Fitted:
        """Zero-shot with the same words."""
        same = replace(setup, method=baseline_method(), variant="default", options={}, recipe=None)
        return self._fit(replace(same, epochs=None, views=None), [drawn], [Order(cell, self.home)])[0]

    def _check(self, image_set: ImageSet) -> None:
        if image_set.fingerprint not in self._measurable:
            check_measurable(image_set, self.spec.allow_leakage)
            self._measurable.add(image_set.fingerprint)

    def search(self, image_set: ImageSet) -> None:
        """Check a set and search it for leakage, once for all cells. Raises Leakage, TooFewImages."""
        self._check(image_set)
        if image_set.fingerprint not in self._searched:
            self._searched[image_set.fingerprint] = LeakSearch(image_set)

    def _count(self, image_set: ImageSet, drawn: Drawn, cell: Cell) -> Leakage:
        """Leakage of the set for these drawn images, which methods share; the set is searched once."""
        own = image_set.fingerprint
        key = own, cell.shots, cell.share, cell.seed
        self.search(image_set)
        if key not in self._leakage:
            contents = {image.sha256 for image in (*drawn.draw.train, *drawn.draw.validation)}
            used = [image for image in image_set.images if image.sha256 in contents and image.part != "test"]
            self._leakage[key] = self._searched[own].count(used, self.spec.allow_leakage)
        return self._leakage[key]

    def texts_of(self, cell: Cell) -> DescriptionSet | None:
        """The descriptions a cell uses; None where sentences are made from the names."""
        if not cell.descriptions:
            return None
        own = cell.image_set, cell.descriptions
        return self.texts[own if own in self.texts else cell.descriptions]

    def _forced(self) -> dict[str, Any]:
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
    cells: Sequence[Cell],
    folder: Callable[[Cell], Path],
    done: Callable[[Cell, CellResult | Exception], None],
) -> None:
    """Run cells in order, those in step that can be. A cell that fails is handed to `done` with its error."""
    for together in in_step(cells):
        orders = [Order(cell, folder(cell)) for cell in together]
        for cell, found in zip(together, run_each(grid, orders), strict=True):
            done(cell, found)


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, PromptoscopeError)


def run_each(
    grid: Grid, orders: Sequence[Order], is_theirs: Callable[[Exception], bool] = _is_refusal
) -> Iterator[CellResult | Exception]:
    """What each order gives, in their order: run in step, and each by itself where that fails.

    Whichever of them it was, the others are not to suffer. is_theirs: whether an error is a cell's own; one that is not
    is raised.
    """
    try:
        found: Sequence[CellResult | Exception] = grid.run_in_step(orders)
    except Exception as error:
        if not is_theirs(error):
            raise
        found = [error] if len(orders) == 1 else []
    if found:
        yield from found
        return
    for order in orders:
        yield from run_each(grid, [order], is_theirs)
