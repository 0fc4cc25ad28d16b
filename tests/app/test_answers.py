"""Counts over the answers of several runs, and the images behind each of them."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.services.context import Context
from core.records import runs as records
from core.records.runs import RunRequest

SUMMARY, IMAGES = "/api/v1/runs/summary", "/api/v1/runs/predictions"


def sealed(
    context: Context, uploaded: dict, seed: int, right: dict[str, list[bool]], part: str = "test", a_patient: int = 0
) -> str:
    """A finished run that is right with 0.8 where asked, else names the other class with 0.7.

    a_patient: how many images in a row are of one patient; 0 for patients that are not known.
    """
    rows: list[dict[str, Any]] = []
    for label, hits in right.items():
        other = "dark" if label == "bright" else "bright"
        for at, hit in enumerate(hits):
            told = {label: 0.8, other: 0.2} if hit else {label: 0.3, other: 0.7}
            probabilities = {name: told[name] for name in ("bright", "dark")}
            rows.append(
                {"file": f"test/{label}/{at}.png", "label": label, "predicted": max(told, key=lambda n: told[n])}
                | {"probabilities": probabilities}
                | ({"group": f"{label} {at // a_patient}"} if a_patient else {})
            )
    facts = {"backbone": "embedded", "variant": "default", "metrics": {"accuracy": 0.5}}
    with context.db.writing() as session:
        run_id = records.add_run(session, RunRequest(image_set=uploaded["id"], method="coop", seed=seed))
        records.seal_run(session, run_id, facts, {part: rows})
    return run_id


@pytest.fixture
def two_seeds(context: Context, uploaded: dict) -> list[str]:
    first = {"bright": [True, True, False], "dark": [True, False, False]}
    second = {"bright": [True, False, False], "dark": [True, True, True]}
    return [sealed(context, uploaded, seed, right) for seed, right in ((1, first), (2, second))]


def test_no_interval_counts_images_where_several_are_of_one_patient(
    client: TestClient, context: Context, uploaded: dict
) -> None:
    right = {"bright": [True, True, False, True], "dark": [True, False, False, True]}
    several, one = (sealed(context, uploaded, seed, right, a_patient=seed) for seed in (2, 1))
    found = client.get(SUMMARY, params={"run": [several]}).json()
    ends = ("accuracy_low", "accuracy_high", "expected_low", "expected_high")
    assert found["grouped"]
    assert {row[end] for row in found["reliability"] for end in ends} == {None}
    assert (found["calibration_error"]["expected_high"], found["calibration_error"]["p"]) == (None, None)
    assert found["calibration_error"]["value"] > 0
    found = client.get(SUMMARY, params={"run": [one]}).json()
    assert not found["grouped"]
    assert None not in {row[end] for row in found["reliability"] for end in ends}


def test_answers_of_seeds_are_counted_together(client: TestClient, two_seeds: list[str]) -> None:
    answer = client.get(SUMMARY, params={"run": two_seeds})
    assert answer.headers["x-research-use-only"].startswith("Research use only.")
    found = answer.json()
    assert (found["part"], found["parts"], found["classes"]) == ("test", ["test"], ["bright", "dark"])
    assert (found["n_runs"], found["n_images"]) == (2, 6)
    assert found["confusion"] == [[3, 3], [2, 4]]
    assert [row["recall"] for row in found["per_class"]] == pytest.approx([(2 / 3 + 1 / 3) / 2, (1 / 3 + 1) / 2])
    assert [(row["n"], row["accuracy"]) for row in found["reliability"]] == [(6, pytest.approx(1 / 6)), (6, 1.0)]
    assert [row["confidence"] for row in found["reliability"]] == pytest.approx([(5 * 0.7 + 0.8) / 6, 0.8])
    # 6 answers are 3 images: all right of 3 is at least 3 / (3 + 1.96^2)
    assert found["reliability"][1]["accuracy_low"] == pytest.approx(3 / (3 + 1.959964**2))
    # right with 0.8: 0.2^2 twice; wrong with 0.7: 0.7^2 twice
    assert found["brier"] == pytest.approx(((3 * 0.08 + 3 * 0.98) / 6 + (4 * 0.08 + 2 * 0.98) / 6) / 2)
    assert found["calibration_error"] is None
    # seed 1: half right with 0.8, half wrong with 0.7; seed 2: 4 of 6 right
    assert found["ece"] == pytest.approx(((0.2 * 3 + 0.7 * 3) / 6 + (0.2 * 4 + 0.7 * 2) / 6) / 2)


def test_the_images_behind_a_count_come_with_how_many_runs_said_so(
    client: TestClient, two_seeds: list[str], uploaded: dict
) -> None:
    asked = {"run": two_seeds, "label": "bright", "predicted": "dark"}
    found = client.get(IMAGES, params=asked).json()
    assert [(row["file"], row["n_runs"]) for row in found["items"]] == [
        ("test/bright/2.png", 2),
        ("test/bright/1.png", 1),
    ]
    assert found["items"][0]["probability"] == pytest.approx(0.7)
    assert client.get(f"/api/v1/images/{found['items'][0]['image_id']}/thumbnail").status_code == 200
    second = client.get(IMAGES, params=asked | {"limit": 1, "offset": 1}).json()
    assert (second["total"], second["items"][0]["file"]) == (2, "test/bright/1.png")
    none = client.get(IMAGES, params=asked | {"predicted": "grey"}).json()
    assert (none["total"], none["items"]) == (0, [])


def test_images_stay_named_after_their_set_is_gone(client: TestClient, two_seeds: list[str], uploaded: dict) -> None:
    client.delete(f"/api/v1/image-sets/{uploaded['id']}")
    found = client.get(IMAGES, params={"run": two_seeds, "label": "dark", "predicted": "bright"}).json()
    assert [(row["file"], row["image_id"]) for row in found["items"]] == [
        ("test/dark/1.png", None),
        ("test/dark/2.png", None),
    ]


def test_runs_that_do_not_fit_together_are_refused(
    client: TestClient, context: Context, uploaded: dict, two_seeds: list[str], error_of: Any
) -> None:
    other = sealed(context, uploaded, 3, {"bright": [True], "dark": [True]})
    error = error_of(client.get(SUMMARY, params={"run": [*two_seeds, other]}), 422)
    assert error["message"].startswith("Runs that were asked the same classes of the same images; found others.")
    elsewhere = sealed(context, uploaded, 4, {"bright": [True], "dark": [True]}, part="novel")
    error = error_of(client.get(SUMMARY, params={"run": [two_seeds[0], elsewhere]}), 404)
    assert "they share none" in error["message"]
    error = error_of(client.get(SUMMARY, params={"run": two_seeds, "part": "base"}), 404)
    assert error["message"].endswith("'base' is none. Choose one of test.")


def test_unknown_and_unfinished_runs_are_named(
    client: TestClient, context: Context, uploaded: dict, error_of: Any
) -> None:
    error = error_of(client.get(SUMMARY, params={"run": "nosuch"}), 404)
    assert error["message"].startswith("Finished runs, by their ids; 'nosuch' is none.")
    with context.db.writing() as session:
        waiting = records.add_run(session, RunRequest(image_set=uploaded["id"], method="coop"))
    error = error_of(client.get(SUMMARY, params={"run": waiting}), 404)
    assert "has no answers: it is not finished" in error["message"]
    error_of(client.get(SUMMARY), 422)
    error_of(client.get(IMAGES, params={"run": waiting, "label": "bright"}), 422)


def test_a_run_says_its_protocol_parts_and_precision(client: TestClient, context: Context, uploaded: dict) -> None:
    parts = {"base": {"classes": ["bright"], "n_test": 3, "metrics": {"accuracy": 0.9}, "chance": 1.0, "majority": 1.0}}
    facts = {"backbone": "embedded", "variant": "default", "metrics": {"accuracy": 0.9}, "precision": "bf16"}
    kept = {"low": 0.1, "high": 0.9, "n": 3, "interval": "95%", "over": "images", "claim": "this trained model on new"}
    with context.db.writing() as session:
        run_id = records.add_run(session, RunRequest(image_set=uploaded["id"], method="coop"))
        records.seal_run(session, run_id, facts | {"parts": parts, "intervals": {"accuracy": kept}}, [])
    run = client.get(f"/api/v1/runs/{run_id}").json()
    assert (run["protocol"], run["share"], run["precision"]) == ("few-shot", None, "bf16")
    assert run["parts"]["base"]["n_test"] == 3
    assert run["intervals"]["accuracy"]["claim"] == "this trained model on new"
