"""A site on a home folder of its own, driven in-process; and small image sets to send to it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from app.main import create_app
from app.services.context import Context
from core.settings import Settings
from tests.core.records.databases import empty_sqlite

ADDRESS = "http://127.0.0.1:8000"
CLASSES = ("bright", "dark")


def png(seed: int, level: int = 128, size: tuple[int, int] = (32, 24)) -> bytes:
    """A small noisy picture around a grey level; each seed gives other bytes."""
    values = np.random.default_rng(seed).integers(-20, 20, (size[1], size[0], 3)) + level
    file = io.BytesIO()
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def labelled_pictures(train: int = 6, test: int = 3) -> dict[str, bytes]:
    """`train/<class>/<n>.png` and `test/<class>/<n>.png` with their bytes."""
    found, seed = {}, 0
    for part, count in (("train", train), ("test", test)):
        for number, name in enumerate(CLASSES):
            for i in range(count):
                found[f"{part}/{name}/{i}.png"] = png(seed, 190 - 120 * number)
                seed += 1
    return found


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def migrated_home(home: Path) -> Path:
    """A home folder whose database has all tables and no row, as after an earlier start."""
    home.mkdir(mode=0o700)
    (home / "promptoscope.db").write_bytes(empty_sqlite())
    return home


@pytest.fixture
def site(migrated_home: Path) -> Iterator[FastAPI]:
    app = create_app(Settings(home=migrated_home, database_url=None), with_worker=False, with_pages=False)
    with TestClient(app, base_url=ADDRESS):
        yield app


@pytest.fixture
def context(site: FastAPI) -> Context:
    return site.state.context


@pytest.fixture
def stranger(site: FastAPI) -> TestClient:
    """A client that has not signed in."""
    return TestClient(site, base_url=ADDRESS, raise_server_exceptions=False)


@pytest.fixture
def client(site: FastAPI) -> TestClient:
    """A signed-in browser's requests."""
    access = site.state.access
    signed_in = TestClient(
        site, base_url=ADDRESS, headers={"Sec-Fetch-Site": "same-origin"}, raise_server_exceptions=False
    )
    signed_in.cookies.set(access.cookie_name, access.new_session())
    return signed_in


@pytest.fixture
def uploaded(client: TestClient) -> dict:
    """A stored image set of two classes."""
    answer = client.post(
        "/api/v1/image-sets",
        data={"name": "Shades", "modality": "test card"},
        files=[("files", ("shades.zip", zipped(labelled_pictures()), "application/zip"))],
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def error_of() -> Callable[..., dict]:
    """The error of an answer, after checking that it has the one shape."""

    def read(answer, status: int) -> dict:
        assert answer.status_code == status, answer.text
        body = answer.json()
        assert set(body) == {"error"}
        error = body["error"]
        assert {"code", "message", "expected", "found", "remedy"} <= set(error)
        assert error["message"].startswith(error["expected"])
        return error

    return read
