"""Uploads: good files kept, each bad one named, limits kept while reading."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest

from app.api.upload import OnDemandFile, UploadLimits
from app.services import incoming_images
from tests.app.conftest import labelled_pictures, png, zipped

URL = "/api/v1/image-sets"


def send(client, files, **data):
    return client.post(URL, data={"name": "Set", **data}, files=[("files", file) for file in files])


def test_zip_becomes_an_image_set(client, uploaded):
    assert uploaded["name"] == "Shades"
    assert uploaded["modality"] == "test card"
    assert uploaded["source"] == "upload"
    assert uploaded["drawn"] is False
    assert uploaded["classes"] == [
        {"name": "bright", "label": 0, "train": 6, "val": 0, "test": 3},
        {"name": "dark", "label": 1, "train": 6, "val": 0, "test": 3},
    ]
    assert client.get(URL).json()["items"] == [{name: uploaded[name] for name in uploaded if name != "problems"}]
    assert client.get(f"{URL}/Shades").json() == uploaded


def test_folder_sent_by_a_browser_becomes_the_same_set(client, uploaded):
    files = [(f"{name}", content, "image/png") for name, content in labelled_pictures().items()]
    answer = send(client, files)
    assert answer.status_code == 201, answer.text
    assert answer.json()["fingerprint"] == uploaded["fingerprint"]


def test_upload_reports_every_unreadable_file_and_keeps_the_others(client):
    pictures = labelled_pictures()
    bad = {
        "train/bright/notes.txt": b"hello",
        "train/bright/cut.png": png(99)[:60],
        "train/dark/photo.jpg": b"<html>",
        "train/dark/inner.zip": zipped({"a.png": png(97)}),
    }
    answer = send(client, [("set.zip", zipped(pictures | bad), "application/zip")])
    assert answer.status_code == 201, answer.text
    problems = {row["file"]: row for row in answer.json()["problems"]}
    assert set(problems) == set(bad)
    assert all(row["expected"] and row["found"] for row in problems.values())
    assert answer.json()["n_images"] == len(pictures)
    listed = client.get(f"{URL}/{answer.json()['id']}/problems").json()
    assert listed["total"] == 4


def test_names_cannot_leave_the_upload_folder(client, home):
    hostile = ["../../escape.png", "/etc/escape.png", "train/../../escape.png", "C:\\escape.png", "train/a\x00b.png"]
    files = [(name, png(200 + i), "image/png") for i, name in enumerate(hostile)]
    good = [(name, content, "image/png") for name, content in labelled_pictures().items()]
    answer = send(client, good + files)
    assert answer.status_code == 201, answer.text
    assert len(answer.json()["problems"]) >= 4
    assert not list(home.parent.rglob("*escape*"))


def test_zip_slip_is_refused_by_name(client, home):
    answer = send(client, [("set.zip", zipped(labelled_pictures() | {"../evil.png": png(300)}), "application/zip")])
    assert answer.status_code == 201
    assert [row["file"] for row in answer.json()["problems"]] == ["../evil.png"]
    assert not list(home.parent.rglob("evil.png"))


def test_upload_without_a_usable_image_names_each_reason(client, error_of):
    error = error_of(send(client, [("a/x.png", b"junk", "image/png"), ("b/y.png", b"junk", "image/png")]), 422)
    assert {row["file"] for row in error["problems"]} >= {"a/x.png", "b/y.png"}
    assert client.get(URL).json()["total"] == 0


def test_name_is_needed_and_unique(client, uploaded, error_of):
    file = ("set.zip", zipped(labelled_pictures()), "application/zip")
    assert error_of(send(client, [file], name=" "), 422)["expected"].startswith("A form field 'name'")
    error = error_of(send(client, [file], name="Shades"), 409)
    assert error["found"] == "'Shades' exists already"
    assert error_of(send(client, [file], name="x" * 500), 422)["found"] == "found 500"


def test_other_bodies_than_forms_are_refused(client, error_of):
    error = error_of(client.post(URL, json={"name": "x"}), 422)
    assert error["found"] == "found application/json"
    error_of(client.post(URL, content=b"abc", headers={"content-type": "multipart/form-data"}), 422)
    broken = {"content-type": "multipart/form-data; boundary=b"}
    error_of(client.post(URL, content=b"no boundary here", headers=broken), 422)
    cut = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nhalf'
    assert error_of(client.post(URL, content=cut, headers=broken), 422)["found"].startswith("it ended before")
    nameless = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"
    assert error_of(client.post(URL, content=nameless, headers=broken), 422)["found"] == "found a part without"


@pytest.mark.parametrize("headers", [b"X: " + b"y" * 100_000, b"\r\n".join([b"X: y"] * 1000)])
def test_headers_of_a_part_are_kept_short(client, error_of, headers):
    body = b"--b\r\n" + headers + b'\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\n--b--\r\n'
    answer = client.post(URL, content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert error_of(answer, 422)["found"].startswith("Maximum header")


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (UploadLimits(max_bytes=3 * 1024**2), "At most 3 MB in one upload"),
        (UploadLimits(max_files=2), "At most 2 files in one upload"),
        (UploadLimits(max_field_bytes=4), "At most 4 bytes in a text field"),
        (UploadLimits(max_fields=0), "At most 0 text fields"),
    ],
)
def test_limits_hold_while_reading_and_nothing_is_left_behind(client, home, monkeypatch, error_of, limits, sentence):
    monkeypatch.setattr("app.api.upload.UploadLimits", lambda: limits)
    files = [(f"a/{i}.bin", os.urandom(2 * 1024**2), "image/png") for i in range(3)]
    assert error_of(send(client, files, name="A long name"), 413)["expected"] == sentence
    assert list((home / "cache" / "uploads").iterdir()) == []


def test_chunked_bodies_meet_the_same_limit(client, home, monkeypatch, error_of):
    monkeypatch.setattr("app.api.upload.UploadLimits", lambda: UploadLimits(max_bytes=1024**2))

    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a/b.png"\r\n\r\n'
        for _ in range(40):
            yield os.urandom(64 * 1024)
        yield b"\r\n--b--\r\n"

    answer = client.post(URL, content=body(), headers={"content-type": "multipart/form-data; boundary=b"})
    assert error_of(answer, 413)["code"] == "too_large"
    assert list((home / "cache" / "uploads").iterdir()) == []


def test_uploads_are_gone_after_the_request(client, uploaded, home):
    assert list((home / "cache" / "uploads").iterdir()) == []


def test_files_open_only_while_read_behave_like_files(tmp_path):
    content = os.urandom(5000)
    (tmp_path / "f").write_bytes(content)
    file = OnDemandFile(tmp_path / "f")
    assert file.read() == content
    assert file.seek(-10, io.SEEK_END) == 4990
    assert file.read(4) == content[4990:4994]
    assert file.tell() == 4994
    assert file.seek(2, io.SEEK_CUR) == 4996
    assert file.read() == content[4996:]
    assert zipped({"a": b"x"})[:2] == b"PK"


def test_names_in_other_alphabets_are_kept(client):
    pictures = {name.replace("bright", "hell é").replace("dark", "暗い"): c for name, c in labelled_pictures().items()}
    answer = send(client, [(name, content, "image/png") for name, content in pictures.items()])
    assert [row["name"] for row in answer.json()["classes"]] == ["hell é", "暗い"]


def test_service_takes_streams_from_anywhere(context):
    found = incoming_images.add_upload(context, [("s.zip", io.BytesIO(zipped(labelled_pictures())))], "From code")
    assert found["n_images"] == 18


def lesions() -> dict[str, bytes]:
    """Two folders of images and a table of three images a lesion, ids without suffix."""
    files = {f"part_{1 + n % 2}/I{n}.png": png(n) for n in range(24)}
    rows = [f"L{n // 3},I{n},{'nv' if n < 12 else 'mel'}" for n in range(24)]
    return files | {"metadata.csv": "\n".join(["lesion_id,image_id,dx", *rows]).encode()}


def groups_of(client, answer, part):
    items = client.get(f"{URL}/{answer['id']}/images", params={"part": part, "limit": 100}).json()["items"]
    return {row["group"] for row in items}


@pytest.mark.parametrize("wrapped", [True, False])
def test_images_of_a_table_are_grouped_unless_the_sender_says_otherwise(client, wrapped):
    files = [(name, content, "image/png") for name, content in lesions().items()]
    sent = [("set.zip", zipped(lesions()), "application/zip")] if wrapped else files
    grouped = send(client, sent).json()
    assert [row["name"] for row in grouped["classes"]] == ["nv", "mel"]
    assert "Images are grouped by lesion_id: 8 groups." in grouped["notes"]
    train, test = groups_of(client, grouped, "train"), groups_of(client, grouped, "test")
    assert (len(train | test), train & test) == (8, set())
    loose = send(client, sent, name="Loose", group="none").json()
    assert groups_of(client, loose, "train") == {None}


def test_a_chosen_column_that_is_not_there_is_refused_with_the_columns(client, error_of):
    sent = [("set.zip", zipped(lesions()), "application/zip")]
    error = error_of(send(client, sent, group="ward"), 422)
    assert error["code"] == "invalid_option"
    assert error["found"] == "'ward' is none ('metadata.csv': columns found: lesion_id, image_id, dx)"


def test_an_npz_takes_its_class_names_from_a_file_sent_with_it(client):
    file, draw = io.BytesIO(), np.random.default_rng(0)
    arrays = {f"{part}_images": draw.integers(0, 256, (8, 28, 28), dtype=np.uint8) for part in ("train", "test")}
    labels = {f"{part}_labels": np.arange(8, dtype=np.uint8).reshape(8, 1) % 2 for part in ("train", "test")}
    np.savez_compressed(file, **arrays, **labels)
    sent = [
        ("breast.npz", file.getvalue(), "application/octet-stream"),
        ("names.json", b'["cyst", "tumour"]', "text/json"),
    ]
    answer = send(client, sent)
    assert answer.status_code == 201, answer.text
    assert [row["name"] for row in answer.json()["classes"]] == ["cyst", "tumour"]


def recognised(client, files, **data):
    names = json.dumps(list(files))
    tables = [("files", (name, content, "text/csv")) for name, content in files.items() if name.endswith(".csv")]
    return client.post(f"{URL}/columns", data={"names": names, **data}, files=tables)


def test_columns_are_recognised_and_shown_before_anything_is_sent(client, home):
    answer = recognised(client, {f"set/{name}": content for name, content in lesions().items()})
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["classes"], shown["n_images"], shown["group"], shown["problem"]) == (
        ["nv", "mel"],
        24,
        "lesion_id",
        None,
    )
    assert shown["groups"] == [
        {"column": "lesion_id", "table": "metadata.csv", "n_groups": 8, "n_images": 24, "usual": True}
    ]
    assert shown["tables"] == [
        {
            "name": "metadata.csv",
            "columns": ["lesion_id", "image_id", "dx"],
            "path": "image_id",
            "label": "dx",
            "used": True,
        }
    ]
    assert shown["label"] == "dx"
    assert shown["labels"] == [{"column": "dx", "table": "metadata.csv", "n_classes": 2, "n_images": 24, "usual": True}]
    assert "Images are grouped by lesion_id: 8 groups." in shown["notes"]
    assert recognised(client, lesions(), group="none").json()["group"] is None
    assert not [path for path in (home / "images").rglob("*") if path.is_file()]


def test_columns_are_recognised_for_hundreds_of_files(client):
    rows = [f"images/scan-{n:05d}.png,{'nv' if n % 2 else 'mel'},patient-{n // 5}" for n in range(400)]
    table = "\n".join(["path,label,group", *rows]).encode()
    files = {f"images/scan-{n:05d}.png": b"" for n in range(400)} | {"manifest.csv": table}
    answer = recognised(client, files)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["n_images"], shown["group"], shown["classes"]) == (400, "group", ["mel", "nv"])
    assert shown["groups"][0]["n_groups"] == 80


def test_another_column_of_classes_can_be_chosen_before_anything_is_sent(client):
    rows = [f"I{n}.png,{'nv' if n < 12 else 'mel'},{'back' if n % 3 else 'face'},{20 + n}" for n in range(24)]
    table = "\n".join(["image,dx,site,age", *rows]).encode()
    files = {f"images/I{n}.png": png(n) for n in range(24)} | {"metadata.csv": table}
    shown = recognised(client, files).json()
    assert [(row["column"], row["n_classes"], row["usual"]) for row in shown["labels"]] == [
        ("dx", 2, True),
        ("site", 2, False),
    ]
    chosen = recognised(client, files, label="site").json()
    assert (chosen["label"], chosen["classes"]) == ("site", ["face", "back"])
    assert [row["column"] for row in chosen["labels"]] == ["dx", "site"]
    sent = [("set.zip", zipped(files), "application/zip")]
    assert [row["name"] for row in send(client, sent, label="site").json()["classes"]] == chosen["classes"]


def test_a_table_without_a_known_column_of_classes_says_which_could_be_one(client):
    rows = [f"I{n}.png,{'round' if n < 12 else 'oval'},{'left' if n % 2 else 'right'}" for n in range(24)]
    table = "\n".join(["image,shape,side", *rows]).encode()
    shown = recognised(client, {f"images/I{n}.png": b"" for n in range(24)} | {"metadata.csv": table}).json()
    assert "it has no column label (columns found: image, shape, side)" in shown["problem"]
    assert (shown["label"], [row["column"] for row in shown["labels"]]) == (None, ["shape", "side"])


def test_columns_that_cannot_be_recognised_are_told(client, error_of):
    files = {"a.png": b"", "t.csv": b"name,age\na.png,3\n"}
    shown = recognised(client, files).json()
    assert "'t.csv' was not used: it has no column label (columns found: name, age)" in shown["problem"]
    for names in ("", "{}", "[1]", "["):
        error_of(client.post(f"{URL}/columns", data={"names": names}, files=[("files", ("t.csv", b"a,b"))]), 422)
