"""Sinks and maps of heads of an explained image: computed when first asked for, then read."""

from __future__ import annotations

import io

import numpy as np
import pytest

from core.explain import head_maps, sink_tables
from tests.app.test_explanation_batches import model  # noqa: F401


@pytest.fixture
def explained(client, context, model):  # noqa: F811
    from core.tuning.classifier import load_model

    context.classifiers._load = lambda folder: load_model(folder, home=context.home)
    images = client.get("/api/v1/image-sets").json()["items"][0]["id"]
    image = client.get(f"/api/v1/image-sets/{images}/images?part=test").json()["items"][0]["id"]
    answer = client.post("/api/v1/explanations", json={"model_id": model, "image_id": image})
    assert answer.status_code == 201, answer.text
    return f"/api/v1/explanations/{answer.json()['id']}"


def test_sinks_are_measured_once(client, explained, monkeypatch):
    found = client.get(f"{explained}/sinks").json()
    assert len(found["heads"]) % len(found["layers"]) == 0
    assert set(found["meanings"]) == {"NOP-like", "broadcast-like", "mixed"}
    assert found["summary"]["caption"].startswith("After block 0, ")
    monkeypatch.setattr(sink_tables, "sink_table", lambda _: pytest.fail("computed again"))
    assert client.get(f"{explained}/sinks").json() == found


def test_maps_of_all_numbers_come_from_one_request_and_are_kept(client, explained, monkeypatch):
    answer = client.get(f"{explained}/heads/insert")
    assert answer.status_code == 200
    assert answer.headers["x-research-use-only"]
    arrays = np.load(io.BytesIO(answer.content))
    counts = arrays["counts"].tolist()
    assert counts == list(range(len(counts)))
    total = arrays["attention"].sum(axis=(3, 4)) + arrays["vectors"] + arrays["class_token"]
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert (arrays["vectors"][0] == 0).all()
    monkeypatch.setattr(head_maps, "head_maps", lambda *_, **__: pytest.fail("computed again"))
    assert client.get(f"{explained}/heads/insert").content == answer.content


def test_strangers_and_other_modes_get_nothing(client, stranger, explained):
    assert stranger.get(f"{explained}/sinks").status_code == 401
    assert stranger.get(f"{explained}/heads/insert").status_code == 401
    assert client.get(f"{explained}/heads/beside").status_code == 422
    assert client.get("/api/v1/explanations/none/sinks").status_code == 404


def test_drawings_and_the_page_of_a_case_are_served_as_files(client, stranger, explained):
    found = client.get(explained).json()
    drawn = next(entry for entry in found["maps"] if entry["scale"])
    drawing = client.get(f"{explained}/maps/{drawn['kind']}?form=svg")
    assert drawing.headers["content-type"] == "image/svg+xml; charset=utf-8"
    assert "Crop box: left " in drawing.text
    assert f"Image SHA-256: {found['image_sha256']}" in drawing.text
    page = client.get(f"{explained}/page")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-disposition"].startswith("attachment;")
    for answer in (drawing, page):
        assert answer.headers["x-research-use-only"]
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "Not tested yet." in page.text
    client.post(f"{explained}/parts/trust", json={})
    assert "Not tested yet." not in client.get(f"{explained}/page").text
    assert client.get(f"{explained}/maps/original?form=svg").status_code == 404
    assert client.get(f"{explained}/page?region=none").status_code == 404
    assert stranger.get(f"{explained}/page").status_code == 401
