"""Small drawn image sets with a patient behind each two pictures, and a grid on the tiny backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.experiments.grid import Grid
from core.experiments.spec import ExperimentSpec, parse_spec
from core.images.image_set import ImageSet
from tests.builders import tiny_backbone

SHADES = {"black": 20, "grey": 90, "light": 160, "white": 230}


def shaded_set(folder: Path, names: tuple[str, ...], train: int = 6, test: int = 12, seed: int = 0) -> ImageSet:
    """Pictures of a shade with noise; as many of each class."""
    random = np.random.default_rng(seed)
    for part, count in (("train", train), ("test", test)):
        for name in names:
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                noisy = random.normal(SHADES[name], 40, (64, 64, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(noisy).save(folder / part / name / f"{number}.png")
    return ImageSet.read(folder)


@pytest.fixture(scope="session")
def shades(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Four classes."""
    return shaded_set(tmp_path_factory.mktemp("shades") / "shades", tuple(SHADES))


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Three of these classes in another order, other pictures."""
    return shaded_set(tmp_path_factory.mktemp("others") / "others", ("white", "black", "grey"), seed=1)


def spec_of(methods: list[str], **values: Any) -> ExperimentSpec:
    """An experiment of quick trainings on "shades"."""
    quick = {"name": "quick", "images": ["shades"], "methods": methods, "shots": [2], "seeds": [1, 2]}
    options = {name: {"epochs": 2, "batch_size": 4} for name in methods if name in ("coop", "clip_adapter")}
    given = quick | values
    if given.get("protocol") == "full":
        del given["shots"]
    return parse_spec(given | {"options": options})


@pytest.fixture
def grid_of(shades: ImageSet, others: ImageSet, tmp_path: Path) -> Callable[[ExperimentSpec], Grid]:
    """Makes the grid of an experiment."""

    def make(spec: ExperimentSpec) -> Grid:
        targets = dict.fromkeys(spec.target_images, others)
        return Grid(spec, tiny_backbone(), {"shades": shades}, targets, {}, tmp_path)

    return make
