"""The job of an experiment on the tiny backbone: cells in order, through failures, cancelling and others' deaths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.experiments.cells import plan_cells
from core.experiments.spec import ExperimentSpec
from core.images.image_set import ImageSet
from core.images.read import read_image_set
from core.records import experiments, image_sets, jobs, models, runs
from core.records.experiments import Holder
from core.records.session import Database
from core.settings import Settings
from core.tuning.method_cards import baseline_method
from tests.builders import tiny_backbone_folder
from tests.core.experiments.conftest import shaded_set, spec_of
from training_jobs import cells, job_queue, run_job
from training_jobs.processes import started, this_host
from training_jobs.reporter import Reporter
from training_jobs.run_job import CANCELLED, DONE, GIVEN_BACK, Terminated

NAMES = ("black", "grey", "light")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells") / "shades"
    shaded_set(folder, NAMES)
    return folder


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that allow the folder of the tiny backbone."""
    monkeypatch.setenv("PROMPTOSCOPE_PRECISION", "fp32")
    return settings.model_copy(update={"allow_folders": True})


def stored(database: Database, settings: Settings, drawn: Path) -> ImageSet:
    found = read_image_set(drawn, name="shades", store_dir=settings.images_dir)
    with database.writing() as session:
        if not image_sets.is_name_taken(session, "shades"):
            image_sets.add_image_set(session, found, source="demo", store=settings.images_dir)
    return found


def add(database: Database, settings: Settings, drawn: Path, methods: list[str], **values: Any) -> str:
    """A recorded experiment, its cells waiting."""
    given = {"backbone": str(tiny_backbone_folder())} | values
    spec: ExperimentSpec = spec_of(methods, **given)
    found = stored(database, settings, drawn)
    with database.writing() as session:
        set_id = image_sets.find_image_set(session, "shades").id
        planned = [
            {
                "image_set_id": set_id,
                "image_set_name": "shades",
                "image_set_fingerprint": found.fingerprint,
                "line": cell.candidate.label,
                "method": cell.candidate.method,
                "shots": cell.shots,
                "share": cell.share,
                "seed": cell.seed,
                "descriptions": None,
            }
            for cell in plan_cells(spec, baseline_method())
        ]
        return experiments.add_experiment(
            session,
            name=spec.name,
            protocol=spec.protocol,
            backbone=spec.backbone,
            hash="h" * 64,
            spec=spec.as_dict(),
            sources={"images": {"shades": set_id}, "targets": {}},
            texts={},
            cells=planned,
        )


def queued(database: Database, experiment_id: str) -> tuple[str, int]:
    """The id and the fence of a job of the experiment that has just been claimed."""
    with database.writing() as session:
        job_queue.enqueue_experiment(session, experiment_id, "quick")
        claim = job_queue.claim(session, executor="local", host="here", slots=9)
    assert claim is not None
    return claim.job_id, claim.fence


def told(database: Database, experiment_id: str) -> list[dict[str, Any]]:
    with database.reading() as session:
        return experiments.list_cells(session, experiment_id)


def job_of(database: Database, job_id: str) -> dict[str, Any]:
    with database.reading() as session:
        return jobs.job_dict(session, job_id)


def after(monkeypatch: pytest.MonkeyPatch, stage: str, times: int, act: Any) -> None:
    """Do something when a stage of a training has been reported so often."""
    original, seen = Reporter.__call__, [0]

    def call(self: Reporter, progress: Any) -> None:
        if progress.stage == stage:
            seen[0] += 1
            if seen[0] == times:
                act(self)
        original(self, progress)

    monkeypatch.setattr(Reporter, "__call__", call)


def test_a_job_runs_all_cells_and_records_them_whole(database: Database, settings: Settings, drawn: Path) -> None:
    experiment = add(database, settings, drawn, ["coop", "linear_probe"])
    job_id, fence = queued(database, experiment)
    assert run_job.run_job(job_id, fence, settings=settings) == DONE
    found = told(database, experiment)
    assert [(cell["line"], cell["seed"], cell["state"]) for cell in found] == [
        ("zero_shot", 1, "done"),
        *(("coop", seed, "done") for seed in (1, 2)),
        *(("linear_probe", seed, "done") for seed in (1, 2)),
    ]
    assert [cell["attempts"] for cell in found] == [1] * 5
    assert len({cell["hash"] for cell in found}) == 5
    job = job_of(database, job_id)
    assert (job["state"], job["done"], job["total"], job["note"]) == ("succeeded", 5, 5, "All 5 cells are done.")
    with database.reading() as session:
        run = runs.run_dict(session, found[1]["run"])
        assert run["metrics"] == found[1]["metrics"]
        assert len(run["epoch_metrics"]) == 2
        assert (run["protocol"], run["precision"]) == ("few-shot", "fp32")
        assert run["request"]["options"] == {"epochs": 2, "batch_size": 4}
        assert len(runs.list_drawn(session, run["id"])["train"]) == 6
        assert all(row["image_id"] for row in runs.list_drawn(session, run["id"])["train"])
        model = models.model_dict(session, run["model_id"])
    assert (settings.models_dir / model["folder"] / "adapter_model.safetensors").is_file()
    assert not list((settings.experiments_dir / experiment).glob("*"))


