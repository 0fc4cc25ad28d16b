"""The content-addressed store."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from core.errors import InvalidInput, NotFound
from core.images.store import FileStore

CONTENT = b"some image"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_bytes_and_streams_land_at_their_hash_once(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "images")
    first = store.put(CONTENT, ".PNG")
    assert first == (SHA256, tmp_path / "images" / SHA256[:2] / f"{SHA256}.png")
    stamp = first[1].stat().st_mtime_ns
    assert store.put(io.BytesIO(CONTENT), ".png") == first
    assert (first[1].stat().st_mtime_ns, first[1].read_bytes()) == (stamp, CONTENT)
    assert store.path_of(SHA256) == first[1]
    assert [p.name for p in (tmp_path / "images").iterdir()] == [SHA256[:2]]
    assert first[1].stat().st_mode & 0o777 == 0o600


def test_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        FileStore(tmp_path).put(Broken(), ".png")
    assert list(tmp_path.rglob("*")) == []


def test_unknown_hashes_and_odd_suffixes_are_refused(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for sha256 in ("0" * 64, "../../etc/passwd", "*"):
        with pytest.raises(NotFound, match="A stored file with this hash; found none"):
            store.path_of(sha256)
    with pytest.raises(InvalidInput, match=r"A suffix is a dot and up to 8 letters or digits; found '/../x'"):
        store.put(CONTENT, "/../x")
