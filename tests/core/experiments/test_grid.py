"""Cells of a grid: equal to single trainings, measured as their protocol says, failing one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import load_model, train
from core.errors import Leakage, TooFewImages
from core.experiments.cells import plan_cells
from core.experiments.grid import CellResult, Grid, run_cells
from core.experiments.spec import ExperimentSpec, parse_spec
from core.images.image_set import ImageSet
from tests.builders import tiny_backbone
from tests.core.experiments.conftest import spec_of

GridOf = Callable[[ExperimentSpec], Grid]


def run(grid: Grid, folder: Path, baseline: str | None = None) -> dict[str, CellResult | Exception]:
    found: dict[str, CellResult | Exception] = {}
    cells = plan_cells(grid.spec, baseline)
    run_cells(grid, cells, lambda cell: folder / str(cell.position), lambda c, r: found.__setitem__(c.label, r))
    return found


def good(found: CellResult | Exception) -> CellResult:
    assert isinstance(found, CellResult), found
    return found


@pytest.mark.parametrize("method", ["coop", "linear_probe", "tip_adapter", "zero_shot"])
def test_a_cell_equals_the_same_single_training(method: str, shades: ImageSet, grid_of: GridOf, tmp_path: Path) -> None:
    spec = spec_of([method], seeds=[2])
    (cell,) = plan_cells(spec)
    grid = grid_of(spec)
    # a first cell fills the stores, so that the second finds what a lone training computes
    grid.run(replace(cell, seed=1), tmp_path / "first")
    found = grid.run(cell, tmp_path / "cell")
    options = dict(cell.candidate.options)
    alone = train(shades, method, backbone=tiny_backbone(), shots=2, seed=2, options=options, home=tmp_path / "alone")
    assert found.predictions["test"] == alone.predictions
    for name in ("metrics", "confusion", "temperature", "options", "n_train", "n_val", "steps", "leakage"):
        assert found.record[name] == alone.record[name], name


def test_the_model_of_a_cell_loads(grid_of: GridOf, tmp_path: Path) -> None:
    spec = spec_of(["coop"], seeds=[1])
    found = good(run(grid_of(spec), tmp_path)["coop on shades, 2 shots, seed 1"])
    assert load_model(found.record["model"], backbone=tiny_backbone()).classes == ("black", "grey", "light", "white")


def test_base_to_novel_learns_some_classes_and_is_asked_about_the_others(grid_of: GridOf, tmp_path: Path) -> None:
    found = run(grid_of(spec_of(["coop", "linear_probe"], seeds=[1], protocol="base-to-novel")), tmp_path)
    words, head = (good(found[f"{name} on shades, 2 shots, seed 1"]) for name in ("coop", "linear_probe"))
    assert words.record["classes"] == ["black", "grey"]
    assert {name: part["classes"] for name, part in words.record["parts"].items()} == {
        "base": ["black", "grey"],
        "novel": ["light", "white"],
    }
    assert {row["label"] for row in words.predictions["novel"]} == {"light", "white"}
    assert {row["predicted"] for row in words.predictions["novel"]} <= {"light", "white"}
    assert list(head.predictions) == ["base"]
    assert any("cannot name new classes" in note for note in head.record["notes"])


def test_classes_that_the_encoder_knew_are_named_for_novel_classes_and_targets_too(
    grid_of: GridOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for protocol, known, more in (
        ("base-to-novel", ("Light",), {}),
        ("cross-set", ("white",), {"target_images": ["others"]}),
    ):
        grid = grid_of(spec_of(["zero_shot"], seeds=[1], protocol=protocol, **more))
        monkeypatch.setattr(grid.backbone, "known_classes", known)
        (found,) = run(grid, tmp_path / protocol).values()
        assert good(found).record["known_classes"] == [known[0].lower()]
        assert any(f"has learned {known[0].lower()} from labelled" in note for note in good(found).record["notes"])


def test_base_images_are_those_of_the_few_shot_protocol(shades: ImageSet, grid_of: GridOf, tmp_path: Path) -> None:
    from core.experiments.protocols import draw_cell

    spec = spec_of(["coop"], seeds=[3], protocol="base-to-novel")
    (cell,) = plan_cells(spec)
    base = {image.sha256 for image in draw_cell(spec, cell, shades).draw.train}
    plain = draw_cell(replace(spec, protocol="few-shot"), cell, shades).draw.train
    assert base == {image.sha256 for image in plain if image.label < 2}


def test_one_novel_class_is_named_trivial(grid_of: GridOf, tmp_path: Path) -> None:
    spec = spec_of(["zero_shot"], seeds=[1], protocol="base-to-novel", base_classes=["black", "grey", "white"])
    (found,) = run(grid_of(spec), tmp_path).values()
    assert any("100 % there means nothing" in note for note in good(found).record["notes"])


def test_cross_set_keeps_what_was_learned_and_takes_the_targets_names(grid_of: GridOf, tmp_path: Path) -> None:
    spec = spec_of(["coop", "linear_probe"], seeds=[1], protocol="cross-set", target_images=["others"])
    found = run(grid_of(spec), tmp_path)
    words, head = (good(found[f"{name} on shades, 2 shots, seed 1"]) for name in ("coop", "linear_probe"))
    assert list(words.record["parts"]) == ["test", "others"]
    assert words.record["parts"]["others"]["classes"] == ["black", "grey", "white"]
    # all names of the target are names of the source, so a head of four can answer
    assert list(head.record["parts"]) == ["test", "others"]
    assert {row["predicted"] for row in head.predictions["others"]} <= {"white", "black", "grey"}


def test_a_target_that_holds_a_training_image_is_refused(shades: ImageSet, tmp_path: Path) -> None:
    spec = spec_of(["zero_shot"], seeds=[1], protocol="cross-set", target_images=["again"])
    moved = tuple(replace(image, part="test") for image in shades.images)
    again = replace(shades, images=moved)
    grid = Grid(spec, tiny_backbone(), {"shades": shades}, {"again": again}, {}, tmp_path)
    with pytest.raises(Leakage, match="'again'"):
        grid.run(plan_cells(spec)[0], tmp_path / "model")


def test_full_takes_shares_and_records_them(grid_of: GridOf, tmp_path: Path) -> None:
    found = run(grid_of(spec_of(["linear_probe"], seeds=[1], protocol="full", shares=[50, 100])), tmp_path)
    half, whole = (good(each).record for each in found.values())
    assert (half["share"], half["n_train"], whole["share"], whole["n_train"]) == (0.5, 12, 1.0, 24)
    assert half["temperature"] == 1.0


def test_realistic_scores_a_class_it_has_not_seen_by_zero_shot(grid_of: GridOf, tmp_path: Path) -> None:
    spec = spec_of(["linear_probe", "zero_shot"], shots=[1], seeds=list(range(1, 9)), protocol="realistic")
    found = run(grid_of(spec), tmp_path)
    lacking = 0
    for seed in spec.seeds:
        head, plain = (good(found[f"{name} on shades, 1 shot, seed {seed}"]) for name in ("linear_probe", "zero_shot"))
        assert head.record["n_val"] == 0
        assert len(head.predictions["test"][0]["probabilities"]) == 4
        missing = [n for n in head.record["notes"] if n.startswith("The draw holds no image of")]
        lacking += len(missing)
        assert bool(missing) == any("scored by zero-shot" in note for note in head.record["notes"])
        assert plain.record["n_train"] == 4
    assert lacking > 0


def test_a_controlled_comparison_gives_all_the_same_updates(grid_of: GridOf, tmp_path: Path) -> None:
    spec = spec_of(["coop", "clip_adapter", "linear_probe"], seeds=[1], controlled=True, updates=3)
    found = {name.split(" ")[0]: good(each).record for name, each in run(grid_of(spec), tmp_path).items()}
    assert found["coop"]["steps"] == found["clip_adapter"]["steps"] == 3
    for name in ("batch_size", "augmentation", "drop_last"):
        assert found["coop"]["options"][name] == found["clip_adapter"]["options"][name]
    assert all(record["n_val"] == 0 for record in found.values())
    assert any("is solved" in note for note in found["linear_probe"]["notes"])


def test_a_cell_that_fails_is_named_and_the_next_goes_on(grid_of: GridOf, tmp_path: Path) -> None:
    found = list(run(grid_of(spec_of(["zero_shot"], shots=[2, 99], seeds=[1])), tmp_path).values())
    assert isinstance(found[0], CellResult)
    assert isinstance(found[1], TooFewImages)


def test_a_hash_names_all_that_a_result_depends_on(grid_of: GridOf) -> None:
    spec = spec_of(["coop"])
    grid, cells = grid_of(spec), plan_cells(spec)
    hashes = [grid.hash(cell) for cell in cells]
    assert len(set(hashes)) == 2
    assert [grid_of(spec).hash(cell) for cell in cells] == hashes
    renamed = grid_of(replace(spec, name="other"))
    assert [renamed.hash(cell) for cell in cells] == hashes
    for change in ({"epochs": 3}, {"template": "a {}."}, {"protocol": "base-to-novel"}, {"allow_leakage": True}):
        assert not {grid_of(replace(spec, **change)).hash(cell) for cell in cells} & set(hashes), change


def test_a_renamed_cell_keeps_its_probabilities_finite(grid_of: GridOf, tmp_path: Path) -> None:
    spec = spec_of(["coop"], seeds=[1], protocol="base-to-novel")
    (found,) = run(grid_of(spec), tmp_path).values()
    for rows in good(found).predictions.values():
        values = np.array([list(row["probabilities"].values()) for row in rows])
        assert np.isfinite(values).all()
        assert values.sum(axis=1) == pytest.approx(np.ones(len(rows)))


def test_cells_are_told_apart_by_their_labels() -> None:
    spec = spec_of(["coop", "linear_probe"], shots=[1, 2], seeds=[1, 2])
    labels = [cell.label for cell in plan_cells(spec, "zero_shot")]
    assert len(set(labels)) == len(labels)


def test_a_cell_is_named_by_the_title_of_its_method_and_what_its_line_adds() -> None:
    given = {"name": "x", "images": ["skin"], "methods": ["coop"], "shots": [1], "seeds": [1]}
    spec = parse_spec(given | {"options": {"coop": {"context_length": [2, 4]}}})
    names = [cell.named("CoOp") for cell in plan_cells(spec, "coop")]
    assert names == [f"CoOp (context_length {n}) on skin, 1 shot, seed 1" for n in (2, 4)]
