"""Models listed, downloaded, used on images and deleted; the classifier itself is a small stand-in."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from sqlalchemy import update

import core.explain.explain
from app.services.context import LoadedClassifiers
from core.explain.parts import RULES
from core.records import models as model_records
from core.records import runs as run_records
from core.records.runs import RunRequest
from core.records.tables import ClassificationImageRow, RunImageRow
from tests.app.conftest import png, zipped
from tests.core.images.deep_files import brain, png16

SENTENCE = "Research use only. Not for use in diagnostic procedures."


class ByBrightness:
    """Says "bright" the more, the brighter a picture is, and a set of what has more than 0.3."""

    classes = ("bright", "dark")
    card: ClassVar = {"descriptions": {"source": "words.json"}}
    nearest: tuple[dict, ...] = ()

    def features(self, images):
        return torch.tensor([np.asarray(image).mean() / 255 for image in images])

    def answers(self, features):
        rows = []
        for level in features.tolist():
            table = {"bright": level, "dark": 1 - level}
            own = [name for name, share in table.items() if share > 0.3]
            abstain = "2 classes remain at 90 %" if len(own) > 1 else None
            outside = {"score": 0.2, "p": None, "nearest": [dict(one) for one in self.nearest]}
            row = {"label": max(table, key=table.get), "probabilities": table, "set": own, "set_reason": None}
            rows.append(row | {"abstain": abstain, "outside": outside})
        return rows


@pytest.fixture
def model(context, uploaded, monkeypatch) -> dict:
    """A stored model of two classes."""
    folder = context.settings.models_dir / "run-1"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"method": "zero_shot"}))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("# A model")
    with context.db.writing() as session:
        run_id = run_records.add_run(session, RunRequest(uploaded["id"], "zero_shot"))
        record = {"metrics": {"accuracy": 1.0}, "classes": ["bright", "dark"], "n_test": 6}
        run_records.seal_run(session, run_id, record)
        facts = {"folder": "run-1", "weights_sha256": "0" * 64, "size_bytes": 7, "card": {}, "calibrated": False}
        made = model_records.add_model(session, run_id, name="Shade model", **facts)
    monkeypatch.setattr(context.classifiers, "_load", lambda folder: ByBrightness())
    return {"id": made, "run_id": run_id, "folder": folder}


def classify(client, model_id, *files):
    return client.post("/api/v1/classifications", data={"model_id": model_id}, files=[("files", f) for f in files])


def test_images_and_zips_are_classified_and_bad_files_named(client, model):
    inner = zipped({"scans/c.png": png(3, 40), "scans/d.txt": b"text"})
    answer = classify(client, model["id"], ("a.png", png(1, 200)), ("b.png", b"junk"), ("more.zip", inner))
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert [(row["file"], row["label"]) for row in found["images"]] == [("a.png", "bright"), ("scans/c.png", "dark")]
    assert {row["file"] for row in found["problems"]} == {"b.png", "scans/d.txt"}
    assert sum(found["images"][0]["probabilities"].values()) == pytest.approx(1)
    assert found["disclaimer"] == answer.headers["x-research-use-only"] == SENTENCE
    assert client.get(f"/api/v1/classifications/{found['id']}").json() == found
    assert client.get("/api/v1/classifications").json()["total"] == 1
    picture = client.get(f"/api/v1/images/{found['images'][0]['image_id']}/file")
    assert picture.content == png(1, 200)


def test_set_reason_to_be_silent_and_nearest_training_images_are_kept(client, context, model, uploaded, monkeypatch):
    images = client.get(f"/api/v1/image-sets/{uploaded['id']}/images").json()["items"]
    learned, other = images[:2]
    with context.db.writing() as session:
        session.add(
            RunImageRow(run_id=model["run_id"], role="train", position=0, image_id=learned["id"], sha256="a" * 64)
        )
    near = {"file": "x.png", "class": "bright", "distance": 0.2}
    monkeypatch.setattr(ByBrightness, "nearest", (near | {"sha256": "a" * 64}, near | {"sha256": other["sha256"]}))
    found = classify(client, model["id"], ("a.png", png(1, 128)), ("b.png", png(1, 240)))
    first, second = found.json()["images"]
    assert (first["set"], first["set_reason"]) == (["bright", "dark"], None)
    assert (first["abstain"], second["abstain"]) == ("2 classes remain at 90 %", None)
    assert (first["outside"]["score"], first["outside"]["p"]) == (0.2, None)
    # only images that this model learned from are named
    assert [one["image_id"] for one in first["outside"]["nearest"]] == [learned["id"], None]
    assert client.get(f"/api/v1/images/{learned['id']}/thumbnail").status_code == 200
    kept = client.get(f"/api/v1/classifications/{found.json()['id']}").json()["images"][0]
    assert kept["outside"] == first["outside"]


def test_an_answer_from_before_sets_says_so(client, context, model):
    made = classify(client, model["id"], ("a.png", png(1, 128))).json()["id"]
    with context.db.writing() as session:
        session.execute(update(ClassificationImageRow).values(judged=None))
    (image,) = client.get(f"/api/v1/classifications/{made}").json()["images"]
    assert (image["set"], image["set_reason"]) == (None, "no set: answered before sets were kept")
    assert (image["abstain"], image["outside"]) == (None, None)


def test_a_black_picture_is_not_classified_without_a_word(client, model):
    file = io.BytesIO()
    Image.new("L", (40, 30)).save(file, "PNG")
    found = classify(client, model["id"], ("black.png", file.getvalue())).json()["images"][0]
    sentence = "The picture is nearly constant, black all over: look at it before you trust an answer."
    assert [(each["problem"], each["sentence"]) for each in found["findings"]] == [("constant", sentence)]
    assert found["windowing"] is None
    assert client.get(f"/api/v1/images/{found['image_id']}").json()["findings"] == found["findings"]


def test_the_range_of_a_deep_picture_is_kept_with_it(client, model):
    content = png16(np.rint(brain() * 4000).astype("u2"))
    found = classify(client, model["id"], ("deep.png", content)).json()["images"][0]
    window = found["windowing"]
    assert (window["low"], window["source"], window["bits"], found["findings"]) == (0, "data", 16, [])
    assert 3500 < window["high"] <= 4000
    assert window["sentence"] == f"16-bit unsigned values, 0 shown as black and {window['high']:g} as white."
    assert client.get(f"/api/v1/images/{found['image_id']}").json()["windowing"] == window


def test_nothing_readable_is_an_error_that_names_each_file(client, model, error_of):
    error = error_of(classify(client, model["id"], ("a.png", b"junk"), ("b.gif", b"GIF89a")), 422)
    assert [row["file"] for row in error["problems"]] == ["a.png", "b.gif"]
    assert error_of(classify(client, model["id"]), 422)["found"]
    assert error_of(classify(client, "none", ("a.png", png(1))), 404)["expected"] == "A model with this id"


def test_model_is_shown_with_its_data_and_downloaded(client, model, home):
    row = client.get(f"/api/v1/models/{model['id']}").json()
    assert (row["method_title"], row["image_set"]["name"], row["disclaimer"]) == ("Zero-shot", "Shades", SENTENCE)
    answer = client.get(f"/api/v1/models/{model['id']}/download")
    assert answer.headers["content-disposition"].startswith("attachment")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        files = ("README.md", "adapter_config.json", "adapter_model.safetensors")
        assert sorted(archive.namelist()) == [f"model-{model['id']}/{name}" for name in files]
    assert list((home / "cache").glob("*.zip")) == []


def test_explanation_is_kept_with_its_maps_until_the_model_goes(client, model, uploaded, home, monkeypatch, error_of):
    asked = []

    def explain_first(classifier, image, class_name, out_dir, mask=None, image_name=None, source="file"):
        asked.append(class_name)
        Image.new("L", (8, 8)).save(out_dir / "original.png")
        np.savez(out_dir / "arrays.npz", grad_cam=np.eye(2))
        result = {"class": class_name or "bright", "seconds": 0.5, "image": image_name, "attention": {"layers": []}}
        maps = [{"kind": "grad_cam", "file": "grad_cam.png", "scale": [0, 1], "colour_map": "cividis"}]
        parts = {"pending": ["trust", "what_if"], "rules": RULES, "predicted": "bright", "trust": {}}
        return SimpleNamespace(as_dict=lambda: result | parts | {"maps": maps, "probabilities": {"bright": 1.0}})

    monkeypatch.setattr(core.explain.explain, "explain_first", explain_first)
    monkeypatch.setattr(core.explain.explain, "explain_further", lambda *given: asked.append(given[3]) or {"p": 0.5})
    image = client.get(f"/api/v1/image-sets/{uploaded['id']}/images").json()["items"][0]
    body = {"model_id": model["id"], "image_id": image["id"], "class": "dark"}
    found = client.post("/api/v1/explanations", json=body).json()
    assert (found["class"], found["image"]) == ("dark", image["name"])
    assert ([each["problem"] for each in found["findings"]], found["windowing"]) == (["low_contrast"], None)
    assert client.post("/api/v1/explanations", json=body).json()["id"] == found["id"]  # answered from the record
    for _ in range(2):
        whole = client.post(f"/api/v1/explanations/{found['id']}/parts/trust").json()
        assert (whole["trust"], whole["pending"]) == ({"p": 0.5}, ["what_if"])
    assert asked == ["dark", "trust"]
    error_of(client.post(f"/api/v1/explanations/{found['id']}/parts/nosuch"), 404)
    picture = client.get(found["maps"][0]["url"])
    with Image.open(io.BytesIO(picture.content)) as painted:
        assert (painted.size, painted.mode) == ((8, 8), "RGB")
    assert (picture.headers["content-type"], picture.headers["x-research-use-only"]) == ("image/png", SENTENCE)
    assert client.get(found["arrays_url"]).content[:2] == b"PK"
    for kind in ("nosuch", "..%2f..%2fapi-token", "grad_cam.png"):
        answer = client.get(f"/api/v1/explanations/{found['id']}/maps/{kind}")
        assert answer.status_code == 404
    assert client.delete(f"/api/v1/models/{model['id']}").json() == {"deleted": model["id"]}
    assert not model["folder"].exists()
    assert list((home / "explanations").iterdir()) == []
    error_of(client.get(f"/api/v1/explanations/{found['id']}"), 404)
    assert client.get(f"/api/v1/runs/{model['run_id']}").json()["metrics"] == {"accuracy": 1.0}


def test_failed_explanation_leaves_no_folder(client, model, uploaded, home, monkeypatch, error_of):
    monkeypatch.setattr(core.explain.explain, "explain_first", lambda *_, **__: 1 / 0)
    image = client.get(f"/api/v1/image-sets/{uploaded['id']}/images").json()["items"][0]
    error_of(client.post("/api/v1/explanations", json={"model_id": model["id"], "image_id": image["id"]}), 500)
    assert list((home / "explanations").iterdir()) == []


def test_two_classifiers_are_kept_and_a_changed_one_is_loaded_again(tmp_path):
    loads: list[str] = []
    kept = LoadedClassifiers(lambda folder: loads.append(folder.name) or ByBrightness(), keep=2)
    for model_id, checksum in (("a", "1"), ("b", "1"), ("a", "1"), ("a", "2"), ("b", "1"), ("a", "1")):
        with kept.using(model_id, checksum, tmp_path / f"{model_id}{checksum}"):
            pass
    assert loads == ["a1", "b1", "a2", "b1", "a1"]


def test_classifiers_work_for_one_request_at_a_time(tmp_path):
    kept, inside, most = LoadedClassifiers(lambda folder: ByBrightness()), [0], [0]

    def work():
        with kept.using("a", "1", tmp_path):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
