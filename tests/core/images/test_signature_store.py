"""Signatures on disk: found by a later process, never a reason to fail."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.images import signature as signatures
from core.images.image_set import ImageSet
from core.images.leakage import find_leaks
from core.images.signature import Signature, sign
from core.images.signature_store import SignatureStore, kept_signatures


@pytest.fixture
def as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing decoded before is remembered."""
    monkeypatch.setattr(signatures, "_known", type(signatures._known)())


def forget() -> None:
    signatures._known.clear()


def deep_picture(path: Path, top: int = 4000) -> bytes:
    values = np.linspace(0, top, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(values).save(path)
    return path.read_bytes()


def test_all_that_is_known_of_a_picture_comes_back(tmp_path: Path, as_in_a_new_process: None) -> None:
    flat = tmp_path / "flat.png"
    Image.new("L", (40, 30), 7).save(flat)
    contents = [deep_picture(tmp_path / "deep.png"), flat.read_bytes()]
    keys = [hashlib.sha256(content).hexdigest() for content in contents]
    store = SignatureStore(tmp_path / "cache" / "signatures.sqlite")
    made = [sign(content, key) for content, key in zip(contents, keys, strict=True)]
    assert made[0].windowing is not None
    assert made[1].findings
    for key, found in zip(keys, made, strict=True):
        store.put(key, found)
    store.close()
    again = SignatureStore(tmp_path / "cache" / "signatures.sqlite")
    assert [again.get(key) for key in keys] == made
    assert again.get("0" * 64) is None
    again.close()


def test_a_later_process_decodes_nothing_again(
    tmp_path: Path, as_in_a_new_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for number in range(3):
                pixels = random.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "set" / part / name / f"{number}.png")
    decoded: list[int] = []
    original = signatures._sign
    monkeypatch.setattr(signatures, "_sign", lambda picture: decoded.append(1) or original(picture))
    for _ in range(2):
        with kept_signatures(tmp_path / "signatures.sqlite"):
            found = ImageSet.read(tmp_path / "set")
            assert find_leaks(found) == []
        forget()
    assert len(decoded) == 12


@pytest.mark.parametrize("harm", ["a folder", "no database", "other facts"])
def test_a_file_that_cannot_be_used_costs_time_only(harm: str, tmp_path: Path, as_in_a_new_process: None) -> None:
    path = tmp_path / "signatures.sqlite"
    content = deep_picture(tmp_path / "deep.png")
    key = hashlib.sha256(content).hexdigest()
    if harm == "a folder":
        path.mkdir()
    elif harm == "no database":
        path.write_bytes(b"x" * 5000)
    else:
        store = SignatureStore(path)
        assert store._db is not None
        store._db.execute("INSERT INTO signatures SELECT '2|' || ?, '{\"width\": 1}'", (key,))
        store.close()
    with kept_signatures(path):
        assert isinstance(sign(content, key), Signature)
    with kept_signatures(path):
        assert sign(content, key).width == 64
