"""A bundle reads back as it was written, and answers are compared one by one; nothing is trained here."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from core.experiments.bundle import Bundle, read_bundle, unpack_images, write_bundle
from core.experiments.cells import Cell
from core.experiments.grid import CellResult
from core.experiments.repeat import compared
from core.experiments.spec import Candidate
from tests.core.experiments.conftest import spec_of

CELL = {"position": 0, "image_set": "shades", "line": "linear_probe", "shots": 2, "share": None, "seed": 1}


@pytest.fixture
def bundle(shades) -> Bundle:
    texts = {"mine": {"": {"source": "a file", "sentences": {"black": ["dark", "as night"]}}}}
    answers = {0: {"parts": {"test": [row("a", "black", 0.75)]}, "drawn": {"train": ["a", "b"]}}}
    sets = {"images": {"shades": shades}, "targets": {}}
    spec = spec_of(["linear_probe", "coop"], shots=[2, 4])
    return Bundle("quick", spec, texts, sets, {"threads": 1}, (CELL | {"descriptions": "mine"},), answers)


def row(sha256: str, label: str, p: float) -> dict[str, Any]:
    predicted = "black" if p > 0.5 else "grey"
    return {"sha256": sha256, "label": label, "predicted": predicted, "probabilities": {"black": p, "grey": 1 - p}}


def test_everything_but_names_and_paths_reads_back(bundle, shades, tmp_path):
    write_bundle(tmp_path / "b.zip", bundle)
    found = read_bundle(tmp_path / "b.zip")
    assert (found.name, found.spec.hash, found.texts) == (bundle.name, bundle.spec.hash, bundle.texts)
    assert (found.cells, found.answers, found.environment) == (bundle.cells, bundle.answers, bundle.environment)
    (images,) = found.sets["images"].values()
    assert images.fingerprint == shades.fingerprint
    assert [(i.sha256, i.label, i.part) for i in images.images] == [(i.sha256, i.label, i.part) for i in shades.images]
    assert found.contents == {image.sha256 for image in shades.images}
    assert unpack_images(tmp_path / "b.zip", tmp_path) == {}


def test_images_are_checked_by_their_hash(bundle, shades, tmp_path):
    first, second = shades.images[:2]
    write_bundle(tmp_path / "b.zip", bundle, {first.sha256: first.path})
    (tmp_path / "out").mkdir()
    (unpacked,) = unpack_images(tmp_path / "b.zip", tmp_path / "out").items()
    assert unpacked[0] == first.sha256
    assert unpacked[1].read_bytes() == first.path.read_bytes()
    write_bundle(tmp_path / "b.zip", bundle, {second.sha256: first.path})
    with pytest.raises(InvalidInput, match="has other bytes"):
        unpack_images(tmp_path / "b.zip", tmp_path / "out")


def test_another_file_is_no_bundle(tmp_path):
    (tmp_path / "no.zip").write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match="A whole file of `promptoscope bundle export`"):
        read_bundle(tmp_path / "no.zip")


OLD = [row("a", "black", 0.75), row("b", "grey", 0.25)]


@pytest.mark.parametrize(
    ("new", "drawn", "verdict", "largest", "changed"),
    [
        (OLD, ["x"], "identical", 0.0, 0),
        ([OLD[0], row("b", "grey", 0.2421875)], ["x"], "within tolerance", 0.0078125, 0),
        ([OLD[0], row("b", "grey", 0.75)], ["x"], "different", 0.5, 1),
        (OLD, ["y"], "different", 0.0, 0),
        ([OLD[0], row("c", "grey", 0.25)], ["x"], "different", None, 0),
        (OLD[:1], ["x"], "different", None, 0),
    ],
)
def test_answers_are_compared_image_by_image(new, drawn, verdict, largest, changed):
    cell = Cell(0, "shades", Candidate("linear_probe", label="linear_probe"), 2, None, 1)
    result = CellResult({}, {"test": new}, {"train": [{"sha256": each} for each in drawn]})
    found = compared(cell, result, {"parts": {"test": OLD}, "drawn": {"train": ["x"], "validation": []}}, 0.01)
    assert (found.verdict, found.largest, found.changed) == (verdict, largest, changed)
    assert found.n == 2


def test_a_cell_that_fails_says_why():
    cell = Cell(0, "shades", Candidate("linear_probe", label="linear_probe"), 2, None, 1)
    found = compared(cell, InvalidInput("A", "b", "C."), {"parts": {}, "drawn": {}})
    assert (found.verdict, found.why) == ("failed", "A; b. C.")
