"""Draws of other protocols: nested shares, images as they come, halves of the classes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from core.errors import ClassMismatch, InvalidInput, TooFewImages
from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage, Part
from core.images.protocol_draws import draw_as_they_come, draw_share, halves, narrowed_draw
from core.images.shots import draw_shots


def image_set(sizes: dict[str, int], per_patient: int | None = None, parts: tuple[Part, ...] = ("train",)) -> ImageSet:
    images = []
    for part in parts:
        for label, (name, size) in enumerate(sizes.items()):
            for number in range(size):
                group = None if per_patient is None else f"{part} {name} {number // per_patient}"
                key = f"{part}-{name}-{number}"
                images.append(LabelledImage(Path(key), key, label, part, key, group))
    return ImageSet("drawn", tuple(sizes), tuple(images))


@pytest.mark.parametrize("per_patient", [None, 3])
def test_a_larger_share_holds_a_smaller_one(per_patient: int | None) -> None:
    found = image_set({"a": 40, "b": 11}, per_patient, ("train", "val"))
    draws = [draw_share(found, share, seed=2) for share in (0.1, 0.3, 1.0)]
    for smaller, larger in pairwise(draws):
        assert set(smaller.train) < set(larger.train)
        assert set(smaller.validation) < set(larger.validation)
    assert len(draws[2].train) == 51


def test_a_share_counts_images_up_and_takes_each_class() -> None:
    drawn = draw_share(image_set({"a": 40, "b": 11, "c": 1}), 0.1, seed=1).train
    assert [sum(image.label == label for image in drawn) for label in range(3)] == [4, 2, 1]


def test_a_share_takes_patients_whole() -> None:
    found = image_set({"a": 30, "b": 30}, per_patient=5)
    drawn = draw_share(found, 0.3, seed=1).train
    taken = {image.group for image in drawn}
    assert all(image in drawn for image in found.part("train") if image.group in taken)
    assert len(drawn) == 20


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput, match="above 0"):
        draw_share(image_set({"a": 2, "b": 2}), share, seed=1)


def test_images_as_they_come_follow_the_prevalence_and_may_miss_a_class() -> None:
    found = image_set({"common": 900, "rare": 9})
    labels = [image.label for seed in range(40) for image in draw_as_they_come(found, 50, seed)[0].train]
    # 1 in 100 are rare, and a draw without a rare image is drawn again
    assert 0.02 <= sum(labels) / len(labels) < 0.04
    notes = [note for seed in range(40) for note in draw_as_they_come(found, 50, seed)[1]]
    assert any("drawn again" in note for note in notes)
    three = image_set({"a": 90, "b": 90, "rare": 1})
    assert any("no image of 'rare'" in note for note in draw_as_they_come(three, 20, 1)[1])


def test_images_as_they_come_keep_nothing_back_and_repeat() -> None:
    found = image_set({"a": 20, "b": 20}, parts=("train", "val"))
    first, again = (draw_as_they_come(found, 10, seed=3)[0] for _ in range(2))
    assert first == again
    assert first.validation == ()
    assert len(first.train) == 10


@pytest.mark.parametrize("count", [1, 41])
def test_too_few_or_too_many_images_are_refused(count: int) -> None:
    with pytest.raises(TooFewImages):
        draw_as_they_come(image_set({"a": 20, "b": 20}), count, seed=1)


def test_the_first_half_is_base_and_is_rounded_up() -> None:
    assert halves("abcde") == (("a", "b", "c"), ("d", "e"))
    assert halves("abcde", ("b", "e")) == (("b", "e"), ("a", "c", "d"))


def test_halves_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidInput, match="three classes"):
        halves("ab")
    with pytest.raises(InvalidInput, match="three classes"):
        halves("abc", ("a", "b", "c"))
    with pytest.raises(ClassMismatch, match="'z'"):
        halves("abc", ("z",))


def test_base_images_are_those_of_the_few_shot_draw() -> None:
    found = image_set({"a": 20, "b": 20, "c": 20})
    whole = draw_shots(found, 4, seed=1)
    base = narrowed_draw(whole, found.classes, ("c", "a"))
    assert [image.sha256 for image in base.train] == [i.sha256 for i in whole.train if i.label in (0, 2)]
    assert {image.label for image in base.train if image.sha256.startswith("train-c")} == {0}
