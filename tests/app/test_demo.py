"""A model as an application of its own: asked by Gradio's client, and taken elsewhere as a folder."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from typer.testing import CliRunner

from app.cli import app
from app.demo import PREDICTED, abstention, demo
from app.services.source_closure import ROOT, closure
from app.services.space import export_space, licence_class
from core.errors import Conflict
from core.tuning.classifier import Classifier
from tests.app.conftest import png
from tests.builders import tiny_backbone
from tests.core.explain.towers import head_classifier

CARD = {"temperature": 20.0, "method": "spot", "title": "Spot <finder>", "n_train": 8, "calibrated": False}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A demo of a fixed head on a small tower, on a port of its own."""
    head = head_classifier(tiny_backbone("timm-bert"))
    blocks = demo(Classifier(head.method, CARD, Path("head")))
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True)
    yield Client(url, verbose=False, download_files=False)
    blocks.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "patient.png"
    path.write_bytes(png(1, 200))
    return path


def test_a_client_gets_probabilities_and_the_remark_on_calibration(client, picture):
    found, remark = client.predict(handle_file(picture), 0.0, api_name="/classify")
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert found["abstain"] is None
    assert remark.startswith("These probabilities are not calibrated")


def test_below_the_threshold_the_model_abstains_with_its_reason(client, picture):
    found, _ = client.predict(handle_file(picture), 1.0, api_name="/classify")
    assert "below 1.00" in found["abstain"]


def test_a_client_gets_maps_as_layers_over_what_the_model_sees(client, picture):
    value, said = client.predict(handle_file(picture), PREDICTED, api_name="/explain")
    assert "Research use only" in said
    assert any(entry["shown"] for entry in value["maps"])
    for entry in value["maps"]:
        layer = Image.open(io.BytesIO(base64.b64decode(entry["layer"].partition(",")[2])))
        assert layer.mode == "RGBA"
        assert np.asarray(layer)[..., 3].max() == 255
    assert "patient" not in json.dumps(value)


def test_a_file_that_is_no_image_is_refused_in_words(client, tmp_path: Path):
    path = tmp_path / "note.png"
    path.write_text("no picture")
    with pytest.raises(Exception, match="PNG, JPEG, TIFF, BMP or WebP"):
        client.predict(handle_file(path), 0.5, api_name="/classify")


def test_the_threshold_is_met_by_a_probability_equal_to_it():
    assert abstention({"a": 0.5, "b": 0.5}, 0.5) is None
    assert abstention({"a": 0.4, "b": 0.3, "c": 0.3}, 0.5) == (
        "the most likely class, 'a', has a probability of 0.40, below 0.50."
    )


def test_the_closure_holds_what_is_imported_late_and_leaves_out_the_site():
    found = closure(["app.demo", "core.methods.coop"])
    assert {"core.methods.coop", "core.explain.explain", "core.backbones.loading"} <= found.modules.keys()
    assert not [name for name in found.modules if name.startswith(("core.records", "app.services", "training_jobs"))]
    assert {line.partition("==")[0] for line in found.pinned()} >= {"torch", "torchvision", "gradio", "scipy"}
    assert not {"sqlalchemy", "typer"} & set(found.packages)


@pytest.mark.parametrize(("licence", "expected"), [("Apache-2.0", "permissive"), ("CC-BY-NC-4.0", "look it up")])
def test_terms_that_the_program_does_not_know_are_to_be_looked_up(licence, expected):
    assert licence_class(licence) == expected


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A zero-shot model on the embedded backbone, whose card names a file."""
    from core import ImageSet, train

    folder = tmp_path_factory.mktemp("shades")
    for part in ("train", "test"):
        for place, name in enumerate(("bright", "dark")):
            for number in range(2):
                path = folder / part / name / f"{part}{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png(10 * place + number + (5 if part == "test" else 0), 40 + 150 * (1 - place)))
    out = tmp_path_factory.mktemp("models") / "shades"
    train(ImageSet.read(folder, "ward 7"), "zero_shot", shots=2, out=out, home=tmp_path_factory.mktemp("home"))
    config = out / "adapter_config.json"
    card = json.loads(config.read_text())
    config.write_text(json.dumps(card | {"notes": ["'mrs-smith.png' was refused"]}))
    return out


@pytest.fixture(scope="module")
def space(trained: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("spaces") / "space"
    export_space(trained, out, home=tmp_path_factory.mktemp("home"))
    return out


def test_a_space_holds_sources_model_backbone_card_and_pinned_packages(space: Path):
    assert {"README.md", "main.py", "requirements.txt", "LICENSE", "app", "core", "model"} == set(os.listdir(space))
    lines = (space / "requirements.txt").read_text().splitlines()
    assert all(line.count("==") == 1 for line in lines)
    card = (space / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "Not for use in diagnostic procedures" in card
    assert (space / "core/backbones/embedded/open_clip_model.safetensors").is_file()


def test_a_space_names_no_image_set_and_no_file_of_a_patient(space: Path):
    texts = [file.read_text() for file in (space / "model/adapter_config.json", space / "README.md")]
    assert not [text for text in texts if "ward 7" in text or "mrs-smith" in text]


def test_a_folder_that_holds_something_is_not_written_over(trained: Path, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(Conflict, match="holds something"):
        export_space(trained, tmp_path, home=tmp_path)
    assert os.listdir(tmp_path) == ["mine.txt"]


def test_the_command_writes_a_space_and_says_what_it_needs(trained: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(tmp_path / "home"))
    words = ["model", "export", str(trained), "--space", str(tmp_path / "space"), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)
    assert row["licence_class"] == "permissive"
    assert row["files"] == sum(file.is_file() for file in (tmp_path / "space").rglob("*"))


@pytest.mark.slow
def test_a_space_answers_a_client_without_the_project_beside_it(space: Path, picture: Path):
    packages = [place for place in sys.path if "site-packages" in place]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = kept | {"PYTHONPATH": os.pathsep.join(packages), "GRADIO_SERVER_PORT": str(port)}
    server = subprocess.Popen([sys.executable, "-S", "main.py"], cwd=space, env=environment)
    try:
        client = _patient_client(f"http://127.0.0.1:{port}", server)
        found, _ = client.predict(handle_file(picture), 0.0, api_name="/classify")
        assert found["probabilities"].keys() == {"bright", "dark"}
        value, _ = client.predict(handle_file(picture), "dark", api_name="/explain")
        assert value["maps"]
    finally:
        server.kill()
        server.wait()
    assert not str(space).startswith(str(ROOT))


def _patient_client(url: str, server: subprocess.Popen) -> Client:
    for _ in range(600):
        assert server.poll() is None, "the Space ended by itself"
        try:
            return Client(url, verbose=False, download_files=False)
        except Exception:  # not listening yet
            time.sleep(0.5)
    raise AssertionError("the Space did not start")
