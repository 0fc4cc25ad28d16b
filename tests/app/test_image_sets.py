"""Image sets through API and services: listed in pages, looked at, checked, exported, deleted."""

from __future__ import annotations

import io
import zipfile

import pytest
from PIL import Image

from app.services import image_sets as service
from app.services import incoming_images
from core.errors import InvalidInput, NotFound
from tests.app.conftest import labelled_pictures, png, zipped


def images_of(client, uploaded, **query) -> dict:
    return client.get(f"/api/v1/image-sets/{uploaded['id']}/images", params=query).json()


def test_images_come_in_pages_with_their_total(client, uploaded):
    first, second = (images_of(client, uploaded, limit=10, offset=offset) for offset in (0, 10))
    assert (first["total"], len(first["items"]), len(second["items"])) == (18, 10, 8)
    assert not {row["id"] for row in first["items"]} & {row["id"] for row in second["items"]}
    dark = images_of(client, uploaded, **{"class": "dark", "part": "test"})
    assert dark["total"] == 3
    assert {(row["class"], row["part"]) for row in dark["items"]} == {("dark", "test")}


def test_part_that_does_not_exist_is_refused(client, uploaded, error_of):
    error_of(client.get(f"/api/v1/image-sets/{uploaded['id']}/images?part=holdout"), 422)


def test_file_is_what_was_uploaded_under_our_own_name(client, uploaded):
    row = images_of(client, uploaded, limit=1)["items"][0]
    answer = client.get(f"/api/v1/images/{row['id']}/file")
    assert answer.content in labelled_pictures().values()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == f"inline; filename*=UTF-8''image-{row['id']}.png"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    record = client.get(f"/api/v1/images/{row['id']}").json()
    assert (record["width"], record["height"], record["has_mask"]) == (32, 24, False)


def test_thumbnails_are_small_and_made_once(client, uploaded, home):
    row = images_of(client, uploaded, limit=1)["items"][0]
    for _ in range(2):
        answer = client.get(f"/api/v1/images/{row['id']}/thumbnail?size_px=17")
        assert Image.open(io.BytesIO(answer.content)).size == (32, 24)
    assert len(list((home / "cache" / "thumbnails").rglob("*.png"))) == 1


def test_image_without_mask_says_so(client, uploaded, error_of):
    row = images_of(client, uploaded, limit=1)["items"][0]
    assert error_of(client.get(f"/api/v1/images/{row['id']}/mask"), 404)["found"] == "this one has none"


def test_set_is_deleted_with_its_files(client, uploaded, home, error_of):
    assert len([p for p in (home / "images").rglob("*") if p.is_file()]) == 18
    assert client.delete(f"/api/v1/image-sets/{uploaded['id']}").json() == {"deleted": uploaded["id"]}
    assert [p for p in (home / "images").rglob("*") if p.is_file()] == []
    error_of(client.get(f"/api/v1/image-sets/{uploaded['id']}"), 404)


def test_files_two_sets_share_stay_until_the_last_goes(client, uploaded, context, home):
    twin = incoming_images.add_upload(context, [("s.zip", io.BytesIO(zipped(labelled_pictures())))], "Twin")
    client.delete(f"/api/v1/image-sets/{uploaded['id']}")
    assert len([p for p in (home / "images").rglob("*") if p.is_file()]) == 18
    assert client.get(f"/api/v1/image-sets/{twin['id']}").json()["n_images"] == 18


def test_set_in_use_by_a_job_is_kept(client, uploaded, error_of):
    request = {"image_set": uploaded["id"], "method": "zero_shot", "shots": 2}
    job = client.post("/api/v1/jobs", json=request).json()["items"][0]
    assert (
        error_of(client.delete(f"/api/v1/image-sets/{uploaded['id']}"), 409)["found"] == "1 queued or running job does"
    )
    client.post(f"/api/v1/jobs/{job['id']}/cancel")
    assert client.delete(f"/api/v1/image-sets/{uploaded['id']}").status_code == 200


def test_folder_is_copied_into_the_store(context, tmp_path):
    for name, content in labelled_pictures().items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    found = incoming_images.add_from_path(context, tmp_path / "source", "From a folder")
    row = service.list_images(context, found["id"])[0]
    assert service.image_file(context, row["id"])[0].is_relative_to(context.settings.images_dir)


def test_export_gives_back_what_was_added(context, uploaded, tmp_path):
    done = service.export_image_set(context, "Shades", tmp_path / "out.zip")
    assert done["n_images"] == 18
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == labelled_pictures()
    service.export_image_set(context, "Shades", tmp_path / "out")
    assert incoming_images.check_image_set(None, tmp_path / "out")["summary"]["train"] == 12
    with pytest.raises(InvalidInput, match="A new file or folder to export to"):
        service.export_image_set(context, "Shades", tmp_path / "out")


def test_export_keeps_images_of_one_name_apart(context, tmp_path):
    pictures = {name.replace("/", "-").replace("-0.png", "/0.png"): c for name, c in labelled_pictures().items()}
    lines = [f"{name},{name.split('-')[1].split('/')[0]},{name.split('-')[0]}" for name in pictures]
    pictures |= {
        "more/0.png": png(77, 190),
        "manifest.csv": "\n".join(["path,label,split", *lines, "more/0.png,bright,train"]).encode(),
    }
    found = incoming_images.add_upload(context, [("s.zip", io.BytesIO(zipped(pictures)))], "Same names")
    assert found["n_images"] == 19
    service.export_image_set(context, "Same names", tmp_path / "out")
    assert len(list((tmp_path / "out" / "train" / "bright").glob("0*.png"))) == 2


def test_check_finds_leaks_and_says_the_set_is_not_fit(context, tmp_path):
    pictures = labelled_pictures()
    pictures["test/bright/copy.png"] = pictures["train/bright/0.png"]
    (tmp_path / "leaky.zip").write_bytes(zipped(pictures))
    found = incoming_images.check_image_set(None, tmp_path / "leaky.zip")
    assert "same_bytes" in {row["problem"] for row in found["problems"]}
    assert found["summary"]["ok"] is False
    with pytest.raises(NotFound, match="A file or folder of images"):
        incoming_images.check_image_set(None, tmp_path / "absent")


def test_demo_is_drawn_once_says_so_and_keeps_its_masks(client, monkeypatch):
    from core.images import phantoms

    small = lambda folder, seed: phantoms.make_phantoms(folder, seed, (3, 2), 64)  # noqa: E731
    monkeypatch.setattr(incoming_images, "make_phantoms", small)
    first, again = (client.post("/api/v1/image-sets/demo").json() for _ in range(2))
    assert first == again
    assert (first["source"], first["drawn"]) == ("demo", True)
    rows = images_of(client, first)["items"]
    masked = [row for row in rows if row["has_mask"]]
    assert {row["class"] for row in rows} - {row["class"] for row in masked} == {"no lesion"}
    mask = Image.open(io.BytesIO(client.get(f"/api/v1/images/{masked[0]['id']}/mask").content))
    assert mask.size == (64, 64)
    assert set(mask.convert("L").getdata()) == {0, 255}
