"""Held-out parts: stratified, by patient, repeatable."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput, TooFewImages
from core.images.split import hold_out
from tests.core.images.sets import Line, made_up


def test_each_class_gives_its_share() -> None:
    image_set = made_up([(0, "train", None)] * 40 + [(1, "train", None)] * 10 + [(2, "train", None)] * 2)
    parts = hold_out(image_set.images, image_set.classes, 0.3, seed=0)
    assert Counter(i.label for i in parts.held) == {0: 12, 1: 3, 2: 1}
    assert {i.part for i in parts.held} == {"test"}
    assert len(parts.kept) == 36


def test_draw_depends_on_content_and_seed_not_on_order() -> None:
    images = list(made_up([(n % 2, "train", None) for n in range(40)]).images)
    first = {i.sha256 for i in hold_out(images, ["a", "b"], 0.3, 0).held}
    random.Random(5).shuffle(images)
    assert {i.sha256 for i in hold_out(images, ["a", "b"], 0.3, 0).held} == first
    assert {i.sha256 for i in hold_out(images, ["a", "b"], 0.3, 1).held} != first


def test_large_group_stays_in_training_when_a_small_one_can_go() -> None:
    lines: list[Line] = [(0, "train", "big")] * 9 + [(0, "train", "small")] + [(1, "train", None)] * 10
    image_set = made_up(lines)
    for seed in range(10):
        held = hold_out(image_set.images, image_set.classes, 0.3, seed).held
        assert [i.group for i in held if i.label == 0] == ["small"]


def test_class_of_one_patient_cannot_be_cut_and_is_told() -> None:
    image_set = made_up([(0, "train", "p")] * 5 + [(1, "train", None)] * 6, ["rare", "common"])
    parts = hold_out(image_set.images, image_set.classes, 0.3, 0)
    assert Counter(i.label for i in parts.held) == {1: 2}
    assert parts.notes == ("Class 'rare' has no image in the test part: its images belong to too few groups.",)


def test_single_image_and_bad_fraction_are_refused() -> None:
    image_set = made_up([(0, "train", None), (1, "train", None), (1, "train", None)], ["rare", "common"])
    with pytest.raises(TooFewImages, match=r"needs at least 2 images in each class; 'rare' has 1. Add images or"):
        hold_out(image_set.images, image_set.classes)
    with pytest.raises(InvalidInput, match="A held-out fraction between 0 and 1; found 1"):
        hold_out(image_set.images, image_set.classes, 1.0)


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8)), min_size=6, max_size=80), st.integers(0, 1000))
def test_no_group_is_ever_cut(pairs: list[tuple[int, int]], seed: int) -> None:
    lines: list[Line] = [(label, "train", f"g{group}" if group else None) for label, group in pairs]
    lines += [(label, "train", None) for label in range(3) for _ in range(2)]
    image_set = made_up(lines)
    parts = hold_out(image_set.images, image_set.classes, 0.3, seed)
    groups = [{i.group for i in side if i.group} for side in (parts.kept, parts.held)]
    assert not groups[0] & groups[1]
    assert len(parts.kept) + len(parts.held) == len(image_set.images)
    assert {i.label for i in parts.kept} == {0, 1, 2}
