"""The command line: JSON and nothing else on standard output, sentences for people, exit codes 0, 1 and 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

import core
from app.cli import app
from app.commands.train import parse_options, parse_shots, progress_text
from tests.app.conftest import labelled_pictures, png, zipped
from tests.app.test_models_in_use import ByBrightness
from tests.core.images.deep_files import brain, png16

FIXED = {"backbone": "embedded", "variant": "default", "options": {}, "n_train": 4, "n_val": 0, "n_test": 6}


@pytest.fixture(autouse=True)
def own_home(home, monkeypatch):
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(home))
    monkeypatch.delenv("PROMPTOSCOPE_DATABASE_URL", raising=False)


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def zip_path(tmp_path: Path) -> Path:
    path = tmp_path / "shades.zip"
    path.write_bytes(zipped(labelled_pictures()))
    return path


def rows(result) -> list[dict]:
    """The JSON objects of standard output; fails if anything else is there."""
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def quick_train(monkeypatch):
    """A training that takes no time and remembers what it was asked."""
    asked: dict = {}

    def train(image_set, method, **options):
        asked.update(options, image_set=image_set, method=method)
        print("a library talks")
        options["progress"](SimpleNamespace(stage="training", epoch=1, epochs=1, loss=0.5, terms={}, learning_rate=0.1,
                                            train_accuracy=None, seconds_left=0.0, done=1, total=1))  # fmt: skip
        options["out"].mkdir(parents=True)
        (options["out"] / "adapter_config.json").write_text("{}")
        (options["out"] / "adapter_model.safetensors").write_bytes(b"w")
        metrics = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa", "ece"), 0.5)
        record = {
            "method": method,
            "metrics": metrics,
            "model": str(options["out"]),
            "classes": list(image_set.classes),
        }
        record |= {"shots": options["shots"], "seed": options["seed"], "notes": ["A note."], "seconds": 1.0, **FIXED}
        return SimpleNamespace(record=record, predictions=[], drawn={})

    monkeypatch.setattr(core, "train", train, raising=False)
    return asked


def test_help_answers_at_once_without_heavy_imports():
    heavy = "('torch', 'gradio', 'fastapi', 'sqlalchemy', 'numpy')"
    code = f"import sys, app.cli; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_every_command_explains_itself_and_takes_json():
    def walk(command, path=""):
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{path} {name}".strip())
        if not hasattr(command, "commands") or (path and command.invoke_without_command):
            yield path, command

    found = dict(walk(get_command(app)))
    fixed = {
        "serve",
        "worker",
        "doctor",
        "train",
        "predict",
        "explain",
        "explain batch",
        "explain sinks",
        "compare",
        "job cancel",
        "job list",
        "job logs",
    }
    fixed |= {"db upgrade", "db check", "db backup", "db restore", "images add", "images check", "images export"}
    fixed |= {"backbones fetch", "backbones check", "methods show", "descriptions import", "descriptions check"}
    assert fixed <= set(found)
    for name, command in found.items():
        assert command.help, name
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options or name == "worker", name


def test_worker_begins_without_arguments_of_its_own(home):
    # a database that cannot be opened ends it at once, after its words were read
    words = [sys.executable, "-m", "app.cli", "worker"]
    environment = os.environ | {"PROMPTOSCOPE_DATABASE_URL": "mysql://nowhere"}
    found = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert found.returncode == 1
    assert "names an SQLite or a PostgreSQL database" in found.stderr


def test_methods_are_listed_one_object_a_line(run):
    result = run("methods", "list", "--json")
    assert result.exit_code == 0
    assert {"name", "title", "paper", "licence", "needs", "trains", "image_path"} <= set(rows(result)[0])
    assert "zero_shot" in [row["name"] for row in rows(result)]
    assert "zero_shot" in run("methods", "list").stdout


@pytest.mark.parametrize(
    "words",
    [
        ["methods", "show", "nosuch"],
        ["nosuch"],
        ["train"],
        ["job", "show", "nosuch"],
        ["backbones", "check", "nosuch"],
        ["images", "check", "nosuch"],
        ["predict", "--model", "nosuch", "--images", "nosuch"],
        ["job", "list", "--limit", "0"],
    ],
)
def test_wrong_use_exits_with_2_and_prints_nothing(run, words):
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_error_is_json_on_standard_error(run):
    result = run("methods", "show", "nosuch", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(result.stderr)["error"]["code"] == "not_found"


def test_the_grouping_column_is_shown_and_can_be_chosen(run, quick_train, tmp_path):
    files = {f"part_{1 + n % 2}/I{n}.png": png(n) for n in range(24)}
    lines = ["lesion_id,image_id,dx", *(f"L{n // 3},I{n},{'nv' if n < 12 else 'mel'}" for n in range(24))]
    (tmp_path / "s.zip").write_bytes(zipped(files | {"metadata.csv": "\n".join(lines).encode()}))
    assert "Images are grouped by lesion_id: 8 groups." in run("images", "check", tmp_path / "s.zip").stdout
    summary = rows(run("images", "check", tmp_path / "s.zip", "--group", "none", "--json"))[-1]
    assert "Images are not grouped, as was asked; lesion_id would make 8 groups." in summary["notes"]
    refused = run("images", "check", tmp_path / "s.zip", "--group", "ward")
    assert (refused.exit_code, "'ward' is none" in refused.stderr) == (2, True)
    added = rows(run("images", "add", tmp_path / "s.zip", "--name", "Skin", "--group", "lesion_id", "--json"))[0]
    assert "Images are grouped by lesion_id: 8 groups." in added["notes"]
    assert run("images", "check", "Skin", "--group", "lesion_id").exit_code == 2
    run("train", "--method", "coop", "--images", tmp_path / "s.zip", "--group", "none", "--out", tmp_path / "m")
    assert {image.group for image in quick_train["image_set"].images} == {None}


def test_images_are_added_listed_checked_and_exported(run, zip_path, tmp_path):
    added = run("images", "add", zip_path, "--name", "Shades", "--json")
    assert added.exit_code == 0, added.stderr
    assert rows(added)[0]["n_images"] == 18
    assert [row["name"] for row in rows(run("images", "list", "--json"))] == ["Shades"]
    assert rows(run("images", "check", "Shades", "--json"))[-1]["ok"] is True
    assert run("images", "export", "Shades", "--out", tmp_path / "out").exit_code == 0
    assert run("images", "add", zip_path, "--name", "Shades").exit_code == 1


def test_a_published_set_is_read_by_its_name_or_told_how_it_should_look(run, tmp_path):
    for number, name in enumerate(("BCC", "NEV", "MEL", "MISC", "SK")):
        for place in range(4):
            path = tmp_path / "derm" / ("train" if place < 3 else "test") / name / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(10 * number + place))
    added = rows(run("images", "add", tmp_path / "derm", "--as", "derm7pt", "--json"))[0]
    assert (added["name"], added["modality"]) == ("Derm7pt", "dermatoscopy")
    names = ["basal cell carcinoma", "nevus", "melanoma", "miscellaneous", "seborrheic keratosis"]
    assert [each["name"] for each in added["classes"]] == names
    refused = run("images", "add", tmp_path / "derm", "--as", "chaoyang")
    assert refused.exit_code == 1
    assert "train/serrated_lesion/" in refused.stderr
    assert run("images", "add", tmp_path / "derm").exit_code == 2
    told = run("images", "benchmarks", "derm7pt")
    assert "Classes in label order: basal cell carcinoma; nevus" in told.stdout
    assert "read its terms before use" in told.stdout
    assert len(rows(run("images", "benchmarks", "--json"))) == 29


def test_check_lists_problems_and_fails_where_parts_leak(run, tmp_path):
    pictures = labelled_pictures()
    pictures |= {"test/dark/copy.png": pictures["train/dark/0.png"], "train/dark/x.txt": b"text"}
    (tmp_path / "s.zip").write_bytes(zipped(pictures))
    result = run("images", "check", tmp_path / "s.zip", "--json")
    assert result.exit_code == 1
    *problems, summary = rows(result)
    assert all(set(row) == {"file", "problem", "expected", "found"} for row in problems)
    assert (summary["ok"], summary["leaks"] > 0, summary["problems"]) == (False, True, 1)


def test_training_from_a_path_needs_no_database(run, zip_path, tmp_path, home, quick_train):
    result = run("train", "--method", "coop", "--images", zip_path, "--shots", "2", "--set", "batch_size=4", "--json",
                 "--epochs", "3", "--out", tmp_path / "m")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (record,) = rows(result)
    assert record["metrics"]["accuracy"] == 0.5
    assert record["disclaimer"].startswith("Research use only.")
    assert (quick_train["options"], quick_train["epochs"], quick_train["shots"]) == ({"batch_size": "4"}, 3, 2)
    assert not (home / "promptoscope.db").exists()


def test_training_on_a_stored_set_is_recorded(run, zip_path, home, quick_train):
    run("images", "add", zip_path, "--name", "Shades")
    result = run("train", "--method", "zero_shot", "--images", "Shades", "--shots", "all")
    assert result.exit_code == 0, result.stderr
    assert "balanced accuracy" in result.stdout
    assert "Research use only. Not for use in diagnostic procedures." in result.stdout
    assert quick_train["shots"] is None
    assert quick_train["out"].parent == home / "models"
    compared = rows(run("compare", "Shades", "--json"))
    assert [row["method"] for row in compared] == ["zero_shot"]
    page = home.parent / "report.html"
    page.write_text("old")
    *same, last = rows(run("compare", "Shades", "--out", page, "--json"))
    assert (same, last) == (compared, {"report": str(page)})
    assert page.read_text().startswith("<!doctype html>")
    assert "Shades" in page.read_text()
    assert run("compare", "Shades", "--out", page.parent).exit_code == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--method", "copo"], 2),
        (["--method", "coop", "--set", "nosuch=1"], 2),
        (["--method", "coop", "--set", "batch_size"], 2),
        (["--method", "coop", "--set", "a=1", "--set", "a=2"], 2),
        (["--method", "coop", "--shots", "few"], 2),
        (["--method", "coop", "--shots", "0"], 2),
        (["--method", "coop", "--backbone", "nosuch"], 2),
        (["--method", "coop", "--backbone", "biomedclip"], 1),
    ],
)
def test_training_refuses_wrong_options_before_reading_images(run, zip_path, words, code):
    result = run("train", "--images", zip_path, *words, "--json")
    assert (result.exit_code, result.stdout) == (code, "")


RECIPE = "coop/biomedcoop-2025/busi/few-shot"


def test_recipes_are_listed_one_object_a_line_and_shown(run):
    listed = rows(run("recipes", "list", "--method", "coop", "--json"))
    assert {row["method"] for row in listed} == {"coop"}
    assert RECIPE in [row["name"] for row in listed]
    (shown,) = rows(run("recipes", "show", RECIPE, "--json"))
    assert (shown["options"]["learning_rate"], shown["values"]["epochs"], shown["seeds"]) == (0.002, 100, [1, 2, 3])
    assert shown["provenance"]["repository"] == "HealthX-Lab/BiomedCoOp"
    words = run("recipes", "show", RECIPE).stdout
    assert f"hash {shown['hash']}" in words
    assert "  learning_rate = 0.002\n" in words
    assert "Shots: 1, 2, 4, 8, 16\n" in words


def test_training_by_a_recipe_needs_no_method(run, zip_path, tmp_path, quick_train):
    result = run("train", "--recipe", RECIPE, "--images", zip_path, "--out", tmp_path / "m", "--json")
    assert result.exit_code == 0, result.stderr
    assert (quick_train["method"], quick_train["recipe"], quick_train["variant"]) == ("coop", RECIPE, "default")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--recipe", "coop/biomedcoop-2025/busy/few-shot"], f"Did you mean '{RECIPE}'?"),
        (["--recipe", RECIPE, "--method", "kgcoop"], "is one of coop; the method asked for is kgcoop."),
        ([], "give one, or a recipe"),
    ],
)
def test_training_refuses_what_no_recipe_can_mean(run, zip_path, words, sentence):
    result = run("train", "--images", zip_path, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in " ".join(result.stderr.split())


def test_interrupted_training_exits_with_1(run, zip_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(core, "train", interrupted, raising=False)
    result = run("train", "--method", "coop", "--images", zip_path)
    assert result.exit_code == 1
    assert "Stopped." in result.stderr


def test_prediction_prints_good_files_and_fails_for_bad_ones(run, tmp_path, home, monkeypatch):
    model, scans = tmp_path / "m", tmp_path / "scans"
    model.mkdir()
    scans.mkdir()
    (model / "adapter_config.json").write_text("{}")
    (scans / "a.png").write_bytes(png(1, 200))
    monkeypatch.setattr(core, "load_model", lambda *_, **__: ByBrightness(), raising=False)
    good = run("predict", "--model", model, "--images", scans, "--json")
    assert good.exit_code == 0, good.stderr
    (row,) = rows(good)
    assert (row["file"], row["label"], row["model"]) == (str(scans / "a.png"), "bright", str(model))
    assert row["descriptions"] == "words.json"
    assert (row["set"], row["set_reason"], row["abstain"]) == (["bright"], None, None)
    assert row["outside"] == {"score": 0.2, "p": None, "nearest": []}
    (scans / "b.png").write_bytes(b"junk")
    mixed = run("predict", "--model", model, "--images", scans, "--json")
    assert (mixed.exit_code, len(rows(mixed))) == (1, 1)
    assert "b.png" in mixed.stderr
    assert rows(run("predict", "--model", model, "--images", scans / "a.png", "--json"))[0]["file"] == str(
        scans / "a.png"
    )
    assert not (home / "images").exists()


def test_prediction_says_beside_the_answer_what_a_picture_lacks(run, tmp_path, monkeypatch):
    model, scans = tmp_path / "m", tmp_path / "scans"
    model.mkdir()
    scans.mkdir()
    (model / "adapter_config.json").write_text("{}")
    Image.new("L", (40, 30)).save(scans / "black.png")
    (scans / "deep.png").write_bytes(png16(np.rint(brain() * 4000).astype("u2")))
    monkeypatch.setattr(core, "load_model", lambda *_, **__: ByBrightness(), raising=False)
    found = run("predict", "--model", model, "--images", scans, "--json")
    black, deep = rows(found)
    sentence = "The picture is nearly constant, black all over: look at it before you trust an answer."
    assert found.exit_code == 0
    assert [(each["problem"], each["sentence"]) for each in black["findings"]] == [("constant", sentence)]
    assert sentence in found.stderr
    assert (deep["findings"], deep["windowing"]["bits"], black["windowing"]) == ([], 16, None)
    assert f"black.png: dark (1.000) {sentence}" in run("predict", "--model", model, "--images", scans).stdout


def test_check_names_pictures_without_contrast_and_stays_content(run, tmp_path):
    for name, level in (("bright", 255), ("dark", 0)):
        folder = tmp_path / "set" / name
        folder.mkdir(parents=True)
        for n in range(4):
            (folder / f"{n}.png").write_bytes(png16(np.rint(brain(n + level) * 4200).astype("u2")))
        Image.new("L", (40, 30), level).save(folder / "flat.png")
    found = run("images", "check", tmp_path / "set", "--json")
    *problems, summary = rows(found)
    assert found.exit_code == 0, found.stderr
    assert [(row["file"], row["problem"]) for row in problems if row["problem"] != "near_duplicate"] == [
        ("bright/flat.png", "constant"),
        ("dark/flat.png", "constant"),
    ]
    assert (summary["findings"], summary["problems"], summary["ok"]) == (2, 0, True)
    assert "2 pictures to look at" in run("images", "check", tmp_path / "set").stdout


def test_descriptions_travel_through_files(run, zip_path, tmp_path):
    run("images", "add", zip_path, "--name", "Shades")
    wording = tmp_path / "wording.json"
    wording.write_text(json.dumps({"bright": ["a bright card."], "dark": ["a dark card."]}))
    assert rows(run("descriptions", "import", wording, "--images", "Shades", "--json"))[0]["version"] == 1
    assert run("descriptions", "export", "wording", "--out", tmp_path / "w.csv").exit_code == 0
    assert "dark,a dark card." in (tmp_path / "w.csv").read_text()
    assert rows(run("descriptions", "check", "wording", "--json"))[-1]["ok"] is True
    wording.write_text(json.dumps({"bright": ["bright.", "bright."], "dark": ["a dark card."]}))
    found = run("descriptions", "check", wording, "--json")
    assert (found.exit_code, rows(found)[0]["finding"]) == (1, "duplicate")


def test_database_is_upgraded_backed_up_and_restored(run, zip_path):
    assert run("db", "check").exit_code == 1
    assert rows(run("db", "upgrade", "--json"))[0]["before"] is None
    assert rows(run("db", "check", "--json"))[0]["standing"] == "current"
    run("images", "add", zip_path, "--name", "Before")
    copy = rows(run("db", "backup", "--json"))[0]["path"]
    run("images", "add", zip_path, "--name", "After")
    assert run("db", "restore", copy, "--yes").exit_code == 0
    assert [row["name"] for row in rows(run("images", "list", "--json"))] == ["Before"]
    assert run("db", "restore", zip_path, "--yes").exit_code == 1
    assert run("db", "restore", copy).exit_code == 1


def test_shots_and_options_are_read_from_text():
    assert (parse_shots("all"), parse_shots("4")) == (None, 4)
    assert parse_options(["a=1", "b = x=y"]) == {"a": "1", "b": "x=y"}


def test_progress_is_a_short_line():
    found = SimpleNamespace(stage="training", epoch=3, epochs=10, loss=0.25, seconds_left=7.4, done=3, total=10)
    assert progress_text(found) == "training: epoch 3 of 10, loss 0.250, 7 s left"
    assert progress_text(SimpleNamespace(stage="features", epoch=None, done=2, total=9)) == "features: 2 of 9"


@pytest.mark.parametrize(
    "words",
    [
        ("descriptions", "export", "half \udcff", "--out", "x.json"),
        ("images", "list", "--json", "extra\x1b"),
        ("train", "--images", "a\u202eb", "--method", "coop"),
        ("descriptions", "export", "x", "--out", "x.json", "--version", "99999999999999999999"),
        ("job", "list", "--limit", "99999999999999999999"),
        ("images", "check", "x" * 5000),
        ("train", "--images", "y" * 300, "--method", "coop", "--seed", "9" * 30),
    ],
)
def test_hostile_values_are_wrong_use_or_unknown_names_and_never_a_trace(run, words):
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_description_sets_are_deleted_by_name(run, zip_path, tmp_path):
    run("images", "add", zip_path, "--name", "Shades")
    file = tmp_path / "texts.json"
    file.write_text('{"bright": ["a bright card"], "dark": ["a dark card"]}')
    run("descriptions", "import", file, "--images", "Shades", "--name", "Texts")
    assert set(rows(run("descriptions", "delete", "Texts", "--json"))[0]) == {"deleted"}
    assert run("descriptions", "delete", "Texts").exit_code == 2
