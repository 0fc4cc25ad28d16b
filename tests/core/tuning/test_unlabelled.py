"""Pictures without labels: what a draw leaves, what a folder holds, and what is said of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.errors import NotAllowed, NotFound, UnreadableSource
from core.images.image_set import ImageSet
from core.images.protocol_draws import draw_share, narrowed_draw
from core.images.shots import draw_shots
from core.tuning.method_cards import simple_methods
from core.tuning.unlabelled import check_unlabelled, unlabelled_pool
from tests.core.tuning.conftest import draw_disc
from tests.core.tuning.test_every_method import quick_train


@pytest.fixture
def pool(disc_set: ImageSet, tmp_path: Path) -> Path:
    """Three new pictures, a copy of one of them, a test image, a drawn one, and a text."""
    folder, random = tmp_path / "pool", np.random.default_rng(7)
    (folder / "deeper").mkdir(parents=True)
    for number in range(3):
        draw_disc(200, random).save(folder / "deeper" / f"{number}.png")
    shutil.copy(folder / "deeper" / "0.png", folder / "copy.png")
    shutil.copy(disc_set.part("test")[0].path, folder / "test.png")
    shutil.copy(draw_shots(disc_set, 3, 1).train[0].path, folder / "drawn.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_draw_leaves_the_rest_of_the_training_part(disc_set: ImageSet) -> None:
    draw = draw_shots(disc_set, 3, 1)
    used = {image.sha256 for image in (*draw.train, *draw.validation)}
    left = {image.sha256 for image in draw.rest}
    assert (len(used), len(left)) == (18, 6)
    assert not used & left
    assert used | left == {image.sha256 for image in disc_set.part("train")}
    assert draw.test == {image.sha256 for image in disc_set.part("test")}
    assert draw_share(disc_set, 1.0, 1).rest == ()
    # of classes that are only tested no picture is left to learn from
    assert {image.label for image in narrowed_draw(draw, disc_set.classes, disc_set.classes[1:]).rest} == {0, 1}


def test_a_folder_gives_each_content_once_and_no_test_image(disc_set: ImageSet, pool: Path) -> None:
    found = unlabelled_pool(str(pool), draw_shots(disc_set, 3, 1))
    assert [image.name for image in found.images] == ["copy.png", "deeper/1.png", "deeper/2.png"]
    assert {image.label for image in found.images} == {-1}
    assert (
        "1 left out: they are no readable pictures; 1 left out: they are test images; 2 left out: they are copies"
        in (found.sentence)
    )


def test_what_is_no_folder_of_pictures_is_refused(disc_set: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableSource, match=r"'empty' holds none \(no file\)"):
        unlabelled_pool(str(tmp_path / "empty"), draw_shots(disc_set, 3, 1))
    with pytest.raises(NotFound, match="A folder of unlabelled images"):
        check_unlabelled(str(tmp_path / "nowhere"), folders=True)
    with pytest.raises(NotAllowed, match="the request names a folder of this machine"):
        check_unlabelled(str(tmp_path), folders=False)
    check_unlabelled(" ", folders=False)


def test_a_run_says_how_many_unlabelled_images_it_read(disc_set: ImageSet, pool: Path, tmp_path: Path) -> None:
    left = quick_train(disc_set, "ss_text_u", tmp_path).record
    assert left["unlabelled_images"] == 6
    assert any("Learned from 6 unlabelled images as well (training images that were not" in n for n in left["notes"])
    given = quick_train(disc_set, "ss_text_u", tmp_path, options={"unlabelled": str(pool)}).record
    assert given["unlabelled_images"] == 3
    assert any("folder 'pool'" in note for note in given["notes"])
    assert quick_train(disc_set, "ss_text", tmp_path).record["unlabelled_images"] is None


def test_a_method_with_more_to_learn_from_is_no_bar_for_others() -> None:
    assert "ss_text" in simple_methods()
    assert "ss_text_u" not in simple_methods()
