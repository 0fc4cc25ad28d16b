"""Regions of images: drawn in original pixels, uploaded, measured, and forgotten with their image."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

SQUARE = {"kind": "polygon", "points": [[10, 4], [20, 4], [20, 14], [10, 14]]}


def as_png(values: np.ndarray, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def image(client, uploaded) -> dict:
    """One stored image of 32 x 24 px."""
    return client.get(f"/api/v1/image-sets/{uploaded['id']}/images").json()["items"][0]


@pytest.fixture
def upload(client, image):
    address = f"/api/v1/images/{image['id']}/region-files"
    return lambda *contents: client.post(address, files=[("files", ("mask.png", each)) for each in contents])


def mask_of(client, image, region) -> np.ndarray:
    answer = client.get(f"/api/v1/images/{image['id']}/regions/{region['id']}/mask")
    assert answer.headers["cache-control"] == "no-store"
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("L")) > 0


def test_a_drawn_region_is_kept_in_original_pixels(client, image, home):
    brush = {"kind": "brush", "points": [[3.0, 3.0], [3.0, 3.2]], "radius": 2}
    answer = client.post(f"/api/v1/images/{image['id']}/regions", json={"shapes": [SQUARE, brush]})
    assert answer.status_code == 201
    region = answer.json()
    marked = mask_of(client, image, region)
    assert marked.shape == (24, 32)
    assert marked[4:14, 10:20].all()
    assert region["marked_px"] == marked.sum() > 110
    assert [shape["kind"] for shape in region["shapes"]] == ["polygon", "brush"]
    listed = client.get(f"/api/v1/images/{image['id']}/regions").json()
    assert (listed["total"], listed["items"][0]) == (1, region)


def test_an_uploaded_jpeg_mask_does_not_grow(client, image, upload):
    drawn = np.zeros((24, 32), np.uint8)
    drawn[8:18, 8:24] = 255
    answer = upload(as_png(drawn, "JPEG", quality=60))
    assert answer.status_code == 201, answer.text
    assert answer.json()["marked_px"] == 160
    assert np.array_equal(mask_of(client, image, answer.json()), drawn > 0)


def test_what_is_no_mask_of_this_image_is_refused(client, image, upload, error_of):
    wrong = error_of(upload(as_png(np.ones((32, 24), np.uint8))), 422)
    assert "A mask is as large as its image, 32 x 24 px; found 24 x 32 px" in wrong["message"]
    assert "found none that is not black" in error_of(upload(as_png(np.zeros((24, 32), np.uint8))), 422)["message"]
    assert "found 2 files" in error_of(upload(*[as_png(np.ones((24, 32), np.uint8))] * 2), 422)["message"]
    assert "a PDF document" in error_of(upload(b"%PDF-1.7 " + bytes(80)), 422)["message"]
    address = f"/api/v1/images/{image['id']}/regions"
    outside = SQUARE | {"points": [[0, 0], [40, 0], [40, 9]]}
    refused = error_of(client.post(address, json={"shapes": [outside]}), 422)
    assert "0 to 32 across and 0 to 24 down; found (40, 0)" in refused["message"]
    error_of(client.post(address, json={"shapes": [SQUARE | {"colour": "red"}]}), 422)
    error_of(client.post("/api/v1/images/nosuch/regions", json={"shapes": [SQUARE]}), 404)
    assert client.get(address).json()["total"] == 0


def test_regions_are_for_those_who_are_signed_in(stranger, client, image, error_of):
    region = client.post(f"/api/v1/images/{image['id']}/regions", json={"shapes": [SQUARE]}).json()
    address = f"/api/v1/images/{image['id']}/regions"
    for answer in (
        stranger.get(address),
        stranger.get(f"{address}/{region['id']}/mask"),
        stranger.post(address, json={"shapes": [SQUARE]}),
        stranger.post(f"/api/v1/images/{image['id']}/region-files", files=[("files", ("m.png", b"1"))]),
        stranger.delete(f"{address}/{region['id']}"),
    ):
        error_of(answer, 401)


def test_a_region_is_not_found_under_another_image(client, uploaded, image, error_of):
    other = client.get(f"/api/v1/image-sets/{uploaded['id']}/images").json()["items"][1]
    region = client.post(f"/api/v1/images/{image['id']}/regions", json={"shapes": [SQUARE]}).json()
    error_of(client.get(f"/api/v1/images/{other['id']}/regions/{region['id']}/mask"), 404)
    error_of(client.delete(f"/api/v1/images/{other['id']}/regions/{region['id']}"), 404)


def test_masks_go_with_their_region_and_with_their_image(client, uploaded, image, home):
    def kept():
        return len([path for path in (home / "images").rglob("*.*") if path.is_file()])

    before = kept()
    address = f"/api/v1/images/{image['id']}/regions"
    twins = [client.post(address, json={"shapes": [SQUARE]}).json() for _ in range(2)]
    assert kept() == before + 1  # one content
    client.delete(f"{address}/{twins[0]['id']}")
    assert kept() == before + 1
    client.delete(f"{address}/{twins[1]['id']}")
    assert kept() == before
    client.post(address, json={"shapes": [SQUARE]})
    assert client.delete(f"/api/v1/image-sets/{uploaded['id']}").status_code == 200
    assert kept() == 0
