"""Bundles of a small experiment on the tiny backbone: repeated with equal answers, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.services import experiments
from app.services.context import open_context
from core.settings import Settings
from tests.builders import tiny_backbone_folder
from tests.core.experiments.conftest import shaded_set
from tests.core.records.databases import empty_sqlite

PATIENT = "Mueller_Anna"


def at_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setenv("PROMPTOSCOPE_HOME", str(home))
    patch.setenv("PROMPTOSCOPE_PRECISION", "fp32")
    patch.delenv("PROMPTOSCOPE_DATABASE_URL", raising=False)


def new_home(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    (folder / "promptoscope.db").write_bytes(empty_sqlite())
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `shades`, a home with a finished experiment on them, its bundle, and one with its images."""
    folder = tmp_path_factory.mktemp("made")
    shaded_set(folder / "shades", ("black", "grey"), train=4, test=6)
    for path in (folder / "shades" / "test").rglob("*.png"):
        path.rename(path.with_name(f"{PATIENT}_{path.name}"))
    with pytest.MonkeyPatch.context() as patch:
        at_home(patch, new_home(folder / "home"))
        context = open_context(Settings())
        given = {
            "name": "shades study",
            "images": [str(folder / "shades")],
            "methods": ["coop", "linear_probe"],
            "shots": [2],
            "seeds": [1, 2],
            "backbone": str(tiny_backbone_folder()),
            "options": {"coop": {"epochs": 2, "batch_size": 4, "views": 1}},
        }
        found = experiments.create(context, given, paths=True)
        experiments.run_here(context, found["id"], on_cells=lambda cells: None)
        context.close()
        for name, words in (("b.zip", ()), ("full.zip", ("--with-images",))):
            result = CliRunner().invoke(app, ["bundle", "export", "shades study", "--out", str(folder / name), *words])
            assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture
