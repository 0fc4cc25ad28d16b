"""The few-shot draw is the published one, image by image."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput, TooFewImages
from core.images.labelled_image import LabelledImage
from core.images.shots import draw_shots
from tests.core.images.sets import Line, made_up


def mixed(n_train: int = 60, n_val: int = 30, seed: int = 0) -> list[Line]:
    """Training and validation lines of three classes in a shuffled order."""
    lines: list[Line] = [(n % 3, "train", None) for n in range(n_train)]
    lines += [(n % 3, "val", None) for n in range(n_val)]
    random.Random(seed).shuffle(lines)
    return lines


def numbers(images: tuple[LabelledImage, ...]) -> list[int]:
    return [int(image.path.stem) for image in images]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shots", [1, 2, 4, 8, 16])
def test_draw_is_random_sample_by_class_in_order_of_first_appearance(shots: int, seed: int) -> None:
    lines = mixed()
    stream = random.Random(seed)
    expected: dict[str, list[int]] = {}
    for part, count in (("train", shots), ("val", min(shots, 4))):
        rows = [n for n, line in enumerate(lines) if line[1] == part]
        order = list(dict.fromkeys(lines[n][0] for n in rows))
        expected[part] = [n for label in order for n in stream.sample([r for r in rows if lines[r][0] == label], count)]
    draw = draw_shots(made_up(lines), shots, seed)
    assert numbers(draw.train) == expected["train"]
    assert numbers(draw.validation) == expected["val"]


def test_worked_draw_of_two_classes() -> None:
    """random.Random(1) draws 1, 2 of the first four images and then 4, 5 of the next four."""
    lines: list[Line] = [(1, "train", None)] * 4 + [(0, "train", None)] * 4
    assert numbers(draw_shots(made_up(lines), 2, 1).train) == [1, 2, 4, 5]


def test_validation_without_a_val_part_comes_from_images_not_drawn() -> None:
    image_set = made_up(mixed(n_val=0))
    draw = draw_shots(image_set, 16, 1)
    assert [sum(i.label == k for i in draw.validation) for k in range(3)] == [4, 4, 4]
    assert not set(numbers(draw.train)) & set(numbers(draw.validation))


def test_validation_is_empty_when_nothing_is_left() -> None:
    draw = draw_shots(made_up([(0, "train", None), (1, "train", None)]), 1, 1)
    assert (len(draw.train), draw.validation) == (2, ())


def test_validation_never_shares_a_patient_with_training() -> None:
    lines: list[Line] = [(n % 2, "train", f"p{n // 6}") for n in range(60)]
    for seed in range(20):
        draw = draw_shots(made_up(lines), 4, seed)
        assert not {i.group for i in draw.train} & {i.group for i in draw.validation}


def test_all_shots_take_the_whole_parts() -> None:
    draw = draw_shots(made_up(mixed()), None, 1)
    assert (len(draw.train), len(draw.validation)) == (60, 30)
    assert draw_shots(made_up(mixed(n_val=0)), None, 1).validation == ()


def test_too_few_images_are_told_with_a_way_out() -> None:
    lines: list[Line] = [(0, "train", None)] * 9 + [(1, "train", None)] * 20
    with pytest.raises(TooFewImages) as refusal:
        draw_shots(made_up(lines, ["benign", "malignant"]), 16, 1)
    assert refusal.value.sentence == (
        "16 shots per class need 16 training images in each class; 'benign' has 9. Choose 8 shots or add images."
    )
    with pytest.raises(TooFewImages) as refusal:
        draw_shots(made_up([(0, "train", None)], ["benign", "cyst"]), 1, 1)
    assert refusal.value.sentence == (
        "1 shot per class needs 1 training image in each class; 'cyst' has 0. Add images."
    )
    with pytest.raises(InvalidInput, match="At least 1 shot per class; found 0"):
        draw_shots(made_up(lines), 0, 1)


@settings(deadline=None)  # a busy machine is no fault
@given(st.integers(0, 2**32), st.integers(1, 20), st.lists(st.integers(0, 3), min_size=1, max_size=120))
def test_every_draw_has_exactly_the_shots_and_no_image_twice(seed: int, shots: int, labels: list[int]) -> None:
    lines: list[Line] = [(label, "train", None) for label in [*labels, *list(range(4)) * shots]]
    draw = draw_shots(made_up(lines), shots, seed)
    assert [sum(i.label == k for i in draw.train) for k in range(4)] == [shots] * 4
    chosen = numbers(draw.train) + numbers(draw.validation)
    assert len(chosen) == len(set(chosen))
    assert draw == draw_shots(made_up(lines), shots, seed)
