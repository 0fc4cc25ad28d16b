"""Training with no image left over: every method ends well, and says what could not be chosen or calibrated."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from core import load_model
from core.errors import TooFewImages
from core.images.image_set import ImageSet
from core.tuning.registry import get_method, method_names
from core.tuning.train import train
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import quick_options

METHODS = method_names()
EACH = 3


def cut(image_set: ImageSet, train_images: dict[str, int], test_images: int = 2) -> ImageSet:
    """The first images of each class: so many to train, by class, and so many to test."""
    kept, seen = [], Counter()
    for image in image_set.images:
        name = image_set.classes[image.label]
        seen[name, image.part] += 1
        limit = train_images[name] if image.part == "train" else test_images
        if seen[name, image.part] <= limit:
            kept.append(image)
    return replace(image_set, images=tuple(kept))


def even(image_set: ImageSet) -> ImageSet:
    return cut(image_set, dict.fromkeys(image_set.classes, EACH))


def run(image_set: ImageSet, method: str, shots: int | None, home: Path):
    # what is left over does not depend on how long the training is
    options = quick_options(method) | {key: 1 for key in ("epochs", "views") if key in quick_options(method)}
    return train(image_set, method, backbone=tiny_backbone(), shots=shots, home=home, options=options)


@pytest.mark.parametrize("shots", [EACH, None], ids=["all by number", "all"])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_where_no_image_is_left_over(
    name: str, shots: int | None, disc_set: ImageSet, tmp_path: Path
) -> None:
    found = run(even(disc_set), name, shots, tmp_path)
    record = found.record
    assert (record["n_train"], record["n_val"], record["n_test"]) == (9, 0, 6)
    assert (record["temperature"], record["calibrated"]) == (1.0, False)
    notes = [note for note in record["notes"] if note.startswith("No further images for validation")]
    kind = get_method(name)
    tunes = "tuned inside the shots, " if any(c.inside_shots for c in kind.choices(kind.Config())) else ""
    assert notes == [f"No further images for validation: {tunes}probabilities not calibrated."]
    assert load_model(record["model"], backbone=tiny_backbone()).temperature == 1.0


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_on_one_image_a_class(name: str, disc_set: ImageSet, tmp_path: Path) -> None:
    one = cut(disc_set, dict.fromkeys(disc_set.classes, 1))
    record = run(one, name, 1, tmp_path).record
    assert (record["n_train"], record["n_val"]) == (3, 0)
    assert "With 1 image per class and no further ones, nothing could be tuned or calibrated." in record["notes"]
    assert run(one, name, None, tmp_path).record["notes"] == record["notes"]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_all_images_of_classes_of_unequal_size(
    name: str, disc_set: ImageSet, tmp_path: Path
) -> None:
    sizes = {"bright disc": 1, "dark disc": 5, "no disc": 3}
    record = run(cut(disc_set, sizes), name, None, tmp_path).record
    assert (record["n_train"], record["n_val"]) == (9, 0)


def test_classes_without_a_validation_image_are_named(disc_set: ImageSet, tmp_path: Path) -> None:
    sizes = {"bright disc": 3, "dark disc": 5, "no disc": 3}
    record = run(cut(disc_set, sizes), "linear_probe", 3, tmp_path).record
    assert record["n_val"] == 2
    assert (
        "No validation image of 'bright disc', 'no disc': what was chosen and calibrated rests on the other classes."
        in record["notes"]
    )


def test_a_class_with_fewer_images_than_shots_is_named(disc_set: ImageSet, tmp_path: Path) -> None:
    sizes = {"bright disc": 2, "dark disc": 5, "no disc": 3}
    with pytest.raises(TooFewImages) as refusal:
        run(cut(disc_set, sizes), "coop", 3, tmp_path)
    assert str(refusal.value) == (
        "3 shots per class need 3 training images in each class; 'bright disc' has 2. Choose 2 shots or add images."
    )


def test_a_class_without_a_training_image_is_named(disc_set: ImageSet, tmp_path: Path) -> None:
    sizes = {"bright disc": 0, "dark disc": 5, "no disc": 3}
    with pytest.raises(TooFewImages) as refusal:
        run(cut(disc_set, sizes), "coop", None, tmp_path)
    assert str(refusal.value) == "Every class needs training images; none for 'bright disc'. Add images."


def test_a_class_without_a_test_image_is_named(disc_set: ImageSet, tmp_path: Path) -> None:
    some = tuple(image for image in disc_set.images if image.part == "train" or image.label != 1)
    with pytest.raises(TooFewImages) as refusal:
        run(replace(disc_set, images=some), "coop", None, tmp_path)
    assert str(refusal.value) == (
        "Every class needs test images to be measured on; none for 'dark disc'. Add images to the test part."
    )
