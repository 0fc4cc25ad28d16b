"""Scratch folders: gone with their block, left by the dead, never taken from the living."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.scratch import abandoned, is_held, process_folder, scratch_folder, sweep

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process to kill it")


def kill_in_the_middle(work: Callable[[], None]) -> None:
    """Do the work in a process of its own, which has to be killed by it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def leave_behind(parent: Path) -> None:
    """What a process leaves that is killed while it works in a scratch folder."""

    def work() -> None:
        with scratch_folder(parent) as folder:
            (folder / "patient.png").write_bytes(b"x")
            os.kill(os.getpid(), signal.SIGKILL)

    kill_in_the_middle(work)


def test_a_scratch_folder_is_private_and_goes_with_its_block(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "new", "upload-") as folder:
        assert folder.name.startswith("upload-")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert is_held(folder)
        (folder / "a").write_text("x")
    assert list((tmp_path / "new").iterdir()) == []
    assert not is_held(folder)


def test_a_scratch_folder_goes_after_an_error_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder(tmp_path):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError), scratch_folder(tmp_path, keep_on_error=True) as folder:
        1 / 0  # noqa: B018
    assert folder.is_dir()
    assert list(abandoned(tmp_path)) == [folder]
    assert sweep(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


@posix
def test_what_a_killed_process_left_is_swept_and_what_a_living_one_holds_stays(tmp_path: Path) -> None:
    leave_behind(tmp_path)
    with scratch_folder(tmp_path) as mine:
        (mine / "a").write_text("x")
        assert len(list(tmp_path.iterdir())) == 4
        assert sweep(tmp_path) == 1
        assert (mine / "a").read_text() == "x"
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []


def test_folders_without_a_lock_and_locks_without_a_folder_are_nobodys(tmp_path: Path) -> None:
    (tmp_path / "upload-old").mkdir()
    (tmp_path / "upload-gone.lock").touch()
    (tmp_path / "a-file").touch()
    assert sweep(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]
    assert sweep(tmp_path / "absent") == 0


def test_many_at_once_with_somebody_sweeping_all_the_time(tmp_path: Path) -> None:
    done, lost, finished = threading.Event(), [], []

    def work() -> None:
        for number in range(50):
            with scratch_folder(tmp_path) as folder:
                (folder / "a").write_text(str(number))
                if (folder / "a").read_text() != str(number):
                    lost.append(folder)
        finished.append(True)

    def clean() -> None:
        while not done.is_set():
            sweep(tmp_path)

    cleaner, workers = threading.Thread(target=clean), [threading.Thread(target=work) for _ in range(4)]
    cleaner.start()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    done.set()
    cleaner.join()
    assert (lost, finished) == ([], [True] * 4)
    assert list(tmp_path.iterdir()) == []


def test_threads_that_ask_at_once_share_the_folder_of_their_process(tmp_path):
    gate = threading.Barrier(8)

    def ask(_: int) -> Path:
        gate.wait()
        return process_folder(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
