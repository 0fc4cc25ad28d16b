"""From a zip of images to an explained prediction through the site, with every way to the outside closed."""

from __future__ import annotations

import io
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.main import create_app
from core.images.phantoms import make_phantoms
from core.settings import Settings
from training_jobs import job_queue
from training_jobs.run_job import DONE, run_job

ADDRESS = "http://127.0.0.1:8000"
LOCAL = {"127.0.0.1", "::1", "localhost"}


@pytest.fixture
def closed_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Refuses every connection and name look-up that leaves the machine; returns those that were tried."""
    tried: list[str] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def refuse(host: Any) -> None:
        if str(host) not in LOCAL:
            tried.append(str(host))
            raise OSError("the network is closed in this test")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            refuse(address[0])
        connect(self, address)

    def guarded_look_up(host: Any, *rest: Any, **more: Any) -> Any:
        refuse(host)
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    return tried


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A signed-in browser at a site with pages and an empty home; jobs are run by the test itself."""
    app = create_app(Settings(home=tmp_path / "home", database_url=None), with_worker=False)
    with TestClient(app, base_url=ADDRESS, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        assert client.get("/", params={"code": app.state.access.code}).status_code == 200
        yield client


def zipped_phantoms(folder: Path) -> bytes:
    """A zip of three training images and one test image of each of four classes."""
    make_phantoms(folder, per_class=(3, 1), size_px=96)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part in ("train", "test"):
            for file in sorted((folder / part).rglob("*.png")):
                archive.write(file, file.relative_to(folder))
    return buffer.getvalue()


def run_queued_job(client: TestClient, job_id: str) -> None:
    """What a worker does with the next job, in this process, where the network is closed."""
    context = client.app.state.context  # type: ignore[attr-defined]
    with context.db.writing() as session:
        claim = job_queue.claim(session, executor="local", host="here", slots=1)
    assert claim is not None
    assert claim.job_id == job_id
    assert run_job(job_id, claim.fence, settings=context.settings) == DONE


def test_the_whole_journey_needs_no_network(client: TestClient, closed_network: list[str], tmp_path: Path) -> None:
    for page in ("/", "/image-sets", "/descriptions", "/train", "/compare", "/classify", "/attention", "/jobs"):
        assert client.get(page).status_code == 200, page
    archive = zipped_phantoms(tmp_path / "phantoms")
    sent = client.post(
        "/api/v1/image-sets", data={"name": "scans"}, files=[("files", ("scans.zip", archive, "application/zip"))]
    )
    assert sent.status_code in {200, 201}, sent.text
    images = sent.json()
    assert (images["n_images"], images["problems"]) == (16, [])
    options = {"context_length": 2}
    request = {
        "image_set": images["id"],
        "method": "biomed_dpt",
        "shots": 1,
        "epochs": 2,
        "views": 1,
        "options": options,
    }
    queued = client.post("/api/v1/jobs", json=request)
    assert queued.status_code in {200, 201, 202}, queued.text
    (job_id,) = (job["id"] for job in queued.json()["items"])
    run_queued_job(client, job_id)
    job = client.get(f"/api/v1/jobs/{job_id}").json()
    assert (job["state"], job["error"]) == ("succeeded", None)
    run = client.get(f"/api/v1/runs/{job['run_id']}").json()
    assert (run["n_train"], run["n_val"], run["n_test"]) == (4, 4, 4)
    assert [row["epoch"] for row in run["epoch_metrics"]] == [1, 2]
    assert 0 <= run["metrics"]["accuracy"] <= 1
    picture = next((tmp_path / "phantoms" / "test").rglob("*.png"))
    answer = client.post(
        "/api/v1/classifications",
        data={"model_id": run["model_id"]},
        files=[("files", ("one.png", picture.read_bytes(), "image/png"))],
    ).json()
    (image,) = answer["images"]
    assert sum(image["probabilities"].values()) == pytest.approx(1)
    assert (image["set"], image["set_reason"]) == (
        None,
        "no set: 4 calibration images, 90 % needs 9 (80 % is the highest level with them)",
    )
    near = image["outside"]["nearest"]
    assert len(near) == 3
    assert all(client.get(f"/api/v1/images/{one['image_id']}/thumbnail").status_code == 200 for one in near)
    explained = client.post(
        "/api/v1/explanations", json={"model_id": run["model_id"], "image_id": image["image_id"]}
    ).json()
    kinds = {found["kind"] for found in explained["maps"]}
    assert {"grad_cam", "attention", "difference"} <= kinds
    for found in explained["maps"]:
        assert Image.open(io.BytesIO(client.get(found["url"]).content)).format == "PNG"
    layer = explained["attention"]["layers"][0]
    assert layer["zero_vectors"] + layer["class_token"] + layer["patches"] == pytest.approx(1, abs=1e-4)
    assert closed_network == []
