"""Experiments through the services and the command line: recorded, run, killed, resumed, shown and deleted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.services import (
    experiment_estimate,
    experiment_plan,
    experiment_results,
    experiment_rows,
    experiments,
    kept_rows,
)
from app.services.context import Context, open_context
from app.services.timings import Timings
from core.errors import ClassMismatch, Conflict, InvalidInput, InvalidOption, NotFound, TooFewImages
from core.experiments.estimate import RECORDING_S
from core.records import image_sets, jobs, runs
from core.records.migrate import upgrade
from core.settings import Settings
from tests.builders import tiny_backbone_folder
from tests.core.experiments.conftest import shaded_set
from tests.core.records.databases import ENGINES, database_url
from training_jobs import job_queue

QUICK = {"coop": {"epochs": 2, "batch_size": 4, "views": 1}}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of images: shades and others."""
    folder = tmp_path_factory.mktemp("pictures")
    shaded_set(folder / "shades", ("black", "grey", "light"))
    shaded_set(folder / "others", ("grey", "white", "light"), seed=1)
    return folder


BOTH = pytest.mark.parametrize("ctx", ENGINES, indirect=True)
"""On SQLite, and on PostgreSQL where there is one."""


@pytest.fixture
def ctx(migrated_home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Context]:
    kind = getattr(request, "param", "sqlite")
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(migrated_home))
    monkeypatch.setenv("PROMPTOSCOPE_PRECISION", "fp32")
    monkeypatch.delenv("PROMPTOSCOPE_DATABASE_URL", raising=False)
    with database_url(kind, migrated_home) as url:
        if kind == "postgresql":
            upgrade(url)
            monkeypatch.setenv("PROMPTOSCOPE_DATABASE_URL", url)
        context = open_context(Settings())
        yield context
        context.close()


@pytest.fixture
def given(pictures: Path) -> dict[str, Any]:
    return {
        "name": "first look",
        "images": [str(pictures / "shades")],
        "methods": ["coop", "linear_probe"],
        "shots": [2],
        "seeds": [1, 2],
        "backbone": str(tiny_backbone_folder()),
        "options": QUICK,
    }


@pytest.fixture
def file(given: dict[str, Any], tmp_path: Path) -> Path:
    return toml(tmp_path / "first.toml", given)


