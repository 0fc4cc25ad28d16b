"""Published image sets: their facts hang together, and a folder in the published form is read as the papers read it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidOption, UnreadableSource
from core.images.benchmarks import benchmarks, get_benchmark, plain_name
from core.images.decode import decode_image
from core.images.published import read_benchmark
from tests.core.images.builders import encoded, write_folder

BTMRI = {"pituitary": 3, "notumor": 2, "glioma_tumor": 1, "meningioma": 0}
"""Folders as different sources call them, and the label that the published split gives each in another order."""


def brain_set(folder: Path, names: dict[str, int] | None = None) -> Path:
    """The published form: class folders in a folder of the set's name, beside the split file."""
    names = names or BTMRI
    numbers = {"train": 3, "val": 1, "test": 2}
    split: dict[str, list[list[object]]] = {part: [] for part in numbers}
    files = {}
    for number, (name, label) in enumerate(names.items()):
        for place, part in enumerate(part for part, many in numbers.items() for _ in range(many)):
            files[f"BTMRI/{name}/{place}.png"] = encoded(10 * number + place)
            split[part].append([f"{name}/{place}.png", label, name.replace("_", " ")])
    folder = write_folder(folder, files)
    (folder / "split_BTMRI.json").write_text(json.dumps(split))
    return folder


def arrays(folder: Path, name: str, labels: int, size: int = 12) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    drawn = np.random.default_rng(labels)
    each = {
        f"{part}_{what}": values
        for part, many in (("train", 3), ("val", 1), ("test", 2))
        for what, values in (
            ("images", drawn.integers(0, 256, (many * labels, size, size), dtype=np.uint8)),
            ("labels", np.tile(np.arange(labels), many).reshape(-1, 1)),
        )
    }
    np.savez(folder / name, **each)
    return folder


def test_every_set_of_the_papers_is_there_and_can_be_told_from_the_others() -> None:
    by_paper = {
        paper: [each for each in benchmarks().values() if paper in each.used_by]
        for paper in ("BiomedCoOp", "CILMP", "MedMNIST+ 2D")
    }
    assert {paper: len(found) for paper, found in by_paper.items()} == {
        "BiomedCoOp": 11,
        "CILMP": 11,
        "MedMNIST+ 2D": 11,
    }
    for each in benchmarks().values():
        known = [*each.classes, *(name for names in each.other_names.values() for name in names)]
        assert set(each.other_names) <= set(each.classes)
        assert len({plain_name(name) for name in known}) == len(known), each.name
        assert len(each.images) == 3
        assert each.tree.splitlines()[0] == f"{each.folder}/"
        assert get_benchmark(each.title) is each


def test_an_unknown_set_gets_the_nearest_name() -> None:
    with pytest.raises(InvalidOption, match="Did you mean 'btmri'"):
        get_benchmark("bmtri")


@pytest.mark.parametrize("inside", ["", "BTMRI", "all/btmri"])
def test_the_published_folder_is_read_in_label_order_by_the_published_names(tmp_path: Path, inside: str) -> None:
    brain_set(tmp_path / inside)
    found = read_benchmark(tmp_path / inside.removesuffix("btmri").removesuffix("BTMRI"), "btmri")
    assert found.classes == ("glioma tumor", "meningioma tumor", "pituitary tumor", "normal brain")
    assert found.modality == "brain MRI"
    assert found.name == "BTMRI"
    assert found.counts() == {name: {"train": 3, "val": 1, "test": 2} for name in found.classes}
    assert {image.path.parent.name for image in found.images if image.label == 2} == {"pituitary"}
    assert "have 12 / 4 / 8 images here and 2,854 / 1,141 / 1,717 as published" in " ".join(found.notes)


def test_parts_as_large_as_published_are_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = get_benchmark("btmri")
    monkeypatch.setattr("core.images.published.get_benchmark", lambda name: replace(known, images=(12, 4, 8)))
    notes = read_benchmark(brain_set(tmp_path), "btmri").notes
    assert "Read as BTMRI: training, validation and test part have the published 12 / 4 / 8 images." in notes


def test_arrays_without_names_get_those_of_their_labels(tmp_path: Path) -> None:
    arrays(tmp_path, "octmnist.npz", 4, size=8)
    found = read_benchmark(arrays(tmp_path, "octmnist_224.npz", 4), "octmnist")
    assert found.classes == get_benchmark("octmnist").classes
    assert found.counts()["drusen"] == {"train": 3, "val": 1, "test": 2}
    assert decode_image(found.images[0].path).size == (12, 12), "the larger of two archives is read"
    assert not any("no class names" in note for note in found.notes)


@pytest.mark.parametrize(
    "names",
    [
        {"glioma": 0, "meningioma": 1, "pituitary": 2},
        {"glioma": 0, "meningioma": 1, "pituitary": 2, "normal brain": 3, "stroke": 4},
        {"glioma": 0, "glioma tumor": 1, "pituitary": 2, "meningioma": 3, "no tumor": 4},
    ],
    ids=["one missing", "one too many", "one twice"],
)
def test_other_classes_are_refused_with_the_files_that_are_expected(tmp_path: Path, names: dict[str, int]) -> None:
    with pytest.raises(UnreadableSource) as refused:
        read_benchmark(brain_set(tmp_path, names), "btmri")
    assert "The classes of BTMRI; found 'glioma" in refused.value.sentence
    assert "split_BTMRI.json\n  BTMRI/\n    glioma_tumor/" in refused.value.sentence
    assert "Kaggle, masoudnickparvar/brain-tumor-mri-dataset" in refused.value.sentence


def test_an_empty_folder_is_told_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"pathmnist_224\.npz"):
        read_benchmark(tmp_path, "pathmnist")