def test_the_same_cells_of_another_experiment_are_not_trained_again(
    database: Database, settings: Settings, drawn: Path
) -> None:
    first = add(database, settings, drawn, ["linear_probe"])
    run_job.run_job(*queued(database, first), settings=settings)
    second = add(database, settings, drawn, ["linear_probe"], name="more", seeds=[1, 2, 3])
    run_job.run_job(*queued(database, second), settings=settings)
    known = {cell["hash"]: cell["run"] for cell in told(database, first)}
    found = told(database, second)
    assert [(cell["reused"], cell["attempts"]) for cell in found] == [(True, 0)] * 3 + [(False, 1)]
    assert [cell["run"] for cell in found[:3]] == [known[cell["hash"]] for cell in found[:3]]
    with database.reading() as session:
        assert runs.count_runs(session) == 4


def test_a_failed_cell_is_named_and_retried_alone(database: Database, settings: Settings, drawn: Path) -> None:
    experiment = add(database, settings, drawn, ["linear_probe"], shots=[2, 99], seeds=[1])
    job_id, fence = queued(database, experiment)
    assert run_job.run_job(job_id, fence, settings=settings) == DONE
    assert [cell["state"] for cell in told(database, experiment)] == ["done", "failed", "done", "failed"]
    assert told(database, experiment)[1]["error"]["code"] == "too_few_images"
    assert job_of(database, job_id)["note"] == "2 of 4 cells failed; each says why and can be tried again."
    with database.writing() as session:
        assert experiments.wait_again(session, experiment) == 2
    again, fence = queued(database, experiment)
    assert again != job_id
    run_job.run_job(again, fence, settings=settings)
    assert [cell["attempts"] for cell in told(database, experiment)] == [1, 2, 1, 2]


