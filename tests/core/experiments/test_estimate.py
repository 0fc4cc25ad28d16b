"""What cells will take: what each takes by itself, what they share once, and how far it may be off."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.experiments.cells import Cell, plan_cells
from core.experiments.costs import (
    LEAST_SPREAD,
    MORE_IN_STEP,
    MOST_PACE,
    SPREAD_OF_ONE,
    Cost,
    EarlierPass,
    at_present_pace,
    cost_of_earlier,
    step_scale,
)
from core.experiments.estimate import (
    RECORDING_S,
    SPREAD_OF_MACHINE,
    Estimate,
    Machine,
    Part,
    estimate,
    total,
)
from core.experiments.grid import Grid
from core.experiments.spec import ExperimentSpec
from core.experiments.timing import PASSES_TIMED, PICTURES_PER_PASS, time_machine, time_method
from core.experiments.unread import unread_pictures
from core.images.image_set import ImageSet
from core.tuning.features import image_features
from core.tuning.registry import get_method
from tests.core.experiments.conftest import spec_of

GridOf = Callable[[ExperimentSpec], Grid]
TEST, CLASSES = 48, 4
"""Test images and classes of the set "shades"."""


def judged(spec: ExperimentSpec, shades: ImageSet, costs: dict[str, Cost], machine: Machine | None = None) -> Estimate:
    machine = machine or Machine(picture_s={"shades": 0.0})
    return estimate(spec, plan_cells(spec), {"shades": shades}, "tiny", costs, machine)


def seconds(*arguments: Any) -> float:
    found = judged(*arguments).seconds
    assert found is not None
    return found


def test_pictures_are_paid_once_however_many_cells_need_them(shades: ImageSet) -> None:
    machine = Machine(start_s=3.0, picture_s={"shades": 0.5}, search_s={"shades": 2.0, "another": 9.0})
    free = {"zero_shot": Cost(0.0, 0.0, None)}
    one = judged(spec_of(["zero_shot"], seeds=[1]), shades, free, machine)
    # 48 test images, and 2 validation images of each class
    assert one.shared == 3.0 + 2.0 + (TEST + 2 * CLASSES) * 0.5
    # another line on the same draw: its centre views alone are new
    free |= {"linear_probe": Cost(0.0, 0.0, None)}
    more = judged(spec_of(["zero_shot", "linear_probe"], seeds=[1]), shades, free, machine)
    assert more.shared == one.shared + 2 * CLASSES * 0.5
    assert more.seconds == pytest.approx(more.shared + 2 * RECORDING_S, abs=0.1)


def test_each_seed_and_view_of_a_training_image_is_another_picture(shades: ImageSet) -> None:
    def pictures(method: str, **values: Any) -> int:
        spec = spec_of([method], **values)
        found = unread_pictures(spec, plan_cells(spec), {"shades": shades}, {}, "tiny")
        return found["shades"] - TEST

    validation = 2 * CLASSES
    assert pictures("coop", seeds=[1], views=3) == 3 * 2 * CLASSES + validation
    assert pictures("linear_probe", seeds=[1]) == 2 * CLASSES + validation
    # views are drawn by the seed; validation images of two seeds may be the same ones
    both = pictures("coop", seeds=[1, 2], views=3)
    assert 2 * 3 * 2 * CLASSES + validation <= both <= 2 * (3 * 2 * CLASSES + validation)


def test_what_the_store_holds_is_not_counted(shades: ImageSet, grid_of: GridOf, tmp_path: Path) -> None:
    spec = spec_of(["linear_probe"], seeds=[1])
    grid = grid_of(spec)
    cells = plan_cells(spec)
    machine = time_machine(grid)
    asked = spec, cells, grid.image_sets, {}, grid.backbone.name, machine.tower, machine.kept
    assert unread_pictures(*asked)["shades"] > 0
    grid.run(cells[0], tmp_path / "cell")
    assert unread_pictures(*asked).total() == 0
    again = grid.run(cells[0], tmp_path / "again").record
    assert (again["feature_seconds"], again["encoded_pictures"]) == (0.0, 0)


def test_seeds_in_step_take_less_than_one_after_the_other(shades: ImageSet) -> None:
    spec = spec_of(["coop"], seeds=[1, 2, 3])  # 8 images in batches of 4 for 2 epochs: 4 steps
    cost = Cost(1.0, 10.0, None, more_in_step=0.25)
    fixed = 3 * (1.0 + RECORDING_S)
    assert seconds(spec, shades, {"coop": cost}) == pytest.approx(fixed + 4 * 10.0 * (1 + 2 * 0.25), abs=0.1)
    # gradients that are changed on their way are made one training at a time
    prograd = spec_of(["prograd"], seeds=[1, 2, 3], epochs=2)
    steps = 2 * (8 // 32 or 1)
    assert seconds(prograd, shades, {"prograd": cost}) == pytest.approx(fixed + 3 * steps * 10.0, abs=0.1)


def test_steps_scale_with_what_passes_the_towers() -> None:
    def scale(method: str, classes: int, images: float) -> float:
        kind = get_method(method)
        return step_scale(kind, kind.Config(), classes, images, (4, 8))

    assert scale("coop", 8, 16) == 2.0
    assert scale("cocoop", 8, 16) == 4.0
    assert scale("clip_adapter", 8, 16) == 1.0
    assert scale("vpt", 8, 16) in (1.0, 2.0)
    assert step_scale(get_method("coop"), get_method("coop").Config(), 8, 16, (None, None)) == 1.0


def test_ends_of_a_range_add_up_as_squares_and_the_machine_moves_all() -> None:
    middle, low, high = total([Part(3.0, 2.0), Part(4.0, 2.0)])
    assert middle == 7.0
    assert high == pytest.approx((7.0 + 5.0) * SPREAD_OF_MACHINE)
    assert low == pytest.approx((7.0 - math.hypot(1.5, 2.0)) / SPREAD_OF_MACHINE)
    many = total([Part(1.0, 2.0)] * 100)
    assert many[2] == pytest.approx(110.0 * SPREAD_OF_MACHINE)


RUN = {
    "seconds": 20.0,
    "training_seconds": 12.0,
    "feature_seconds": 7.0,
    "trained_together": 1,
    "steps": 6,
    "peak_mb": 500.0,
    "n_train": 8,
    "options": {"batch_size": 32},
    "classes": ["a", "b", "c", "d"],
}


def test_earlier_cells_tell_apart_what_is_their_own() -> None:
    found = cost_of_earlier([RUN, RUN | {"seconds": 13.5, "feature_seconds": 0.5}])
    assert found is not None
    assert (found.fixed_s, found.per_step_s, found.peak_mb) == (1.0, 2.0, 500.0)
    assert (found.classes, found.images, found.timed) == (4, 8, False)
    solved = cost_of_earlier([RUN | {"steps": 0}])
    assert solved is not None
    assert (solved.fixed_s, solved.per_step_s) == (13.0, 0.0)
    assert cost_of_earlier([]) is None


def test_a_share_of_steps_with_others_is_no_step_alone() -> None:
    found = cost_of_earlier([RUN | {"trained_together": 3}])
    assert found is not None
    alone = 2.0 * 3 / (1 + 2 * MORE_IN_STEP)
    assert found.per_step_s == pytest.approx(alone)
    # as many in step as before take what they took
    assert found.of_steps(6, 3) == pytest.approx(3 * RUN["training_seconds"])


def test_earlier_cells_count_as_the_machine_is_now() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    quiet, busy = RUN | {"at": noon}, RUN | {"at": noon + timedelta(minutes=50), "training_seconds": 36.0}
    passes = [EarlierPass("a", noon, 0.05), EarlierPass("a", noon + timedelta(minutes=45), 0.15)]
    passes.append(EarlierPass("unlike", noon, 9.0))
    found = at_present_pace([quiet, busy], passes, {"a": 0.1})
    assert [run["training_seconds"] for run in found] == pytest.approx([24.0, 24.0])
    assert [run["seconds"] for run in found] == pytest.approx([40.0, 20.0 / 1.5])
    # one that is not near in time, on another set or beyond belief says nothing of it
    later = RUN | {"at": noon + timedelta(hours=3)}
    assert at_present_pace([later], passes, {"a": 0.1}) == [later]
    assert at_present_pace([quiet], passes, {"b": 0.1}) == [quiet]
    (slow,) = at_present_pace([quiet], passes, {"a": 5.0})
    assert slow["training_seconds"] == pytest.approx(MOST_PACE * 12.0)


def test_trainings_in_step_are_one_measurement() -> None:
    apart = [RUN | {"training_seconds": seconds} for seconds in (12.0, 12.1, 12.2)]
    assert [cost_of_earlier(runs).spread for runs in ([RUN] * 3, apart)] == [SPREAD_OF_ONE, LEAST_SPREAD]  # type: ignore[union-attr]


def test_pictures_are_timed_though_their_features_are_kept(grid_of: GridOf) -> None:
    grid = grid_of(spec_of(["zero_shot"], seeds=[1]))
    plain, passes = grid.backbone.encode_images_frozen, []

    def counted(pixels: Any, tokens: Any = None) -> Any:
        passes.append(len(pixels))
        return plain(pixels, tokens)

    grid.backbone.encode_images_frozen = counted  # type: ignore[method-assign]
    first = time_machine(grid).picture_s["shades"]
    assert passes == [PICTURES_PER_PASS] * PASSES_TIMED
    # what was timed is kept
    test = grid.image_sets["shades"].part("test")
    image_features(grid.backbone, test[: PASSES_TIMED * PICTURES_PER_PASS], grid.store)
    assert grid.store.computed.pictures == max(0, len(test) - PASSES_TIMED * PICTURES_PER_PASS)
    assert (time_machine(grid).picture_s["shades"] > 0) == (first > 0)
    assert sum(passes) >= 2 * PASSES_TIMED * PICTURES_PER_PASS


@pytest.mark.parametrize("method", ["zero_shot", "linear_probe", "coop"])
def test_a_method_is_timed_without_its_features(method: str, grid_of: GridOf) -> None:
    spec = spec_of([method], seeds=[1, 2])
    grid = grid_of(spec)
    cells: list[Cell] = [cell for cell in plan_cells(spec) if cell.candidate.method == method]
    took: list[float] = []
    plain = grid.backbone.encode_images_frozen

    def slow(pixels: Any, tokens: Any = None) -> Any:
        took.append(1.0)
        return plain(pixels, tokens)

    grid.backbone.encode_images_frozen = slow  # type: ignore[method-assign]
    found = time_method(grid, cells)
    assert found is not None
    assert found.timed
    assert took, "nothing was computed"
    assert bool(found.per_step_s) == (method == "coop")
    assert 0 <= found.more_in_step <= 1
    count = len(took)
    time_method(grid, cells)
    assert len(took) == count  # features of the first time are kept


def test_what_cannot_begin_is_not_timed(grid_of: GridOf) -> None:
    spec = spec_of(["linear_probe"], shots=[999])
    assert time_method(grid_of(spec), plan_cells(spec)) is None


def test_cells_of_unknown_methods_are_named_and_left_out(shades: ImageSet) -> None:
    spec = replace(spec_of(["zero_shot", "linear_probe"], seeds=[1]))
    found = judged(spec, shades, {"zero_shot": Cost(1.0, 0.0, None, timed=True)})
    assert (found.unknown, found.by_timing) == (("linear_probe",), ("zero_shot",))
    assert judged(spec, shades, {}).seconds is None
