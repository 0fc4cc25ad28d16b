"""On a full disk every write is refused with one sentence, nothing half-written stays, and deleting makes room."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import event, text
from typer.testing import CliRunner

import core.images.store
from app.api import upload
from app.cli import app as commands
from app.services import contents, explanation, models
from app.services import image_sets as service
from core.disk import Reserve
from core.errors import DiskFull
from core.records import migrate
from tests.app.conftest import labelled_pictures, zipped
from tests.app.test_contents import files, needed

SENTENCE = "Room on the disk; the disk is full."


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device", "/home/of/a/patient.png")


def send(client, name="Set"):
    file = ("files", ("set.zip", zipped(labelled_pictures()), "application/zip"))
    return client.post("/api/v1/image-sets", data={"name": name}, files=[file])


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (upload._FormWriter, "_part_data"),
        (core.images.store, "_copy"),
        (core.images.store, "_place"),
        (contents, "_write_note"),
        (upload, "scratch_folder"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_upload_without_room_is_refused_and_leaves_nothing(client, context, monkeypatch, error_of, module, name):
    with monkeypatch.context() as patch:
        patch.setattr(module, name, no_room)
        error = error_of(send(client), 507)
    assert error["code"] == "disk_full"
    assert error["message"].startswith(SENTENCE)
    assert "patient" not in json.dumps(error)
    assert files(context) == needed(context) == set()
    assert list(context.uploads_dir.glob("*")) == list(context.doubts_dir.glob("*")) == []
    assert send(client).status_code == 201


def limit_pages(ctx, pages: int | None) -> None:
    """Let the database file grow by so many pages only, as a full disk would."""

    def limit(connection, _):
        used = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {used + pages}")

    ctx.db.engine.dispose()
    for listener in LISTENERS:
        event.remove(ctx.db.engine, "connect", listener)
    LISTENERS[:] = [] if pages is None else [limit]
    for listener in LISTENERS:
        event.listen(ctx.db.engine, "connect", listener)


LISTENERS: list = []


def test_a_database_without_room_refuses_the_upload_and_lets_delete(client, context, uploaded, error_of):
    limit_pages(context, 0)
    try:
        many = zipped({f"train/{c}/{n}.png": content for c in "ab" for n, content in enumerate(pictures(60))})
        file = ("files", ("set.zip", many, "application/zip"))
        answer = client.post("/api/v1/image-sets", data={"name": "Many"}, files=[file])
        assert error_of(answer, 507)["found"] == "the database is full"
        assert files(context) == needed(context)
        assert client.delete(f"/api/v1/image-sets/{uploaded['id']}").status_code == 200
    finally:
        limit_pages(context, None)
    assert files(context) == needed(context) == set()


def pictures(count: int) -> list[bytes]:
    from tests.app.conftest import png

    return [png(5000 + n, size=(4, 4)) for n in range(count)]


def test_a_deletion_gives_the_reserve_up_and_fills_it_again(context, uploaded, monkeypatch):
    reserve, original, tries = Reserve.of(context.home), contents._write_note, []
    contents.fill_reserve(context)
    held = reserve.held_bytes
    assert held >= 1024**2

    def note(*given):
        tries.append(reserve.held_bytes)
        if reserve.held_bytes:
            no_room()
        original(*given)

    monkeypatch.setattr(contents, "_write_note", note)
    service.delete_image_set(context, uploaded["id"])
    assert tries == [held, 0]
    assert files(context) == set()
    assert reserve.held_bytes == held


def test_a_deletion_without_any_reserve_says_so(context, uploaded, monkeypatch):
    Reserve.of(context.home).release()
    monkeypatch.setattr(contents, "_write_note", no_room)
    with pytest.raises(DiskFull, match=SENTENCE):
        service.delete_image_set(context, uploaded["id"])
    assert len(service.list_image_sets(context)) == 1


def test_a_thumbnail_without_room_is_refused_and_leaves_nothing(client, context, uploaded, monkeypatch, error_of):
    row = client.get(f"/api/v1/image-sets/{uploaded['id']}/images").json()["items"][0]
    address = f"/api/v1/images/{row['id']}/thumbnail"
    with monkeypatch.context() as patch:
        patch.setattr(service.os, "replace", no_room)
        assert error_of(client.get(address), 507)["code"] == "disk_full"
    assert [path for path in context.thumbnails_dir.rglob("*") if path.is_file()] == []
    assert client.get(address).status_code == 200


def test_an_export_without_room_leaves_nothing(context, uploaded, monkeypatch, tmp_path):
    monkeypatch.setattr(service.shutil, "copyfile", no_room)
    for target in ("out", "out.zip"):
        monkeypatch.setattr(service.zipfile.ZipFile, "write", no_room)
        with pytest.raises(DiskFull, match=SENTENCE):
            service.export_image_set(context, uploaded["id"], tmp_path / "new" / target)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_model_to_download_without_room_leaves_nothing(context, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "get_model", lambda *_: {"folder": "x"})
    monkeypatch.setattr(models, "_pack", no_room)
    (context.settings.models_dir / "x").mkdir(parents=True)
    with pytest.raises(DiskFull, match=SENTENCE):
        models.archive_model(context, "x")
    assert list(context.settings.cache_dir.glob("*.zip")) == []


def test_an_explanation_without_room_leaves_nothing(context, uploaded, monkeypatch):
    row = service.list_images(context, uploaded["id"])[0]
    monkeypatch.setattr(explanation, "get_model", lambda *_: {"id": "m", "weights_sha256": "0", "folder": "x"})
    monkeypatch.setattr(explanation, "model_folder", lambda *_: Path("x"))
    monkeypatch.setattr(context.classifiers, "_load", lambda _: SimpleNamespace())
    monkeypatch.setattr("core.explain.explain.explain_first", no_room)
    with pytest.raises(DiskFull, match=SENTENCE):
        explanation.explain(context, "m", row["id"])
    assert list(context.explanations_dir.glob("*")) == list(context.drafts_dir.glob("*")) == []


def test_a_backup_without_room_leaves_nothing(context, uploaded, monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "chmod", no_room)
    with pytest.raises(DiskFull, match=SENTENCE):
        migrate.back_up(context.settings.database, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_command_without_room_says_so_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(core.images.store, "_copy", no_room)
    (tmp_path / "set.zip").write_bytes(zipped(labelled_pictures()))
    done = CliRunner().invoke(commands, ["images", "add", str(tmp_path / "set.zip"), "--name", "Set"])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {SENTENCE} Delete image sets")
    assert "Traceback" not in done.output + done.stderr


def test_the_site_starts_on_a_full_disk(context, uploaded, monkeypatch):
    monkeypatch.setattr("core.disk._occupy", no_room)
    Reserve.of(context.home).release()
    contents.fill_reserve(context)
    assert Reserve.of(context.home).held_bytes == 0
    assert list(context.home.glob("reserve*")) == []
    assert contents.sweep_home(context) == 0
    with context.db.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM image_sets")) == 1
