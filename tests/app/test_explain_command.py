"""`explain` with a region: a mask file or typed corners."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import core
from app.cli import app
from tests.core.explain.towers import head_classifier

CORNERS = "12,10 40,10 40,30 12,30"


@pytest.fixture
def run(monkeypatch, tmp_path):
    from tests.builders import tiny_backbone

    backbone = tiny_backbone("timm-bert")
    monkeypatch.setattr(
        core, "load_model", lambda folder, home=None: head_classifier(backbone, 2, "insert"), raising=False
    )
    monkeypatch.setattr("app.commands.explain.find_folder", lambda name: tmp_path)
    image = tmp_path / "scan.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(image)
    words = ["explain", "--model", "m", "--image", str(image), "--out", str(tmp_path / "out")]
    return lambda *more: CliRunner().invoke(app, [*words, *more])


def read(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_mask_file_and_typed_corners_measure_the_same(run, tmp_path):
    mask = Image.new("L", (60, 40))
    mask.paste(255, (12, 10, 40, 30))
    mask.save(tmp_path / "mask.png")
    by_file = read(run("--mask", str(tmp_path / "mask.png"), "--json"))
    typed = read(run("--polygon", CORNERS, "--json"))
    assert by_file["region"] == typed["region"]
    assert by_file["region"]["mask"]["marked_px"] == 28 * 20
    assert by_file["region"]["maps"]["attention"]["area_share"] == pytest.approx(28 * 20 / 40**2)
    assert by_file["frame"]["crop_box"] == [10, 0, 50, 40]
    with np.load(tmp_path / "out" / "arrays.npz") as arrays:
        assert arrays["region_cells"].mean() == pytest.approx(28 * 20 / 40**2)
        assert arrays["crop_box"].tolist() == [10, 0, 50, 40]


def test_people_read_how_much_of_each_map_lies_in_the_region(run):
    result = run("--polygon", "0,0 20,0 20,10 0,10")
    assert "100 of the 200 marked pixels (50%) lie outside the part of the image the model sees" in result.stdout
    assert "of it in the region, which covers 6.2% of what is seen; strongest patch" in result.stdout


def test_a_jpeg_mask_does_not_grow(run, tmp_path):
    mask = Image.new("L", (60, 40))
    mask.paste(255, (12, 10, 40, 30))
    mask.save(tmp_path / "mask.jpg", quality=60)
    assert read(run("--mask", str(tmp_path / "mask.jpg"), "--json"))["region"]["mask"]["marked_px"] == 28 * 20


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--mask", "nosuch.png"], "A file with a mask; there is none at 'nosuch.png'"),
        (["--polygon", "1,1 2,2"], "found 'polygon' with 2 points"),
        (["--polygon", "1,1 2,2 900,3"], "0 to 60 across and 0 to 40 down; found (900, 3)"),
        (["--mask", "a", "--polygon", CORNERS], "A region from --mask or from --polygon; found both"),
    ],
)
def test_what_cannot_be_a_region_is_refused(run, options, sentence):
    result = run(*options)
    assert result.exit_code in (1, 2)
    assert sentence in result.output


def test_a_mask_of_another_size_is_refused(run, tmp_path):
    Image.new("L", (61, 40), 255).save(tmp_path / "mask.png")
    result = run("--mask", str(tmp_path / "mask.png"))
    assert result.exit_code == 1
    assert "60 x 40 px; found 61 x 40 px" in result.output


def test_a_drawing_a_map_and_one_page_lie_beside_the_pictures(run, tmp_path):
    found = read(run("--polygon", CORNERS, "--json"))
    assert found["page"] == str(tmp_path / "out" / "case.html")
    page = (tmp_path / "out" / "case.html").read_text(encoding="utf-8")
    assert "Evidence for &#x27;" in page
    assert "in scan.png" in page
    assert "In the marked region" in page
    assert "drawing" not in found["maps"][0], "the picture alone has no values"
    for entry in found["maps"][1:]:
        assert "left 10, top 0, right 50, bottom 40" in Path(entry["drawing"]).read_text(encoding="utf-8")
    assert f"All of it on one page: {found['page']}" in run().stdout
