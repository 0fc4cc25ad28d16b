"""`predict --transductive`: a folder answered together, beside each image's own answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.services.classification import NewImage, read_image_path
from app.services.joint_prediction import joint_predictions
from core.errors import TooFewImages
from core.images.store import FileStore
from core.tuning.classifier import Classifier
from tests.core.images import builders as b
from tests.core.tuning.test_every_method import CLASSES, build


def folder(tmp_path: Path, images: int) -> list[NewImage]:
    for number in range(images):
        path = tmp_path / "new" / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b.encoded(number))
    return read_image_path(tmp_path / "new", FileStore(tmp_path / "store"))[0]


def classifier() -> Classifier:
    return Classifier(build("zero_shot"), {"temperature": 2.0}, Path())


def test_each_image_has_its_own_answer_and_the_joint_one(tmp_path: Path) -> None:
    images, model = folder(tmp_path, 14), classifier()
    rows, _ = joint_predictions(model, images)
    for image, row in zip(images, rows, strict=True):
        (alone,) = model.predict([image.path])
        assert row["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-4)
        joint = row["transductive"]
        assert sum(joint["probabilities"].values()) == pytest.approx(1)
        assert (set(joint["probabilities"]), joint["pool"]) == (set(CLASSES), 14)
    assert any(row["transductive"]["probabilities"] != row["probabilities"] for row in rows)


def test_the_folder_has_one_name_whatever_its_order(tmp_path: Path) -> None:
    images, model = folder(tmp_path, 12), classifier()
    one, other = joint_predictions(model, images)[0], joint_predictions(model, images[::-1])[0][::-1]
    assert one[0]["transductive"]["pool_sha256"] == other[0]["transductive"]["pool_sha256"]
    assert one[3]["transductive"]["probabilities"] == pytest.approx(other[3]["transductive"]["probabilities"], abs=1e-4)


def test_a_small_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TooFewImages):
        joint_predictions(classifier(), folder(tmp_path, 5))
