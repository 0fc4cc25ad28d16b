"""Scores of maps against lesions, by worked numbers, and over images with the controls beside."""

import numpy as np
import pytest
from PIL import Image

from core.explain.batch_images import BatchImage
from core.explain.localisation import (
    CENTRE,
    RANDOM,
    Scored,
    centre_map,
    curve_area,
    deletion_insertion,
    energy,
    hit,
    matched_iou,
    score_images,
    summarise,
)
from tests.core.explain.towers import spot_picture

MAP = np.array([[4.0, 1.0], [-2.0, 4.0]])
LESION = np.array([[0.5, 0.0], [0.0, 0.0]])


def test_ties_for_the_strongest_cell_count_by_their_part():
    assert hit(MAP, LESION) == 0.5
    assert hit(MAP, LESION + 0.1) == 1.0
    assert hit(np.where(MAP == 1, np.nan, MAP), 1 - (MAP == 4)) == 0.0


def test_energy_is_the_positive_mass_inside():
    assert energy(MAP, LESION) == pytest.approx(2 / 9)
    assert energy(-np.abs(MAP), LESION) is None


def test_iou_takes_as_many_cells_as_the_lesion_covers():
    rng = np.random.default_rng(0)
    lesion = np.array([[1.0, 0.5], [0.0, 0.5]])
    assert matched_iou(np.array([[9.0, 1.0], [2.0, 8.0]]), lesion, rng) == pytest.approx(1.5 / 2.5)
    assert matched_iou(np.array([[0.0, 1.0], [9.0, 0.0]]), np.array([[1.0, 0], [0, 0]]), rng) == 0


def test_areas_are_trapezoids_over_the_fraction():
    assert curve_area([1, 0.5, 0], [0, 0.5, 1]) == 0.5
    assert curve_area([1, 0, 0], [0, 0.1, 1]) == pytest.approx(0.05)
    assert curve_area([0.3] * 8) == pytest.approx(0.3)


def test_the_blob_is_strongest_in_the_middle():
    blob = centre_map((5, 5))
    assert np.unravel_index(blob.argmax(), blob.shape) == (2, 2)
    assert blob[2, 2] == 1
    assert blob[2, 0] == pytest.approx(np.exp(-4 / (2 * 1.25**2)))


def test_hiding_the_bright_patch_first_drops_soonest_and_showing_it_rises_soonest(spot_classifier):
    pixels = spot_classifier.backbone.preprocess(spot_picture())[None]
    bright = pixels.mean(dim=1)[0].reshape(8, pixels.shape[-1] // 8, 8, -1).mean(dim=(1, 3)).numpy()
    rng = np.random.default_rng(0)
    deleted, inserted = deletion_insertion(spot_classifier, pixels, bright, 1, rng)
    late_deleted, late_inserted = deletion_insertion(spot_classifier, pixels, -bright, 1, rng)
    assert deleted < late_deleted
    assert inserted > late_inserted


def test_images_answered_wrongly_are_left_out_and_masks_are_optional(spot_classifier, tmp_path):
    spot_picture().save(tmp_path / "a.png")
    size = spot_picture().size
    Image.new("L", size, 255).save(tmp_path / "mask.png")
    images = [
        BatchImage("a", tmp_path / "a.png", "bright", mask=tmp_path / "mask.png"),
        BatchImage("b", tmp_path / "a.png", "bright"),
        BatchImage("c", tmp_path / "a.png", "dark"),
    ]
    found = list(score_images(spot_classifier, images, ["hires_cam"], lambda: None))
    assert found[-1] == "c: the model does not answer 'dark'"
    scored = [row for row in found if isinstance(row, Scored)]
    assert [(row.image, row.explainer) for row in scored] == [
        (image, name) for image in "ab" for name in ("hires_cam", CENTRE, RANDOM)
    ]
    assert all(row.hit == 1 and row.energy == pytest.approx(1) for row in scored if row.image == "a")
    assert {(row.hit, row.energy, row.iou) for row in scored if row.image == "b"} == {(None, None, None)}
    summaries = summarise(scored)
    counts = {row["explainer"]: (row["n"], row["n_masked"]) for row in summaries}
    assert counts == dict.fromkeys(("hires_cam", CENTRE, RANDOM), (2, 1))
    without = summarise(list(score_images(spot_classifier, images[:1], ["hires_cam"], lambda: None, hiding=False)))
    assert {(row["deletion"], row["insertion"]) for row in without} == {(None, None)}


def test_intervals_are_by_patient_where_all_are_known():
    def row(name, group, value):
        return Scored(name, group, "hires_cam", value, value, value, value, value)

    by_group = summarise([row("a", "p1", 0.0), row("b", "p1", 0.0), row("c", "p2", 1.0)])[0]
    assert by_group["groups"] == 2
    assert by_group["hit"]["interval"] == "95% t over 2 groups"
    by_image = summarise([row("a", None, 0.0), row("b", "p1", 0.0), row("c", "p2", 1.0)])[0]
    assert by_image["groups"] is None
    assert by_image["hit"]["interval"] == "95% t over 3 images"
    assert by_image["hit"]["mean"] == pytest.approx(1 / 3)
    assert 0 <= by_image["hit"]["low"] <= by_image["hit"]["high"] <= 1