def run(made: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    at_home(monkeypatch, made / "home")
    return lambda *words: CliRunner().invoke(app, ["bundle", *(str(word) for word in words)])


@pytest.fixture
def elsewhere(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Commands in a home that has nothing."""
    at_home(monkeypatch, new_home(tmp_path / "other"))
    return lambda *words: CliRunner().invoke(app, ["bundle", *(str(word) for word in words)])


def printed(result: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    *cells, summary = [json.loads(line) for line in result.stdout.splitlines()]
    return cells, summary


def changed(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy of a zip, each member as `change` gives it; None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if (content := change(name, old.read(name))) is not None:
                new.writestr(name, content)
    return target


def test_repeating_gives_the_same_answers_and_records_nothing(run, made):
    before = {path: path.stat().st_size for path in (made / "home" / "models").iterdir()}
    result = run("repeat", made / "b.zip", "--json")
    assert result.exit_code == 0, result.stderr
    cells, summary = printed(result)
    assert [(c["line"], c["seed"], c["verdict"], c["changed"], c["n"]) for c in cells] == [
        ("zero_shot", 1, "identical", 0, 12),
        ("coop", 1, "identical", 0, 12),
        ("coop", 2, "identical", 0, 12),
        ("linear_probe", 1, "identical", 0, 12),
        ("linear_probe", 2, "identical", 0, 12),
    ]
    assert all(cell["drawn_alike"] for cell in cells)
    assert (summary["identical"], summary["different"], summary["largest"], summary["changed_environment"]) == (
        5,
        0,
        0,
        [],
    )
    assert {path: path.stat().st_size for path in (made / "home" / "models").iterdir()} == before


def test_another_home_needs_the_images_and_takes_a_folder_of_any_layout(elsewhere, made, tmp_path):
    missing = elsewhere("repeat", made / "b.zip")
    assert missing.exit_code == 1
    assert "All 20 images of the bundle" in missing.stderr
    assert "20 were not found" in missing.stderr
    flat = tmp_path / "flat"
    flat.mkdir()
    for at, path in enumerate(sorted((made / "shades").rglob("*.png"))):
        shutil.copyfile(path, flat / f"{at}.dat")
    result = elsewhere("repeat", made / "b.zip", "--images", flat, "--json")
    assert result.exit_code == 0, result.stderr
    assert printed(result)[1]["identical"] == 5


def test_a_bundle_with_images_needs_nothing_else(elsewhere, made):
    result = elsewhere("repeat", made / "full.zip", "--json")
    assert result.exit_code == 0, result.stderr
    assert printed(result)[1]["identical"] == 5


def test_images_and_file_names_leave_only_when_asked_for(made):
    with zipfile.ZipFile(made / "b.zip") as file:
        assert not [name for name in file.namelist() if name.startswith("images/")]
        assert all(PATIENT.encode() not in file.read(name) for name in file.namelist())
    with zipfile.ZipFile(made / "full.zip") as file:
        kept = [name for name in file.namelist() if name.startswith("images/")]
        assert len(kept) == 20
        assert all(hashlib.sha256(file.read(name)).hexdigest() in name for name in kept)


def test_a_lone_run_is_repeated_as_well(run, made, tmp_path):
    context = open_context(Settings())
    cell = next(c for c in experiments.list_cells(context, "shades study") if c["line"] == "linear_probe")
    context.close()
    assert run("export", cell["run"], "--out", tmp_path / "run.zip").exit_code == 0
    result = run("repeat", tmp_path / "run.zip", "--json")
    assert result.exit_code == 0, result.stdout
    (lone,), summary = printed(result)
    # its seeds were trained in step, and sums of a batch are rounded in another order
    assert lone["verdict"] in ("identical", "within tolerance")
    assert lone["largest"] < 1e-4
    assert (lone["seed"], summary["cells"]) == (cell["seed"], 1)


def test_other_answers_are_told_and_fail(run, made, tmp_path):
    def nudged(name: str, content: bytes) -> bytes:
        if name != "answers/1.json":
            return content
        answers = json.loads(content)
        first = answers["parts"]["test"][0]["probabilities"]
        first["black"], first["grey"] = first["black"] + 0.005, first["grey"] - 0.005
        return json.dumps(answers).encode()

    file = changed(made / "b.zip", tmp_path / "nudged.zip", nudged)
    within = run("repeat", file, "--json")
    assert within.exit_code == 0
    cells, summary = printed(within)
    assert cells[1]["verdict"] == "within tolerance"
    assert cells[1]["largest"] == pytest.approx(0.005)
    assert (summary["identical"], summary["within_tolerance"]) == (4, 1)
    strict = run("repeat", file, "--tolerance", "0.001", "--json")
    assert strict.exit_code == 1
    assert printed(strict)[0][1]["verdict"] == "different"


def test_what_is_no_bundle_or_damaged_is_refused(run, made, tmp_path):
    (tmp_path / "no.zip").write_bytes(b"nothing")

    def relabelled(name: str, content: bytes) -> bytes:
        if name != "bundle.json":
            return content
        manifest = json.loads(content)
        manifest["sets"]["images"]["shades"]["images"][0][2] = "val"
        return json.dumps(manifest).encode()

    def spoilt(name: str, content: bytes) -> bytes:
        return content + b"x" if name.startswith("images/") else content

    cases = (
        (tmp_path / "no.zip", "A whole file of `promptoscope bundle export`"),
        (changed(made / "b.zip", tmp_path / "r.zip", relabelled), "their fingerprint differs"),
        (changed(made / "full.zip", tmp_path / "s.zip", spoilt), "has other bytes"),
        (
            changed(made / "b.zip", tmp_path / "a.zip", lambda n, c: None if n == "answers/2.json" else c),
            "answers/2.json",
        ),
        (
            changed(made / "b.zip", tmp_path / "f.zip", lambda n, c: c.replace(b'"format": 1', b'"format": 9')),
            "format 9",
        ),
    )
    for file, why in cases:
        result = run("repeat", file)
        assert result.exit_code == 1, file.name
        assert why in result.stderr, result.stderr
    assert run("repeat", tmp_path / "none.zip").exit_code == 2
    assert run("export", "nobody", "--out", tmp_path / "x.zip").exit_code == 2
    assert not (tmp_path / "x.zip").exists()


def test_another_backbone_is_refused(run, made):
    result = run("repeat", made / "b.zip", "--backbone", tiny_backbone_folder("clip-bert"))
    assert result.exit_code == 1
    assert "The backbone whose checksum begins with" in result.stderr
