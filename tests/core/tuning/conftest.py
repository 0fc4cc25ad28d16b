"""A small drawn image set that every method can be trained on in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.images.image_set import ImageSet
from core.tuning import hidden_states

CLASSES = {"bright disc": 230, "dark disc": 30, "no disc": None}
SIZE_PX = 64


def draw_disc(value: int | None, random: np.random.Generator) -> Image.Image:
    """Noise with a disc of a grey value, somewhere."""
    picture = random.normal(128, 12, (SIZE_PX, SIZE_PX))
    if value is not None:
        row, column = random.integers(20, SIZE_PX - 20, 2)
        rows, columns = np.ogrid[:SIZE_PX, :SIZE_PX]
        picture[(rows - row) ** 2 + (columns - column) ** 2 < 16**2] = value
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8)).convert("RGB")


@pytest.fixture(scope="session")
def disc_set(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Three classes, 8 training and 6 test images each."""
    folder: Path = tmp_path_factory.mktemp("discs")
    random = np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 6)):
        for name, value in CLASSES.items():
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                draw_disc(value, random).save(folder / part / name / f"{number}.png")
    return ImageSet.read(folder, "discs")


@pytest.fixture
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language model answers in 12 words, for tests in which the length of its answers shows nothing."""
    monkeypatch.setattr(hidden_states, "ANSWER_TOKENS", 12)