def test_one_bad_seed_does_not_fail_those_trained_in_step_with_it(
    database: Database, settings: Settings, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = add(database, settings, drawn, ["coop"], seeds=[1, 2, 3])
    from core.experiments.grid import Grid

    original = Grid.run_in_step

    def run(self: Grid, orders: Any) -> Any:
        if any(order.cell.seed == 2 and order.cell.candidate.method == "coop" for order in orders):
            raise RuntimeError("/patients/jane-doe.png broke")
        return original(self, orders)

    monkeypatch.setattr(Grid, "run_in_step", run)
    assert run_job.run_job(*queued(database, experiment), settings=settings) == DONE
    found = told(database, experiment)
    assert [cell["state"] for cell in found] == ["done", "done", "failed", "done"]
    assert found[2]["error"]["code"] == "training_failed"
    assert "jane" not in str(found[2]["error"])


def test_cancelling_lets_unfinished_cells_wait(
    database: Database, settings: Settings, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = add(database, settings, drawn, ["coop"], seeds=[1])
    job_id, fence = queued(database, experiment)

    def cancel(reporter: Reporter) -> None:
        with database.writing() as session:
            job_queue.cancel(session, job_id)
        reporter.flush()

    after(monkeypatch, "training", 1, cancel)
    assert run_job.run_job(job_id, fence, settings=settings) == CANCELLED
    assert [cell["state"] for cell in told(database, experiment)] == ["done", "waiting"]
    assert len(list(settings.models_dir.iterdir())) == 1


def test_a_stopped_job_goes_on_from_the_last_finished_epoch(
    database: Database, settings: Settings, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = add(database, settings, drawn, ["coop"], seeds=[1])
    job_id, fence = queued(database, experiment)

    def stop(reporter: Reporter) -> None:
        raise Terminated

    with monkeypatch.context() as patched:
        after(patched, "training", 1, stop)
        assert run_job.run_job(job_id, fence, settings=settings) == GIVEN_BACK
    assert job_of(database, job_id)["state"] == "queued"
    assert [cell["state"] for cell in told(database, experiment)] == ["done", "waiting"]
    checkpoints = list((settings.experiments_dir / experiment).glob("*/*.safetensors"))
    assert len(checkpoints) == 1
    heard: list[int] = []
    after(monkeypatch, "evaluation", 1, lambda reporter: heard.append(1))
    with database.writing() as session:
        claim = job_queue.claim(session, executor="local", host="here", slots=9)
    assert claim is not None
    assert run_job.run_job(job_id, claim.fence, settings=settings) == DONE
    found = told(database, experiment)
    assert [(cell["state"], cell["attempts"]) for cell in found] == [("done", 1), ("done", 2)]
    with database.reading() as session:
        assert [each["epoch"] for each in runs.epoch_metrics(session, found[1]["run"])] == [1, 2]


def test_whoever_lost_the_job_records_nothing(
    database: Database, settings: Settings, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = add(database, settings, drawn, ["linear_probe"], seeds=[1])
    job_id, fence = queued(database, experiment)

    def take(reporter: Reporter) -> None:
        with database.writing() as session:
            job_queue.lose(session, job_id, fence, "The process died")
            job_queue.claim(session, executor="local", host="there", slots=9)

    after(monkeypatch, "saving", 1, take)
    assert run_job.run_job(job_id, fence, settings=settings) == run_job.SUPERSEDED
    assert [cell["state"] for cell in told(database, experiment)] == ["waiting", "waiting"]
    with database.reading() as session:
        assert runs.count_runs(session) == 0


def test_cells_of_the_dead_wait_again_and_those_of_the_living_do_not(
    database: Database, settings: Settings, drawn: Path
) -> None:
    experiment = add(database, settings, drawn, ["linear_probe"], seeds=[1, 2])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here, me = this_host(), os.getpid()
    holders = [Holder(here, gone.pid, "1"), Holder(here, me, started(me)), Holder("elsewhere", 1, "1")]
    with database.writing() as session:
        claims = [experiments.claim_cells(session, experiment, holder)[0].claim for holder in holders]
    left_model = settings.models_dir / claims[0]
    left_model.mkdir(parents=True)
    assert cells.recover(database, settings, experiment) == 3
    assert [cell["state"] for cell in told(database, experiment)] == ["waiting", "running", "running"]
    assert not left_model.exists()


def test_a_cell_that_ends_its_process_again_and_again_fails_and_the_others_go_on(
    database: Database, settings: Settings, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = add(database, settings, drawn, ["coop"], seeds=[1, 2])
    job_id, fence = queued(database, experiment)
    from core.experiments.grid import Grid

    original = Grid.run_in_step

    def run(self: Grid, orders: Any) -> Any:
        if any(order.cell.seed == 1 and order.cell.candidate.method == "coop" for order in orders):
            raise SystemExit  # as if it were killed: nothing is caught on the way
        return original(self, orders)

    monkeypatch.setattr(Grid, "run_in_step", run)
    # the dead give nothing back
    monkeypatch.setattr(cells.Work, "_give_back", lambda self: self._held.clear())
    attempts = 0
    while True:
        attempts += 1
        try:
            run_job.run_job(job_id, fence, settings=settings)
            break
        except SystemExit:
            with database.writing() as session:
                job_queue.lose(session, job_id, fence, "The job's process died (signal 9)")
                claim = job_queue.claim(session, executor="local", host="here", slots=9)
            assert claim is not None
            fence = claim.fence
    assert attempts == 4
    found = told(database, experiment)
    assert [(cell["seed"], cell["state"], cell["attempts"]) for cell in found] == [
        (1, "done", 1),
        (1, "failed", 3),
        (2, "done", 3),
    ]
    assert "as 2 attempts before it" in found[1]["error"]["message"]
    assert job_of(database, job_id)["state"] == "succeeded"


def test_a_controlled_experiment_computes_in_fp32(
    database: Database, settings: Settings, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTOSCOPE_PRECISION", "bf16")
    experiment = add(database, settings, drawn, ["coop"], seeds=[1], controlled=True, updates=2)
    run_job.run_job(*queued(database, experiment), settings=settings)
    with database.reading() as session:
        rows = runs.list_runs(session)
    assert {row["precision"] for row in rows} == {"fp32"}
    assert any("Controlled comparison: 2 updates" in note for row in rows for note in row["notes"])
