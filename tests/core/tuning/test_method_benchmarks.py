"""The commands that train and weigh every method, on a tiny backbone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.every_method import cell, options_of, reads_features, sentence, together
from benchmarks.method_costs import FILE, LAYOUTS, TIMED, learned_numbers, machine, measured, write
from core.backbones.loading import load_backbone
from core.backbones.random_folder import build_random_backbone_folder
from core.images.image_set import ImageSet
from core.tuning.registry import get_method, method_names
from tests.builders import tiny_backbone, tiny_backbone_folder

WORDS = next(name for name in method_names() if get_method(name).learns_words)
DIRECT = next(
    name
    for name in method_names()
    if not get_method(name).trains_by_steps
    and not get_method(name).is_baseline
    and "iterations" not in {row["name"] for row in get_method(name).Config.schema()}
)
"""A closed form: those with iterations take seconds."""
NEEDS_ENCODER = next(name for name in method_names() if "encoder" in get_method(name).needs)


def test_a_cell_has_accuracy_and_learned_numbers(disc_set: ImageSet, tmp_path: Path) -> None:
    line = cell(disc_set, DIRECT, 3, options_of(DIRECT, 2, ""), tiny_backbone(), tmp_path)
    assert (line["method"], line["shots"], line["refused"]) == (DIRECT, 3, None)
    assert 0 <= line["accuracy"] <= 1
    assert line["trainable_parameters"] > 0
    assert f"accuracy {line['accuracy']:.3f}" in sentence(line)


def test_a_cell_that_is_refused_tells_the_words(disc_set: ImageSet, tmp_path: Path) -> None:
    line = cell(disc_set, NEEDS_ENCODER, 3, options_of(NEEDS_ENCODER, 2, ""), tiny_backbone(), tmp_path)
    assert line["accuracy"] is None
    assert "needs an image encoder; 'encoder' is empty." in line["refused"]
    assert "refused: " in sentence(line)


def test_options_are_given_to_those_that_have_them() -> None:
    assert options_of(WORDS, 2, "folder") == {"epochs": 2}
    assert options_of(NEEDS_ENCODER, 2, "folder") == {"encoder": "folder"}
    for name in method_names():
        if get_method(name).starts_from:
            assert "encoder" not in options_of(name, 2, "folder")


def test_methods_on_features_are_timed_together_once_these_are_known(disc_set: ImageSet, tmp_path: Path) -> None:
    assert reads_features(DIRECT)
    assert not reads_features(WORDS)
    line = together(disc_set, [DIRECT, NEEDS_ENCODER], 3, "", tiny_backbone(), tmp_path)
    assert line["together"] == [DIRECT]
    assert line["seconds"] > 0
    assert "1 methods that learn from features alone" in sentence(line)


def test_a_method_is_weighed_and_timed_and_written_beside_others(tmp_path: Path) -> None:
    folder, file = tiny_backbone_folder(), tmp_path / "costs.json"
    found = dict(measured([WORDS, DIRECT], TIMED, tiny_backbone(), folder, timed=True))
    assert [found[name]["of"] for name in (WORDS, DIRECT)] == ["epoch", "fit"]
    assert all(row["seconds"] >= 0 and row["trainable_parameters"][TIMED] > 0 for row in found.values())
    for name, row in found.items():
        write(file, name, row)
    write(file, WORDS, {"trainable_parameters": {LAYOUTS[0]: 5}})
    record = json.loads(file.read_text())
    assert record["machine"] == machine()
    assert record["methods"][WORDS]["trainable_parameters"][LAYOUTS[0]] == 5
    assert record["methods"][WORDS]["seconds"] == found[WORDS]["seconds"]
    assert set(record["methods"]) == {WORDS, DIRECT}


def test_what_was_weighed_is_known_and_whole() -> None:
    record = json.loads(FILE.read_text("utf-8"))["methods"]
    assert set(record) <= set(method_names())
    for name, row in record.items():
        assert set(row["trainable_parameters"]) == set(LAYOUTS), f"python -m benchmarks.method_costs --methods {name}"
        assert row.get("of") in (None, "epoch" if get_method(name).trains_by_steps else "fit")


@pytest.mark.slow
def test_what_was_weighed_still_holds(tmp_path: Path) -> None:
    from benchmarks.method_costs import built

    record, layout = json.loads(FILE.read_text("utf-8"))["methods"], LAYOUTS[0]
    folder = build_random_backbone_folder(tmp_path / layout, layout=layout, seed=1)
    tower = load_backbone(str(folder), device="cpu", precision="fp32", home=tmp_path)
    for name in record:
        assert learned_numbers(built(name, tower, folder)) == record[name]["trainable_parameters"][layout], name
