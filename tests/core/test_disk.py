"""A full disk is known by what many libraries say, and a reserve makes room for noting down deletions."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from core.disk import Reserve, disk_full, is_full, told_when_full
from core.errors import DiskFull, PromptoscopeError

SAID = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    RuntimeError("I/O error: There is not enough space on the disk. (os error 112)"),
    sqlite3.OperationalError("database or disk is full"),
    disk_full(),
]


@pytest.mark.parametrize("error", SAID, ids=lambda error: str(error)[:30])
def test_a_full_disk_is_known_whoever_says_it(error: Exception) -> None:
    assert is_full(error)
    with (
        pytest.raises(DiskFull, match=r"the disk is full\. Delete image sets") as caught,
        told_when_full(),
    ):
        raise error
    assert (caught.value.status, caught.value.code) == (507, "disk_full")


def test_it_is_known_behind_another_error() -> None:
    error = ValueError("saving failed")
    error.__cause__ = OSError(errno.ENOSPC, "x")
    assert is_full(error)


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "x"), ValueError("full"), KeyError("x")], ids=repr)
def test_other_errors_pass(error: Exception) -> None:
    assert not is_full(error)
    with pytest.raises(type(error)), told_when_full():
        raise error


def test_the_reserve_holds_its_room_until_it_is_released(tmp_path: Path) -> None:
    reserve = Reserve.of(tmp_path)
    assert not reserve.release()
    reserve.fill(3_000_000)
    assert reserve.held_bytes == 3_000_000
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 3_000_000
    reserve.fill(1_000_000)
    assert reserve.held_bytes == 3_000_000
    assert reserve.release()
    assert (reserve.held_bytes, list(tmp_path.iterdir())) == (0, [])


def test_the_reserve_is_not_filled_where_there_is_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.disk.free_bytes", lambda _: 3_999_999)
    Reserve.of(tmp_path).fill(1_000_000)
    assert list(tmp_path.iterdir()) == []


def test_the_family_of_errors_has_one_shape() -> None:
    assert isinstance(disk_full("the database"), PromptoscopeError)
    assert disk_full("the database").found == "the database is full"


def test_errors_that_come_from_each_other_are_looked_at_once():
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    assert not is_full(first)
    full = OSError(errno.ENOSPC, "x")
    second.__cause__, full.__cause__ = full, first
    assert is_full(first)
