"""Files and rows change together: whatever is added, removed, refused or killed, and in whatever order."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.services import contents, incoming_images, thumbnails
from app.services import image_sets as service
from app.services.context import Context, open_context
from core.errors import Conflict, DatabaseAway, NotFound, Unavailable, UnreadableSource
from core.images.store import Staging
from core.records.tables import ImageRow
from core.settings import Settings
from tests.app.conftest import png, zipped
from tests.core.records.databases import ENGINES, database_url, migrated_database
from tests.core.test_scratch import kill_in_the_middle, posix

PROJECT = Path(__file__).resolve().parents[2]
FILES = {
    f"{part}/{name}/{n}.png": png(20 * m + 10 * k + n, 60 + 90 * k, (8, 8))
    for m, part in enumerate(("train", "test"))
    for k, name in enumerate(("a", "b"))
    for n in range(2)
}
CONTENT = zipped(FILES)
MASKED = zipped(FILES | {"masks/test/a/0.png": png(99, 255, (8, 8))})


@pytest.fixture(params=ENGINES)
def ctx(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Context]:
    """A home of its own with each kind of database."""
    with migrated_database(request.param, tmp_path) as database:
        url = database.url.render_as_string(hide_password=False)
        yield open_context(Settings(home=tmp_path / "home", database_url=url), database)


def add(ctx: Context, name: str, content: bytes = CONTENT) -> dict[str, Any]:
    return incoming_images.add_upload(ctx, [("s.zip", io.BytesIO(content))], name)


def files(ctx: Context) -> set[str]:
    """All there is below the image store, unfinished work too."""
    store = ctx.settings.images_dir
    return {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}


def needed(ctx: Context) -> set[str]:
    """What rows refer to."""
    with ctx.db.reading() as session:
        return {file for row in session.execute(select(ImageRow.file, ImageRow.mask_file)) for file in row if file}


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_deletion_before_an_upload_is_recorded_leaves_its_files(ctx, monkeypatch):
    first, original = add(ctx, "A"), contents.record

    def record(*given):
        monkeypatch.undo()
        service.delete_image_set(ctx, first["id"])
        assert files(ctx) - {f for f in files(ctx) if f.startswith(".staging")} == set()
        return original(*given)

    monkeypatch.setattr(contents, "record", record)
    assert add(ctx, "B")["n_images"] == 8
    assert files(ctx) == needed(ctx)
    assert len(files(ctx)) == 8


def test_a_deletion_during_the_recording_waits_and_leaves_its_files(ctx, monkeypatch):
    first, original, waiting = add(ctx, "A"), Staging.settle, []

    def settle(staged):
        waiting.append(in_thread(lambda: service.delete_image_set(ctx, first["id"])))
        original(staged)

    monkeypatch.setattr(Staging, "settle", settle)
    add(ctx, "B")
    waiting[0].join()
    assert [row["name"] for row in service.list_image_sets(ctx)] == ["B"]
    assert files(ctx) == needed(ctx)
    assert len(files(ctx)) == 8


def test_an_upload_between_a_deletion_of_rows_and_of_files_keeps_its_files(ctx, monkeypatch):
    first, original = add(ctx, "A"), contents.purge

    def purge(*given):
        monkeypatch.undo()
        add(ctx, "B")
        original(*given)

    monkeypatch.setattr(contents, "purge", purge)
    service.delete_image_set(ctx, first["id"])
    assert files(ctx) == needed(ctx)
    assert len(files(ctx)) == 8


def alternate(ctx: Context, name: str, times: int, seed: int, wrong: list[Any]) -> None:
    """Add and delete a set again and again; after each adding every row of it has its file."""
    chance = random.Random(seed)
    for _ in range(times):
        made = add(ctx, name)
        for row in service.list_images(ctx, made["id"]):
            path, _ = service.image_file(ctx, row["id"])
            wrong.extend([] if path.read_bytes() in FILES.values() else [path])
        if chance.random() < 0.3:
            thumbnails.thumbnail(ctx, service.list_images(ctx, made["id"])[0]["id"], 64)
        service.delete_image_set(ctx, made["id"])
    wrong.append("finished")


def test_a_hundred_uploads_and_deletions_of_the_same_images_at_once(ctx):
    wrong: list[Any] = []
    threads = [in_thread(lambda n=n: alternate(ctx, f"set {n}", 13, n, wrong)) for n in range(4)]
    for thread in threads:
        thread.join()
    assert wrong == ["finished"] * 4
    assert needed(ctx) == files(ctx) == set()
    assert list(ctx.thumbnails_dir.rglob("*.png")) == []
    assert list(ctx.doubts_dir.iterdir()) == []


PROCESS = """
import sys
from pathlib import Path
from app.services.context import open_context
from core.settings import Settings
from tests.app.test_contents import alternate
ctx, wrong = open_context(Settings()), []
alternate(ctx, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), wrong)
sys.exit(wrong != ['finished'])
"""


def test_uploads_and_deletions_of_the_same_images_by_several_processes(ctx):
    environment = os.environ | {
        "PROMPTOSCOPE_HOME": str(ctx.home),
        "PROMPTOSCOPE_DATABASE_URL": ctx.db.url.render_as_string(hide_password=False),
        "PYTHONPATH": str(PROJECT),
    }
    command = [sys.executable, "-c", PROCESS]
    others = [subprocess.Popen([*command, f"other {n}", "6", str(n)], env=environment, cwd=PROJECT) for n in range(2)]
    wrong: list[Any] = []
    while any(other.poll() is None for other in others):
        alternate(ctx, "mine", 2, 7, wrong)
    assert [other.returncode for other in others] == [0, 0]
    assert set(wrong) == {"finished"}
    assert needed(ctx) == files(ctx) == set()


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        (CONTENT, "A", Conflict),
        (b"junk", "B", UnreadableSource),
        (zipped({name: content for name, content in FILES.items() if "/a/" in name}), "B", UnreadableSource),
        (zipped({"a/0.png": b"junk", "b/0.png": b"junk"}), "B", UnreadableSource),
    ],
    ids=["name taken", "no archive", "one class", "no image"],
)
def test_a_refused_upload_leaves_nothing(ctx, content, name, error):
    add(ctx, "A", zipped({"x/0.png": png(300), "x/1.png": png(301), "y/0.png": png(302), "y/1.png": png(303)}))
    before = files(ctx)
    with pytest.raises(error):
        add(ctx, name, content)
    assert files(ctx) == needed(ctx) == before


@pytest.mark.parametrize("failure", [OSError("odd"), KeyboardInterrupt(), DatabaseAway("a", "b")], ids=repr)
@pytest.mark.parametrize("place", ["settle", "record"])
def test_an_upload_that_fails_on_the_way_leaves_nothing(ctx, monkeypatch, failure, place):
    original = Staging.settle

    def fail(*given):
        if place == "settle":
            original(*given)
        raise failure

    target = (Staging, "settle") if place == "settle" else (contents, "record")
    monkeypatch.setattr(*target, fail)
    with pytest.raises(type(failure)):
        add(ctx, "A", MASKED)
    monkeypatch.undo()
    assert files(ctx) == needed(ctx) == set()
    assert service.list_image_sets(ctx) == []
    assert add(ctx, "A", MASKED)["n_images"] == 8
    assert len(files(ctx)) == 9


def test_files_that_vanish_while_they_wait_are_missed_before_anything_is_recorded(ctx, monkeypatch):
    original = Staging.settle

    def settle(staged):
        next(iter(staged.targets)).unlink()
        original(staged)

    monkeypatch.setattr(Staging, "settle", settle)
    with pytest.raises(Unavailable, match="one of them was removed by somebody else meanwhile"):
        add(ctx, "A")
    assert files(ctx) == needed(ctx) == set()


def test_sets_that_share_an_image_keep_masks_of_their_own(ctx):
    other = zipped(FILES | {"masks/test/a/0.png": png(98, 0, (8, 8)), "masks/test/a/1.png": png(97, 0, (8, 8))})
    first, second = add(ctx, "A", MASKED), add(ctx, "B", other)
    assert len(files(ctx)) == 8 + 3
    service.delete_image_set(ctx, first["id"])
    assert files(ctx) == needed(ctx)
    masks = [row for row in service.list_images(ctx, second["id"]) if row["has_mask"]]
    assert all(service.mask_file(ctx, row["id"])[0].is_file() for row in masks)


def test_a_deletion_while_the_database_goes_away_is_finished_later(ctx, monkeypatch):
    made = add(ctx, "A")

    def away(*_):
        raise DatabaseAway("The database answers", "it does not")

    monkeypatch.setattr(contents, "purge", away)
    assert service.delete_image_set(ctx, made["id"]) == {"deleted": made["id"]}
    monkeypatch.undo()
    assert len(files(ctx)) == 8
    assert contents.sweep_home(ctx) == 1
    assert files(ctx) == set()
    assert list(ctx.doubts_dir.iterdir()) == []


def kill_at(module: Any, name: str, after: bool = False) -> None:
    """Let this process die at a step."""
    original = getattr(module, name)

    def step(*given: Any, **named: Any) -> Any:
        if after:
            original(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, name, step)


STEPS = {
    "images read": (contents, "record", False),
    "note written": (contents, "_write_note", True),
    "files moved": (Staging, "settle", True),
    "rows recorded": (contents, "fill_reserve", False),
}


@posix
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("shared", [False, True], ids=["new images", "images of another set"])
def test_an_upload_killed_at_any_step_leaves_nothing_after_the_next_start(tmp_path, step, shared):
    with database_url("sqlite", tmp_path) as url:
        settings = Settings(home=tmp_path / "home", database_url=url)
        with migrated_database("sqlite", tmp_path) as database:
            ctx = open_context(settings, database)
            if shared:
                add(ctx, "Other")
        ctx.close()

        def work() -> None:
            mine = open_context(settings)
            kill_at(*STEPS[step])
            add(mine, "A", MASKED)

        kill_in_the_middle(work)
        ctx = open_context(settings)
        contents.sweep_home(ctx)
        recorded = step == "rows recorded"
        assert [row["name"] for row in service.list_image_sets(ctx)] == ["A"] * recorded + ["Other"] * shared
        assert files(ctx) == needed(ctx)
        assert len(files(ctx)) == (9 if recorded else 8 * shared)
        assert list(ctx.doubts_dir.glob("*")) == []
        ctx.close()


@posix
@pytest.mark.parametrize("step", ["_write_note", "purge", "_remove_path"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_deletion_killed_at_any_step_is_done_or_not_after_the_next_start(tmp_path, step, after):
    with migrated_database("sqlite", tmp_path) as database:
        settings = Settings(home=tmp_path / "home", database_url=database.url.render_as_string())
        made = add(open_context(settings, database), "A", MASKED)

    def work() -> None:
        mine = open_context(settings)
        kill_at(contents, step, after)
        service.delete_image_set(mine, made["id"])

    kill_in_the_middle(work)
    ctx = open_context(settings)
    contents.sweep_home(ctx)
    kept = step == "_write_note"
    assert [row["name"] for row in service.list_image_sets(ctx)] == ["A"] * kept
    assert files(ctx) == needed(ctx)
    assert len(files(ctx)) == 9 * kept
    ctx.close()


def test_a_start_never_touches_an_upload_at_work(ctx, monkeypatch):
    original = contents.record

    def record(*given):
        before = files(ctx)
        contents.sweep_home(ctx)
        assert files(ctx) == before
        assert len([file for file in before if file.endswith(".png")]) == 8
        return original(*given)

    monkeypatch.setattr(contents, "record", record)
    assert add(ctx, "A")["n_images"] == 8
    assert files(ctx) == needed(ctx)


def test_what_earlier_versions_left_on_the_way_is_swept(ctx):
    add(ctx, "A")
    (ctx.settings.images_dir / ".incoming-abc").write_bytes(b"half")
    (ctx.uploads_dir / "upload-abc").mkdir(parents=True)
    (ctx.uploads_dir / "upload-abc" / "000000").write_bytes(b"whole")
    assert contents.sweep_home(ctx) == 2
    assert files(ctx) == needed(ctx)
    assert list(ctx.uploads_dir.iterdir()) == []


def test_a_picture_drawn_while_its_image_is_deleted_is_not_kept(ctx, monkeypatch):
    made = add(ctx, "A")
    row = service.list_images(ctx, made["id"])[0]
    original = thumbnails.small_copy

    def draw(*given):
        picture = original(*given)
        service.delete_image_set(ctx, made["id"])
        return picture

    monkeypatch.setattr(thumbnails, "small_copy", draw)
    with pytest.raises(NotFound, match="An image with this id"):
        thumbnails.thumbnail(ctx, row["id"])
    assert [path for path in ctx.thumbnails_dir.rglob("*") if path.is_file()] == []
