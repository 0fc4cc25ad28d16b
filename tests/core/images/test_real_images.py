"""Real image sets, where PROMPTOSCOPE_TEST_DATA names a folder of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.images.image_set import ImageSet
from core.images.leakage import find_leaks
from core.images.read import read_image_set
from core.images.shots import draw_shots

DATA = os.environ.get("PROMPTOSCOPE_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="PROMPTOSCOPE_TEST_DATA names no folder of real images")
SIZES = {"btmri": (4, 1571, 307), "cxr3": (3, 683, 201), "isic8": (8, 1670, 268), "kneexray": (5, 1373, 291)}


@needs_data
@pytest.mark.parametrize("name", SIZES)
def test_real_set_is_read_whole_and_without_leaks(name: str) -> None:
    image_set: ImageSet = read_image_set(Path(str(DATA)) / name)
    sizes = (len(image_set.classes), len(image_set.part("train")), len(image_set.part("test")))
    assert sizes == SIZES[name]
    assert image_set.problems == ()
    assert find_leaks(image_set) == []
    assert len(draw_shots(image_set, 16, 1).train) == 16 * len(image_set.classes)


def test_reading_images_never_imports_torch() -> None:
    code = (
        "import pkgutil, importlib, sys, core.images as p\n"
        "[importlib.import_module(f'core.images.{m.name}') for m in pkgutil.iter_modules(p.__path__)]\n"
        "print(sorted({'torch', 'open_clip', 'sqlalchemy', 'gradio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
