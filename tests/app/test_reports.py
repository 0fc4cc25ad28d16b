"""Reports of a small experiment on the tiny backbone, from the command line: its numbers, blanks, tables and images."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from app.cli import app
from app.main import create_app
from app.services import experiments, reports
from app.services.context import Context, open_context
from core.settings import Settings
from tests.builders import tiny_backbone_folder
from tests.core.experiments.conftest import shaded_set
from tests.core.records.databases import empty_sqlite

PATIENT = "Mueller_Anna"


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished experiment, whose images had one bad file, one copy, and a name in their file names."""
    folder = tmp_path_factory.mktemp("study")
    shaded_set(folder / "shades", ("black", "grey", "light"))
    for path in (folder / "shades" / "test").rglob("*.png"):
        path.rename(path.with_name(f"{PATIENT}_{path.name}"))
    black = folder / "shades" / "train" / "black"
    shutil.copyfile(black / "0.png", black / "again.png")
    (black / "broken.png").write_bytes(b"no picture")
    home = folder / "home"
    home.mkdir(mode=0o700)
    (home / "promptoscope.db").write_bytes(empty_sqlite())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMPTOSCOPE_HOME", str(home))
        patch.setenv("PROMPTOSCOPE_PRECISION", "fp32")
        patch.delenv("PROMPTOSCOPE_DATABASE_URL", raising=False)
        context = open_context(Settings())
        given = {
            "name": "shades study",
            "images": [str(folder / "shades")],
            "methods": ["linear_probe"],
            "shots": [1, 2],
            "seeds": [1, 2],
            "backbone": str(tiny_backbone_folder()),
        }
        made = experiments.create(context, given, paths=True)
        experiments.run_here(context, made["id"], on_cells=lambda cells: None)
        context.close()
    return home


@pytest.fixture
def ctx(studied: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(studied))
    monkeypatch.setenv("PROMPTOSCOPE_PRECISION", "fp32")
    monkeypatch.delenv("PROMPTOSCOPE_DATABASE_URL", raising=False)
    context = open_context(Settings())
    yield context
    context.close()


