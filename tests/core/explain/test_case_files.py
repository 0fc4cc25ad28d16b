"""What is taken along: a drawing with its table a map, and one page a case."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from core.errors import NotFound
from core.explain.case_files import page_of, svg_of, write_case
from core.explain.explain import PICTURE_PX, explain_image
from core.explain.view import field_of_view
from tests.core.explain.towers import head_classifier

SVG = "{http://www.w3.org/2000/svg}"
CARD = {"method": "some_method", "backbone": "some tower", "weights_sha256": "ab" * 32}
BOX = "left 10, top 0, right 50, bottom 40 px of the upright original"


@pytest.fixture
def case(backbone, picture, tmp_path):
    marked = np.zeros(picture.size[::-1], dtype=bool)
    marked[10:20, 12:30] = True
    classifier = head_classifier(backbone, vectors=2)
    found = explain_image(classifier, picture, out_dir=tmp_path, mask=marked, image_name="<scan> & co.png")
    view = field_of_view(picture, backbone.preprocessing, PICTURE_PX)
    return json.loads(json.dumps(found.as_dict())), found.arrays, view, CARD


def texts(drawing):
    return ["".join(each.itertext()) for each in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def test_a_drawing_holds_each_patch_once_with_its_value_and_the_crop_box(case):
    found, arrays, view, card = case
    drawing = svg_of(found, "attention_with", arrays, view, card)
    values = arrays["attention_with"]
    titles = [each.text for each in ElementTree.fromstring(drawing).iter(f"{SVG}title")]
    there = np.argwhere(np.isfinite(values))
    assert len(there) == values.size - 2, "two patches are replaced"
    assert titles[1:] == [f"row {r + 1}, column {c + 1}: {values[r, c]:.4g}" for r, c in there]
    said = texts(drawing)
    assert any(BOX in line for line in said)
    assert "Research use only. Not for use in diagnostic procedures." in said
    assert {"Image: <scan> & co.png", "Method: some_method", f"Weights SHA-256: {'ab' * 32}"} <= set(said)
    head, *rows = np.array_split(said[-(values.size + sum(values.shape)) :], [values.shape[1]])
    assert head.tolist() == [str(column + 1) for column in range(values.shape[1])]
    table = rows[0].reshape(values.shape[0], -1)
    assert table[:, 0].tolist() == [str(row + 1) for row in range(values.shape[0])]
    assert table[0, 1:3].tolist() == ["-", "-"]
    assert float(table[-1, -1]) == pytest.approx(values[-1, -1], rel=6e-3)


def test_a_drawing_and_a_page_load_nothing(case):
    found, arrays, view, card = case
    for text in (svg_of(found, "attention", arrays, view, card), page_of(found, arrays, view, card)):
        addresses = re.findall(r'(?:href|src)="([^"]*)"', text)
        assert addresses
        assert all(each.startswith(("data:image/", "#")) for each in addresses)
        assert "<script" not in text
        assert "url(" not in text


def test_a_page_tells_all_of_the_case_and_holds_the_grey_picture_once(case):
    found, arrays, view, card = case
    page = page_of(found, arrays, view, card)
    assert "Research use only. Not for use in diagnostic procedures." in page
    assert "&lt;scan&gt; &amp; co.png" in page
    assert "<scan>" not in page
    assert BOX in page
    for entry in found["maps"]:
        assert f"<figcaption>{entry['title'].replace(chr(39), '&#x27;')}</figcaption>" in page, entry["kind"]
    assert page.count("data:image/jpeg;base64,") == 2, "in colours, and in grey below all maps"
    for heading in ("Maps", "Probabilities", "How far to trust the maps", "In the marked region", "Settings"):
        assert f"<h2>{heading}</h2>" in page
    assert "180 pixels of the original are marked" in page
    for test in found["trust"]["maps"]:
        assert f"<td>{test['state']}</td>" in page


def test_what_is_pending_is_said(case):
    found, arrays, view, card = case
    page = page_of(found | {"trust": {}, "what_if": []}, arrays, view, card)
    assert "Not tested yet." in page
    assert "With other numbers of zero vectors" not in page


def test_files_lie_beside_the_pictures_and_each_picture_names_its_crop_box(case, tmp_path):
    found, *rest = case
    page = write_case(tmp_path, found, *rest)
    assert page == tmp_path / "case.html"
    for entry in found["maps"]:
        with Image.open(tmp_path / entry["file"]) as picture:
            assert picture.text == {"crop_box": "10 0 50 40", "original_px": "60 40"}
        assert (tmp_path / f"{entry['kind']}.svg").is_file() == bool(entry["scale"])


def test_a_kind_without_values_is_refused(case):
    with pytest.raises(NotFound, match="found 'original'"):
        svg_of(case[0], "original", *case[1:])
