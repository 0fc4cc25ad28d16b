"""Pictures that lack something are named, with the word for it, and stay usable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.images.check import check_images, picture_notes
from core.images.decode import opened_picture
from core.images.read import read_image_set
from core.images.windowing import windowing_note
from tests.core.images import builders as b
from tests.core.images.deep_files import brain, chunk, png16, tiff


def problems(content: bytes) -> list[str]:
    with opened_picture(content) as picture:
        return [found.problem for found in picture.findings]


def drawn(values: np.ndarray) -> bytes:
    return b.encoded(image=Image.fromarray(values.astype(np.uint8)))


NOISE = np.random.default_rng(5)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (drawn(np.zeros((40, 40))), "constant"),
        (drawn(np.full((40, 40), 255)), "constant"),
        (drawn(NOISE.integers(100, 106, (40, 40))), "constant"),
        (drawn(brain() * 40), "low_contrast"),
        (drawn(brain() * 255), ""),
        (png16(np.zeros((40, 40), "u2")), "constant"),
        (png16(NOISE.integers(0, 6, (40, 40)).astype("u2")), "constant"),
        (png16(np.rint(brain() * 50).astype("u2")), "low_contrast"),
        (png16((30000 + NOISE.integers(0, 800, (40, 40))).astype("u2")), "low_contrast"),
        (png16(np.rint(brain() * 4000).astype("u2")), ""),
        (png16(np.rint(brain() * 500).astype("u2"), chunk(b"sBIT", b"\x0c")), "low_contrast"),
        (tiff((brain() * 0.02 + 5).astype("f4")), "low_contrast"),
        (tiff(np.full((40, 40), 3.5, "f4")), "constant"),
        (b.encoded(image=Image.new("RGBA", (40, 40), (9, 9, 9, 0))), "transparent constant"),
    ],
)
def test_pictures_without_contrast_are_named(content: bytes, words: str) -> None:
    assert problems(content) == words.split()


def test_a_black_picture_with_a_few_hot_pixels_is_still_constant() -> None:
    values = np.zeros((200, 200))
    values[3, 4] = values[90, 7] = 255
    assert problems(drawn(values)) == ["constant"]
    assert problems(png16((values * 257).astype("u2"))) == ["constant"]


def test_findings_speak() -> None:
    with opened_picture(drawn(np.zeros((40, 40)))) as picture:
        (found,) = picture.findings
    assert found.sentence == "The picture is nearly constant, black all over: look at it before you trust an answer."
    with opened_picture(drawn(brain() * 40)) as picture:
        (found,) = picture.findings
    assert found.sentence.startswith("The picture uses a small part of its range: 40 of 256 grey levels")


def folder_of(tmp_path: Path, dull: int, bright: int = 3) -> Path:
    files = {}
    for label in ("benign", "malignant"):
        files |= {f"{label}/{n}.png": b.encoded(n + 50 * len(label)) for n in range(bright)}
        for n in range(dull):
            files[f"{label}/dull{n}.png"] = drawn(np.full((20 + n, 20 + len(label)), 7 * n))
    return b.write_folder(tmp_path / "set", files)


def test_check_names_each_such_file_and_stays_content(tmp_path: Path) -> None:
    found, summary = check_images(folder_of(tmp_path, dull=1))
    named = [(p.file, p.problem) for p in found if p.problem == "constant"]
    assert named == [("benign/dull0.png", "constant"), ("malignant/dull0.png", "constant")]
    assert summary["ok"] is True
    assert summary["findings"] == 2
    assert summary["usable"] == 8
    assert any(note.startswith("2 of 8 images are nearly constant or empty: ") for note in summary["notes"])


def test_black_pictures_of_other_bytes_are_no_leak(tmp_path: Path) -> None:
    files = b.parted_files()
    for n, name in enumerate(("train/benign/black.png", "test/malignant/black.png")):
        files[name] = b.encoded(image=Image.new("L", (40, 40)), compress_level=n)
    found, summary = check_images(b.write_folder(tmp_path / "set", files))
    assert [p.problem for p in found] == ["constant", "constant"]
    assert (summary["leaks"], summary["ok"]) == (0, True)


def test_check_fails_where_every_picture_is_flat(tmp_path: Path) -> None:
    _, summary = check_images(folder_of(tmp_path, dull=4, bright=0))
    assert summary["ok"] is False


def test_a_set_says_once_what_its_pictures_lack_and_how_deep_ones_are_shown(tmp_path: Path) -> None:
    files = {f"{c}/{n}.png": png16(np.rint(brain(n + 7 * len(c)) * (1000 + n)).astype("u2"))
             for c in ("benign", "malignant") for n in range(4)}  # fmt: skip
    image_set = read_image_set(b.write_folder(tmp_path / "deep", files))
    said = [note for note in image_set.notes if "8 bits" in note]
    assert len(said) == 1
    assert said[0].startswith("8 of 8 images have more than 8 bits or signed values; each is shown by the range")
    assert picture_notes(image_set) == said
    first = [image.windowing for image in image_set.images if image.windowing is not None][:1]
    assert windowing_note(first, 8) == [
        "1 of 8 images has more than 8 bits or signed values; it is shown by the range of its own values: "
        f"black at {first[0].low:g}, white at {first[0].high:g}."
    ]
    assert all(image.windowing is not None and image.findings == () for image in image_set.images)
