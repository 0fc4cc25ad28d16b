"""What is loaded beside the first requests, and the collector of garbage meanwhile and afterwards."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from app import warm_up


@pytest.fixture(autouse=True)
def usual_collector():
    yield
    gc.unfreeze()
    gc.enable()


def test_the_collector_rests_until_all_is_loaded_and_leaves_it_alone_then(monkeypatch):
    monkeypatch.setattr(warm_up, "MODEL_MODULES", ("colorsys",))
    before = gc.get_freeze_count()
    with warm_up.resting_collector():
        assert not gc.isenabled()
        warm_up.load_models().join()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before + 10_000


def test_the_collector_goes_on_where_the_site_does_not_start():
    with pytest.raises(ZeroDivisionError), warm_up.resting_collector():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_a_library_that_cannot_be_loaded_stops_nothing(monkeypatch, caplog):
    monkeypatch.setattr(warm_up, "MODEL_MODULES", ("no_such_library",))
    with warm_up.resting_collector():
        warm_up.load_models().join()
        assert gc.isenabled()
    assert "loading what models need failed" in caplog.text


def test_explaining_loads_no_large_library_that_is_not_loaded_before():
    code = """
import importlib, sys
from app.main import load_engine
from app.warm_up import MODEL_MODULES
load_engine()
for module in MODEL_MODULES:
    importlib.import_module(module)
before = {name.split(".")[0] for name in sys.modules}
import torch
from PIL import Image
from core.explain.explain import explain_image
from tests.builders import tiny_backbone
from tests.core.explain.towers import head_classifier
made = explain_image(head_classifier(tiny_backbone("timm-bert")), Image.new("RGB", (64, 64), "red"))
known = before | set(sys.stdlib_module_names) | {"tests", "core"}
print(len(made.what_if) > 0, sorted({name.split(".")[0] for name in sys.modules} - known))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True []", done.stdout