def toml(path: Path, values: dict[str, Any]) -> Path:
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if key != "options"]
    for method, options in values.get("options", {}).items():
        lines += [f"[options.{method}]", *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture
def run(ctx: Context) -> Callable[..., Any]:
    return lambda *words: CliRunner().invoke(app, ["experiment", *(str(word) for word in words)])


def printed(result: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Cells and rows; fails if anything else stands on standard output."""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = [each["kind"] for each in found]
    assert kinds == sorted(kinds), "cells come first"
    return [each for each in found if each["kind"] == "cell"], [each for each in found if each["kind"] == "row"]


def run_all(ctx: Context, name: str) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    experiments.run_here(ctx, name, on_cells=seen.extend)
    return seen


# command line ----------------------------------------------------------------------------------------------------


@BOTH
def test_run_prints_each_cell_and_then_each_row(run, file, ctx):
    result = run("run", file, "--json")
    assert result.exit_code == 0, result.stderr
    cells, rows = printed(result)
    assert [(c["method"], c["shots"], c["seed"], c["state"]) for c in cells] == [
        ("zero_shot", 2, 1, "done"),
        ("coop", 2, 1, "done"),
        ("coop", 2, 2, "done"),
        ("linear_probe", 2, 1, "done"),
        ("linear_probe", 2, 2, "done"),
    ]
    assert set(cells[0]["metrics"]) >= {"accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa", "ece"}
    assert [row["method"] for row in rows] == ["zero_shot", "coop", "linear_probe"]
    for row in rows:
        assert {"method", "shots", "n_seeds", "mean", "low", "high", "interval", "difference", "notes"} <= set(row)
    probe = rows[2]
    values = [cell["metrics"]["balanced_accuracy"] for cell in cells if cell["method"] == "linear_probe"]
    assert probe["mean"] == pytest.approx(sum(values) / 2)
    assert probe["difference"]["against"] == "zero_shot"
    assert "5 cells, about" in result.stderr
    assert "timed now" in result.stderr
    assert "times what was estimated." in result.stderr


def test_show_gives_what_run_gave_and_list_counts(run, file):
    first = run("run", file, "--json")
    shown = run("show", "first look", "--json")
    assert printed(shown) == printed(first)
    (listed,) = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert (listed["name"], listed["state"], listed["cells"]["done"]) == ("first look", "done", 5)
    assert "first look" in run("list").stdout
    text = run("show", "first look").stdout
    assert "first look: done. 5 cells: 5 done." in text
    assert "Research use only" in text


@BOTH
def test_running_the_same_file_again_computes_nothing(run, file, ctx):
    run("run", file, "--json")
    again = run("run", file, "--json")
    assert again.exit_code == 0
    cells, _ = printed(again)
    assert [cell["attempts"] for cell in cells] == [1] * 5
    with ctx.db.reading() as session:
        assert runs.count_runs(session) == 5
        assert image_sets.count_image_sets(session) == 1


def test_the_same_name_with_other_contents_is_refused(run, file, given, tmp_path):
    run("run", file)
    result = run("run", toml(tmp_path / "second.toml", given | {"seeds": [1, 2, 3]}))
    assert result.exit_code == 1
    assert "Give the changed experiment another name" in result.stderr


@BOTH
def test_another_experiment_takes_over_finished_cells(run, file, given, tmp_path):
    first, _ = printed(run("run", file, "--json"))
    second, _ = printed(run("run", toml(tmp_path / "b.toml", given | {"name": "b", "seeds": [1, 2, 3]}), "--json"))
    known = {cell["hash"]: cell["run"] for cell in first}
    again = [cell for cell in second if cell["hash"] in known]
    assert len(again) == 5
    assert all(cell["reused"] and cell["attempts"] == 0 and cell["run"] == known[cell["hash"]] for cell in again)
    assert [cell["seed"] for cell in second if not cell["reused"]] == [3, 3]


@BOTH
def test_a_failed_cell_gives_exit_code_1_and_is_retried_alone(run, given, tmp_path, ctx):
    file = toml(tmp_path / "f.toml", given | {"shots": [2, 50], "methods": ["linear_probe"], "options": {}})
    result = run("run", file, "--json")
    assert result.exit_code == 1
    cells, rows = printed(result)
    assert [(c["shots"], c["state"], c["metrics"] is None) for c in cells if c["method"] == "linear_probe"] == [
        (2, "done", False),
        (2, "done", False),
        (50, "failed", True),
        (50, "failed", True),
    ]
    assert {row["shots"] for row in rows} == {2}
    assert "50 shots per class need" in run("show", "first look").stdout
    failed = [cell["position"] for cell in cells if cell["state"] == "failed"]
    for wrong, code, why in ((0, 1, "cell 0 is done"), (99, 2, "99 is none")):
        refused = run("retry", "first look", "--cell", wrong)
        assert refused.exit_code == code, refused.stderr
        assert why in refused.stderr
    alone = run("retry", "first look", "--cell", failed[1], "--json")
    assert json.loads(alone.stdout)["cells"] == {"waiting": 1, "running": 0, "done": 3, "failed": 2}
    queued = run("retry", "first look", "--json")
    assert queued.exit_code == 0, queued.stderr
    assert json.loads(queued.stdout)["cells"] == {"waiting": 3, "running": 0, "done": 3, "failed": 0}
    with ctx.db.reading() as session:
        assert [job["kind"] for job in jobs.list_jobs(session, "queued")] == ["experiment"]
    cancelled = run("cancel", "first look", "--json")
    assert json.loads(cancelled.stdout)["job"]["state"] == "cancelled"
    assert run("cancel", "first look").exit_code == 1
    # the waiting cells fail again here, the finished ones are left alone
    cells, _ = printed(run("run", file, "--json"))
    assert [cell["attempts"] for cell in cells if cell["state"] == "done"] == [1] * 3
    assert [cell["attempts"] for cell in cells if cell["state"] == "failed"] == [2] * 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "An experiment file in TOML"),
        ('name = "a"\nimages = "x"', "An experiment with 'methods' or 'recipes'"),
        ('name = "a\\u0000b"\nimages = "x"\nmethods = "coop"', "without control characters"),
        ('name = "a"\nimages = "nosuch"\nmethods = "coop"', "'nosuch' is none"),
        ('name = "a"\nimages = "x"\nmethods = "coopp"', "Did you mean 'coop'?"),
        ('name = "a"\nimages = "x"\nmethods = "coop"\nbackbone = "nosuch"', "nosuch"),
        ('name = "a"\nimages = "x"\nmethods = "coop"\n[options.coop]\nepochs = -1', "epochs"),
        ('name = "a"\nimages = "x"\nmethods = "coop"\nnosuch = 1', "found 'nosuch'"),
        ('name = "' + "a" * 300 + '"\nimages = "x"\nmethods = "coop"', "at most 200 characters"),
        (f'name = "a"\nimages = "x"\nmethods = "coop"\nseeds = {list(range(99_999))}', "at most 5000 cells"),
        (
            'name = "a"\nimages = "x"\nmethods = "coop"\n[options.coop]\n'
            + "\n".join(f"{name} = {list(range(1, 2000))}" for name in ("epochs", "batch_size", "views")),
            "At most 5000 lines of 'coop'",
        ),
    ],
)
def test_a_wrong_file_is_wrong_use(run, tmp_path, pictures, text, said):
    (tmp_path / "w.toml").write_text(text.replace('"x"', json.dumps(str(pictures / "shades"))), "utf-8")
    result = run("run", tmp_path / "w.toml", "--json")
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    assert said in json.loads(result.stderr.splitlines()[-1])["error"]["message"]


@pytest.mark.parametrize("words", [["show", "no"], ["cancel", "no"], ["retry", "no"], ["run", "no.toml"], ["run", "."]])
def test_what_is_not_there_is_wrong_use(run, words):
    assert run(*words).exit_code == 2


@pytest.mark.slow
@BOTH
def test_a_killed_run_goes_on_and_computes_no_finished_cell_again(ctx, given, tmp_path):
    slow = {"coop": {"epochs": 60, "batch_size": 2, "views": 1}}
    file = toml(tmp_path / "k.toml", given | {"methods": ["coop"], "shots": [1, 2, 3, 4], "options": slow})
    words = [sys.executable, "-m", "app.cli", "experiment", "run", str(file), "--json"]
    finished: dict[int, str] = {}
    for lines in (1, 5):  # killed twice, each time further on
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        assert process.stdout is not None
        for _ in range(lines):
            cell = json.loads(process.stdout.readline())
            assert cell["state"] == "done"
        process.kill()
        process.wait()
        process.stdout.close()
        found = experiments.list_cells(ctx, "first look")
        kept = {cell["position"]: cell["run"] for cell in found if cell["state"] == "done"}
        assert finished.items() <= kept.items()
        finished = kept
        assert len(finished) < len(found) == 12
    last = subprocess.run(words, capture_output=True, text=True, check=True)
    cells = [each for each in map(json.loads, last.stdout.splitlines()) if each["kind"] == "cell"]
    assert len(cells) == len({cell["hash"] for cell in cells}) == 12
    assert all(cell["state"] == "done" for cell in cells)
    again = {cell["position"]: cell for cell in cells}
    assert all(again[position]["run"] == run for position, run in finished.items())
    with ctx.db.reading() as session:
        assert runs.count_runs(session) == 12
    assert len(list(ctx.settings.models_dir.iterdir())) == 12
    # killed twice, so at most two cells' or groups' trainings were begun more than once
    assert sum(cell["attempts"] for cell in cells) <= 12 + 2 * 2


# services --------------------------------------------------------------------------------------------------------


def test_paths_are_for_those_who_own_the_machine(ctx, given):
    with pytest.raises(NotFound, match="An image set with this id or name"):
        experiments.create(ctx, given | {"backbone": "embedded"})
    with ctx.db.reading() as session:
        assert image_sets.count_image_sets(session) == 0


def test_images_of_a_path_are_stored_once_under_a_name_of_their_own(ctx, given, pictures, tmp_path):
    first = experiments.create(ctx, given, paths=True)
    shutil.copytree(pictures / "others", tmp_path / "shades")
    second = experiments.create(ctx, given | {"name": "b", "images": [str(tmp_path / "shades")]}, paths=True)
    third = experiments.create(ctx, given | {"name": "c", "images": ["shades-2"]}, paths=True)
    assert list(first["sources"]["images"]) == ["shades"]
    assert list(second["sources"]["images"]) == ["shades-2"]
    assert third["sources"] == second["sources"]
    assert first["spec"]["images"] == ["shades"]
    assert third["hash"] == second["hash"] != first["hash"]


def test_a_name_is_taken_once_and_kept_by_a_resumed_experiment(ctx, given):
    made = experiments.create(ctx, given, paths=True)
    with pytest.raises(Conflict, match="'first look' exists already"):
        experiments.create(ctx, given, paths=True)
    assert experiments.create_or_resume(ctx, given, paths=True)["id"] == made["id"]


def test_descriptions_are_those_of_the_moment_and_part_of_what_is_compared(ctx, given, tmp_path):
    wording = {name: [f"a {name} square"] for name in ("black", "grey", "light")}
    (tmp_path / "words.json").write_text(json.dumps(wording))
    worded = given | {"methods": ["zero_shot"], "options": {}, "seeds": [1]}
    worded |= {"descriptions": ["templates", str(tmp_path / "words.json")]}
    made = experiments.create(ctx, worded, paths=True)
    assert made["descriptions"] == {"words.json": {"": {"source": "file:words.json", "version_id": None}}}
    (tmp_path / "words.json").write_text(json.dumps(wording | {"black": ["night"]}))
    with pytest.raises(Conflict):
        experiments.create_or_resume(ctx, worded, paths=True)
    cells = run_all(ctx, "first look")
    assert [cell["descriptions"] for cell in cells] == [None, "words.json"]
    rows = experiments.list_rows(ctx, "first look")
    assert {row["line"] for row in rows} == {"zero_shot (templates)", "zero_shot (words.json)"}


@BOTH
def test_a_stored_wording_is_that_of_each_image_set_and_named_by_its_version(ctx, given):
    from app.services.descriptions import save_version

    made = experiments.create(ctx, given | {"name": "before"}, paths=True)
    words = {name: [f"a {name} square"] for name in ("black", "grey", "light")}
    version = save_version(ctx, made["sources"]["images"]["shades"], "clinical", words, "ada", "written")
    worded = given | {"methods": ["zero_shot"], "options": {}, "seeds": [1], "descriptions": ["clinical"]}
    experiments.create(ctx, worded, paths=True)
    (cell,) = run_all(ctx, "first look")
    with ctx.db.reading() as session:
        run = runs.run_dict(session, cell["run"])
    assert run["description_version_id"] == version["version_id"]
    assert run["descriptions"] == "clinical, version 1"
    save_version(ctx, made["sources"]["images"]["shades"], "clinical", words, "bo", "written")
    (row,) = experiment_results.show(ctx, "first look")["rows"]
    assert [use["sentence"] for use in row["description_versions"]] == [
        "Trained on version 1 of 'clinical'; now there is version 2."
    ]
    with pytest.raises(NotFound, match="A description set 'nosuch' for the images 'shades'"):
        experiments.create(ctx, worded | {"name": "b", "descriptions": ["nosuch"]}, paths=True)


def test_a_wording_without_a_class_is_refused_at_once(ctx, given, tmp_path):
    (tmp_path / "words.json").write_text(json.dumps({"black": ["x"]}))
    with pytest.raises(ClassMismatch, match="none for 'grey', 'light'"):
        experiments.create(ctx, given | {"descriptions": [str(tmp_path / "words.json")]}, paths=True)


@BOTH
def test_cross_set_answers_stand_by_the_images_of_their_target(ctx, given, pictures):
    values = {"protocol": "cross-set", "target_images": [str(pictures / "others")], "seeds": [1], "methods": ["coop"]}
    experiments.create(ctx, given | values, paths=True)
    cells = run_all(ctx, "first look")
    coop = next(cell for cell in cells if cell["method"] == "coop")
    assert list(coop["parts"]) == ["test", "others"]
    assert coop["parts"]["others"]["classes"] == ["grey", "light", "white"]
    with ctx.db.reading() as session:
        answers = runs.list_predictions(session, coop["run"], part="others")
        images = {image_sets.image_dict(session, row["image_id"])["image_set_id"] for row in answers}
        assert images == {image_sets.find_image_set(session, "others").id}
        assert runs.run_dict(session, coop["run"])["protocol"] == "cross-set"
    row = next(row for row in experiments.list_rows(ctx, "first look") if row["line"] == "coop")
    assert set(row["parts"]) == {"test", "others"}


def test_a_target_called_like_a_part_of_every_run_gets_another_name(ctx, given, pictures, tmp_path):
    shutil.copytree(pictures / "others", tmp_path / "test")
    values = {"protocol": "cross-set", "target_images": [str(tmp_path / "test")]}
    made = experiments.create(ctx, given | values, paths=True)
    assert list(made["sources"]["targets"]) == ["test (target)"]


def test_base_to_novel_of_two_classes_is_refused_at_once(ctx, given, tmp_path):
    shaded_set(tmp_path / "two", ("black", "white"))
    with pytest.raises(InvalidInput, match="'two' cannot be split: base and novel classes need three classes at least"):
        experiments.create(ctx, given | {"protocol": "base-to-novel", "images": [str(tmp_path / "two")]}, paths=True)


def test_a_set_without_test_images_of_a_class_is_refused_at_once(ctx, given, tmp_path):
    shaded_set(tmp_path / "few", ("black", "white"))
    shutil.rmtree(tmp_path / "few/test/white")
    with pytest.raises(TooFewImages, match="none for 'white'"):
        experiments.create(ctx, given | {"images": [str(tmp_path / "few")]}, paths=True)


def test_one_set_named_twice_is_refused(ctx, given, pictures, tmp_path):
    shutil.copytree(pictures / "shades", tmp_path / "copy")
    with pytest.raises(InvalidOption, match="2 names are 1 sets"):
        experiments.create(ctx, given | {"images": [str(pictures / "shades"), str(tmp_path / "copy")]}, paths=True)


def test_the_source_under_another_name_is_no_target(ctx, given, pictures, tmp_path):
    shutil.copytree(pictures / "shades", tmp_path / "alias")
    values = given | {"protocol": "cross-set", "target_images": [str(tmp_path / "alias")]}
    with pytest.raises(InvalidOption, match="another set than the one that is learned on"):
        experiments.create(ctx, values, paths=True)


@BOTH
def test_an_experiment_is_queued_once_and_cancelled(ctx, given):
    made = experiments.create(ctx, given, paths=True)
    job = experiments.submit(ctx, "first look")
    assert (job["kind"], job["experiment_id"], job["label"]) == ("experiment", made["id"], "first look")
    with pytest.raises(Conflict, match="its job is queued"):
        experiments.submit(ctx, "first look")
    with pytest.raises(Conflict, match="'first look' is queued or running"):
        experiments.delete(ctx, "first look")
    assert experiments.cancel(ctx, "first look")["state"] == "waiting"
    assert experiments.submit(ctx, "first look")["id"] == job["id"]


def test_the_estimate_rests_on_earlier_runs_and_names_the_unknown(ctx, given):
    experiments.create(ctx, given | {"methods": ["coop"], "shots": [1], "seeds": [1]}, paths=True)
    before = experiment_plan.plan(ctx, given, paths=True)
    run_all(ctx, "first look")
    settings = ctx.settings.model_copy(update={"allow_folders": True})
    allowed = Context(settings, ctx.db, ctx.store, ctx.classifiers)
    found = experiment_estimate.estimate(allowed, given | {"name": "b", "images": list(before.spec.images)})
    assert found["by_earlier_runs"] == ["zero_shot", "coop"]
    assert found["unknown"] == ["linear_probe"]
    assert found["n_cells"] == 5
    assert found["seconds"] > 0
    assert "linear_probe not known and left out" in found["sentence"]
    with ctx.db.reading() as session:
        assert [row["name"] for row in experiments.list_experiments(ctx)] == ["first look"]
        assert runs.count_runs(session) == 2


TELLS = """
import json, sys
shared = {"start_s": 2.0, "picture_s": {"shades": 0.1}, "search_s": {"shades": 0.4}, "tower": ["a", "b", "c"]}
print(json.dumps({"machine": shared}), flush=True)
for method in json.loads(sys.stdin.readline())["methods"]:
    told = {"method": method, "fixed_s": 1.0, "per_step_s": 0.5, "peak_mb": 100.0, "more_in_step": 1.0}
    print(json.dumps(told), flush=True)
"""


def test_timings_that_come_in_are_counted_with_a_range(ctx, given):
    plan = experiment_plan.plan(ctx, given, paths=True)
    settings = ctx.settings.model_copy(update={"allow_folders": True})
    allowed = Context(settings, ctx.db, ctx.store, ctx.classifiers, timings=Timings([sys.executable, "-c", TELLS]))
    asked = given | {"images": list(plan.spec.images)}
    while (found := experiment_estimate.estimate(allowed, asked, measure=True))["measuring"]:
        time.sleep(0.05)
    # five cells of 1 s and what recording takes; two CoOp trainings of 2 epochs of 1 step of 0.5 s
    own = 5 * (1 + RECORDING_S) + 2 * 2 * 0.5
    assert found["seconds"] - found["shared"] == pytest.approx(own, abs=0.11)
    # the start and the search for leakage once, and every picture once that the cells need
    pictures = round((found["shared"] - 2.4) / 0.1)
    assert pictures == pytest.approx((found["shared"] - 2.4) / 0.1, abs=1e-6)
    assert found["low"] < found["seconds"] < found["high"]
    assert "and 0.1 GB of memory" in found["sentence"]
    fewer = experiment_estimate.estimate(allowed, asked | {"seeds": [1]})
    assert fewer["seconds"] - fewer["shared"] == pytest.approx(3 * (1 + RECORDING_S) + 2 * 0.5, abs=0.11)


@pytest.mark.slow
def test_unknown_methods_are_timed_by_a_process_of_its_own_and_then_known(ctx, given):
    plan = experiment_plan.plan(ctx, given, paths=True)
    settings = ctx.settings.model_copy(update={"allow_folders": True})
    allowed = Context(settings, ctx.db, ctx.store, ctx.classifiers)
    asked = given | {"images": list(plan.spec.images), "shots": [2, 50]}
    try:
        first = experiment_estimate.estimate(allowed, asked, measure=True)
        assert first["measuring"] == ["zero_shot", "coop", "linear_probe"]
        assert first["seconds"] is None
        until = time.monotonic() + 240
        while (found := experiment_estimate.estimate(allowed, asked, measure=True))["measuring"]:
            assert time.monotonic() < until
            time.sleep(0.2)
    finally:
        allowed.timings.close()
    assert found["unknown"] == []
    assert found["by_timing"] == ["zero_shot", "coop", "linear_probe"]
    assert 0 < found["low"] < found["seconds"] < found["high"]
    assert experiments.list_experiments(ctx) == []


def test_what_cannot_be_timed_stays_unknown_and_is_not_tried_again(ctx, given):
    plan = experiment_plan.plan(ctx, given, paths=True)
    settings = ctx.settings.model_copy(update={"allow_folders": True})
    timings = Timings([sys.executable, "-c", "print('no json')"])
    allowed = Context(settings, ctx.db, ctx.store, ctx.classifiers, timings=timings)
    asked = given | {"images": list(plan.spec.images)}
    while found := experiment_estimate.estimate(allowed, asked, measure=True)["measuring"]:
        assert found == ["zero_shot", "coop", "linear_probe"]
        time.sleep(0.05)
    again = experiment_estimate.estimate(allowed, asked, measure=True)
    assert (again["measuring"], again["unknown"]) == ([], ["zero_shot", "coop", "linear_probe"])


@BOTH
def test_deleting_takes_the_runs_only_where_asked_and_only_its_own(ctx, given):
    quick = given | {"methods": ["linear_probe"], "options": {}}
    experiments.create(ctx, quick | {"seeds": [1]}, paths=True)
    run_all(ctx, "first look")
    experiments.create(ctx, quick | {"name": "b"}, paths=True)
    run_all(ctx, "b")
    experiments.delete(ctx, "b", with_runs=True)
    with ctx.db.reading() as session:
        assert runs.count_runs(session) == 2
    assert len(list(ctx.settings.models_dir.iterdir())) == 2
    experiments.delete(ctx, "first look")
    with ctx.db.reading() as session:
        assert runs.count_runs(session) == 2
    with pytest.raises(NotFound):
        experiments.get(ctx, "first look")


@BOTH
def test_rows_say_what_they_lack_while_cells_wait(ctx, given):
    experiments.create(ctx, given, paths=True)
    assert experiments.show(ctx, "first look")["notes"] == ["No cell is finished yet."]
    run_all(ctx, "first look")
    with ctx.db.writing() as session:
        runs.delete_run(session, experiments.list_cells(ctx, "first look")[1]["run"])
    shown = experiments.show(ctx, "first look")
    assert shown["experiment"]["cells"]["waiting"] == 1
    assert shown["notes"] == ["1 of 5 cells are not finished: the rows are of the others."]
    assert [row["n_seeds"] for row in shown["rows"]] == [1, 1, 2]


@BOTH
def test_a_job_and_a_terminal_may_share_an_experiment(ctx, given):
    made = experiments.create(ctx, given, paths=True)
    experiments.submit(ctx, "first look")
    with ctx.db.writing() as session:
        claim = job_queue.claim(session, executor="local", host="here", slots=1)
    cells = run_all(ctx, "first look")
    assert len(cells) == 5
    from training_jobs.run_job import DONE, run_job

    settings = ctx.settings.model_copy(update={"allow_folders": True})
    assert run_job(claim.job_id, claim.fence, settings=settings) == DONE
    with ctx.db.reading() as session:
        assert runs.count_runs(session) == 5
    assert experiments.get(ctx, made["id"])["job"]["note"] == "All 5 cells are done."


@BOTH
def test_rows_outlive_the_process_and_go_with_the_experiment(run, file, ctx, monkeypatch):
    assert run("run", file).exit_code == 0
    found = experiments.get(ctx, "first look")
    rows = experiments.list_rows(ctx, "first look")
    kept = ctx.settings.experiments_dir / found["id"] / kept_rows.FILE
    assert kept.is_file()
    # a new process knows the file only
    monkeypatch.setattr(experiment_rows, "_kept", type(experiment_rows._kept)())
    with monkeypatch.context() as patch:
        patch.setattr(experiment_rows, "_put_together", lambda *given: pytest.fail("the answers were read again"))
        assert experiments.list_rows(ctx, "first look") == rows
    # a damaged file, or one of other runs, is made again
    for harm in ("{", json.dumps({"key": "other", "rows": []})):
        kept.write_text(harm)
        monkeypatch.setattr(experiment_rows, "_kept", type(experiment_rows._kept)())
        assert experiments.list_rows(ctx, "first look") == rows
    experiments.delete(ctx, "first look")
    assert not kept.parent.exists()


def test_warnings_and_notes_name_the_rows_they_are_on():
    from app.commands.experiment import _notes, _warnings

    leak = {"found": True, "doubts": 3, "sentence": "3 of 9 test images are copies."}
    rows = [
        {"line": line, "image_set": place, "notes": ["Few groups."], "description_versions": [], "leakage": found}
        for place, found in (("a", leak), ("b", None))
        for line in ("coop", "kgcoop")
    ]
    assert _warnings(rows) == {"3 of 9 test images are copies.": "coop, kgcoop on a"}
    assert _notes(rows) == {"Few groups.": "coop, kgcoop on a; coop, kgcoop on b"}


def test_numbers_of_base_to_novel_say_that_they_are_harmonic_means_and_show_both_halves() -> None:
    from app.commands.experiment import _numbers_are, _parts_text

    row = {"image_set": "brain", "line": "coop", "shots": 1, "share": None, "metric": "balanced_accuracy"}
    row |= {"protocol": "base-to-novel", "parts": {"base": {"mean": 0.9}, "novel": {"mean": 0.6}}}
    assert _numbers_are(row) == "Numbers are the harmonic mean of balanced accuracy over base and novel classes."
    assert _numbers_are(row | {"protocol": "few-shot"}) == "Numbers are balanced accuracy."
    assert _parts_text(row) == {"images": "brain", "line": "coop", "shots": "1 shot", "base": 0.9, "novel": 0.6}
