"""One file is a whole method: command line and API offer, check, train and use the example of the how-to page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from tests.app.conftest import labelled_pictures, zipped
from tests.builders import example_method, tiny_backbone_folder
from training_jobs import job_queue
from training_jobs.run_job import DONE, run_job


@pytest.fixture
def example() -> Iterator[str]:
    with example_method() as name:
        yield name


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Path]:
    """A zip to train on and one of its test images as a file."""
    files = labelled_pictures()
    (tmp_path / "shades.zip").write_bytes(zipped(files))
    (tmp_path / "one.png").write_bytes(files["test/dark/0.png"])
    return {"zip": tmp_path / "shades.zip", "one": tmp_path / "one.png"}


def command(*words: object) -> list[dict]:
    """The JSON objects a command prints, after checking that it succeeded."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_command_line_lists_trains_and_predicts_with_it(example, pictures, tmp_path, home, monkeypatch):
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(home))
    assert example in [row["name"] for row in command("methods", "list", "--json")]
    (shown,) = command("methods", "show", example, "--json")
    assert [row["name"] for row in shown["options"]] == ["template", "text_share"]
    out = tmp_path / "model"
    (record,) = command("train", "--method", example, "--images", pictures["zip"], "--shots", "2",
                        "--backbone", tiny_backbone_folder(), "--set", "text_share=0.5", "--out", out,
                        "--json")  # fmt: skip
    assert (record["method"], record["title"], record["n_train"]) == (example, "Class mean", 4)
    assert record["options"]["text_share"] == 0.5
    (row,) = command("predict", "--model", out, "--images", pictures["one"], "--json")
    known = json.loads((out / "adapter_config.json").read_text("utf-8"))["classes"]
    assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
    assert set(row["probabilities"]) == set(known) == {"bright", "dark"}


def test_the_command_line_checks_its_options(example, pictures, tmp_path, home, monkeypatch):
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(home))
    words = ["train", "--method", example, "--images", str(pictures["zip"]), "--set", "text_share=2"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "'text_share' lies between 0 and 1; found 2." in " ".join(result.stderr.split())


def test_the_api_lists_queues_trains_and_classifies_with_it(example, client, context, uploaded, pictures, error_of):
    assert example in [card["name"] for card in client.get("/api/v1/methods").json()["items"]]
    assert client.get(f"/api/v1/methods/{example}").json()["options"][1]["bounds"] == [0, 1]
    asked = {"image_set": uploaded["id"], "method": example, "shots": 2}
    error = error_of(client.post("/api/v1/jobs", json=asked | {"options": {"text_share": 2}}), 422)
    assert error["message"].startswith("'text_share' lies between 0 and 1; found 2.")
    (job,) = client.post("/api/v1/jobs", json=asked).json()["items"]
    with context.db.writing() as session:
        claim = job_queue.claim(session, executor="local", host="here", slots=1)
    assert run_job(job["id"], claim.fence, settings=context.settings) == DONE
    run = client.get(f"/api/v1/runs/{job['run_id']}").json()
    assert (run["state"], run["method_title"], run["n_test"]) == ("succeeded", "Class mean", 6)
    answer = client.post(
        "/api/v1/classifications",
        data={"model_id": run["model_id"]},
        files=[("files", ("one.png", pictures["one"].read_bytes(), "image/png"))],
    ).json()
    assert sum(answer["images"][0]["probabilities"].values()) == pytest.approx(1)