@pytest.fixture
def run(ctx: Context) -> Callable[..., Any]:
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(("standard", "items"), [("claim", 44), ("tripod-ai", 52), ("stard-ai", 48)])
def test_report_fills_what_is_known_and_names_the_rest(run, tmp_path, standard, items):
    result = run("report", "shades study", "--standard", standard, "--out", tmp_path / "r.html", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    page = (tmp_path / "r.html").read_text("utf-8")
    assert found["items"] == items == sum(found[name] for name in ("filled", "partly", "blank", "not_applicable"))
    assert found["filled"] >= 9
    assert f"{found['filled']} of {items} items filled" in page
    assert page.count("<td>filled</td>") == found["filled"]
    assert "Draft report: shades study" in page
    assert "Research use only" in page
    assert "56 files received = 55 usable + 1 refused; 55 usable = 19 train + 36 test; 1 of them repeats" in page


def test_page_loads_nothing_and_holds_no_file_name(run, tmp_path):
    run("report", "shades study", "--out", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert not re.search(r"(src|href)=\"(?!#)|url\(|<script|https?://|@import", page)
    for file in tmp_path.iterdir():
        assert PATIENT not in file.read_text("utf-8"), file.name
    assert "No image and no file name is in this file" in page


def test_images_come_only_when_asked_for_and_the_report_says_so(run, tmp_path):
    result = run("report", "shades study", "--out", tmp_path / "r.html", "--with-images")
    page = (tmp_path / "r.html").read_text("utf-8")
    pictures = re.findall(r'<img src="data:image/jpeg;base64,[^"]+"', page)
    assert pictures
    assert PATIENT in page
    assert "it is patient data" in page
    assert "share it as you would share them" in result.stderr


def test_tables_beside_it_hold_the_rows_of_the_experiment(run, ctx, tmp_path):
    run("report", "shades study", "--out", tmp_path / "r.html")
    names = {file.name for file in tmp_path.iterdir()}
    assert {"r-results.csv", "r-results.tex", "r-checklist.csv", "r-flow.csv", "r-failures.csv", "r-runs.csv"} <= names
    shown = experiments.show(ctx, "shades study")
    rows = list(csv.DictReader((tmp_path / "r-results.csv").open()))
    assert [(row["Line"], row["Mean"]) for row in rows] == [
        (row["line"], f"{row['mean']:.4f}") for row in shown["rows"]
    ]
    runs = list(csv.DictReader((tmp_path / "r-runs.csv").open()))
    assert [row["Run or reason"] for row in runs] == [cell["run"] for cell in shown["cells"]]
    flow = {
        (r["Step"], r["Class or reason"]): int(r["Images"]) for r in csv.DictReader((tmp_path / "r-flow.csv").open())
    }
    assert flow["received", ""] == flow["usable", ""] + flow["refused", "unreadable_image"]
    assert flow["2 shots, train", ""] == 6
    assert 6 <= flow["2 shots, distinct train", ""] <= 12


def test_a_run_and_its_model_give_the_same_report(run, ctx, tmp_path):
    cell = experiments.list_cells(ctx, "shades study")[1]
    by_run = reports.gather(ctx, cell["run"])
    assert by_run.kind == "run"
    (lone,) = by_run.runs
    assert [one["id"] for one in reports.gather(ctx, lone["model_id"]).runs] == [cell["run"]]
    result = run("report", cell["run"], "--standard", "stard-ai", "--out", tmp_path / "one.html")
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "one.html").read_text("utf-8")
    assert f"&quot;shots&quot;: {cell['shots']}" in page
    assert "cells are not finished" not in page


def test_failures_are_those_of_the_answers(ctx):
    study = reports.gather(ctx, "shades study")
    (gallery,) = study.galleries
    (leading,) = study.leading
    wrong = sum(1 for each in gallery["confident"] if 2 * each["wrong"] > each["of"])
    assert gallery["n"] == 36
    assert wrong == len(gallery["confident"]) == min(gallery["wrong"], 12)
    assert leading[0]["shots"] == 2
    assert leading[1]["method"] == "linear_probe"


def test_what_is_not_there_is_told(run, tmp_path):
    for words, why in (
        (("nobody", "--out", tmp_path / "r.html"), "'nobody' is none of them"),
        (("shades study", "--standard", "claims", "--out", tmp_path / "r.html"), "Did you mean 'claim'"),
        (("shades study", "--out", tmp_path), "found the folder"),
        (("shades study", "--out", tmp_path / "no" / "r.html"), "Make the folder first"),
    ):
        result = run("report", *words)
        assert result.exit_code == 2
        assert why in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_without_finished_cells_has_a_report_that_says_so(run, ctx, tmp_path):
    folder = tmp_path / "few"
    shaded_set(folder, ("black", "grey"), seed=3)
    given = {"name": "waiting", "images": [str(folder)], "methods": ["linear_probe"], "shots": [1], "seeds": [1]}
    made = experiments.create(ctx, given | {"backbone": str(tiny_backbone_folder())}, paths=True)
    result = run("report", "waiting", "--out", tmp_path / "w.html")
    experiments.delete(ctx, made["id"])
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "w.html").read_text("utf-8")
    assert "there is nothing to report yet" in page
    assert "2 cells are not finished" in page


def test_the_site_gives_the_same_report_to_those_who_are_signed_in(ctx, studied):
    site = create_app(Settings(home=studied, database_url=None), with_worker=False, with_pages=False)
    with TestClient(site, base_url="http://localhost:7860", headers={"Sec-Fetch-Site": "same-origin"}) as client:
        address = "/api/v1/reports"
        assert client.get(address, params={"of": "shades study"}).status_code == 401
        client.cookies.set(site.state.access.cookie_name, site.state.access.new_session())
        answer = client.get(address, params={"of": "shades study", "standard": "stard-ai"})
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"].endswith("shades%20study%2C%20stard-ai.html")
        assert "Draft report: shades study" in answer.text
        assert PATIENT not in answer.text
        assert PATIENT in client.get(address, params={"of": "shades study", "pictures": True}).text
        for params, status in (({"of": "none"}, 404), ({"of": "shades study", "standard": "consort"}, 422)):
            assert client.get(address, params=params).status_code == status
