"""Experiments in SQL: cells that several processes share, that outlive their holders and are computed once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import Conflict, NotFound
from core.records import answer_columns, experiments, image_sets, jobs, runs
from core.records.experiments import Holder
from core.records.session import Database
from core.records.tables import ExperimentCellRow
from tests.core.records.samples import CLASSES, add_sample_set, record

ME = Holder("here", 7, "1")
HASH = "a" * 64


def add(session: Session, set_id: str, name: str = "first look", count: int = 3) -> str:
    row = image_sets.find_image_set(session, set_id)
    cells = [
        {
            "image_set_id": row.id,
            "image_set_name": row.name,
            "image_set_fingerprint": row.fingerprint,
            "line": "coop",
            "method": "coop",
            "shots": 2,
            "share": None,
            "seed": seed,
            "descriptions": None,
        }
        for seed in range(1, count + 1)
    ]
    return experiments.add_experiment(
        session,
        name=name,
        protocol="few-shot",
        backbone="embedded",
        hash="h" * 64,
        spec={"name": name},
        sources={"images": {row.name: row.id}, "targets": {}},
        texts={"clinical": {"": {"source": "clinical, version 1", "version_id": None, "sentences": {"lesion": ["x"]}}}},
        cells=cells,
    )


def claim(session: Session, experiment_id: str, holder: Holder = ME) -> experiments.ClaimedCell | None:
    return next(iter(experiments.claim_cells(session, experiment_id, holder)), None)


def answer(part: str, number: int) -> dict[str, Any]:
    probabilities = {CLASSES[0]: 0.75, CLASSES[1]: 0.25}
    name = f"test/{CLASSES[0]}/{number}.png"
    return {"file": name, "label": CLASSES[0], "predicted": CLASSES[0], "probabilities": probabilities}


def finish(session: Session, cell: experiments.ClaimedCell) -> str:
    """Seal a run of two parts for a cell."""
    request = runs.RunRequest(cell.image_set, "coop", shots=cell.shots, seed=cell.seed)
    runs.add_run(session, request, run_id=cell.claim, protocol="cross-set")
    parts = {"test": {"classes": list(CLASSES), "n_test": 2, "metrics": {"accuracy": 1.0}, "confusion": [[1]]}}
    predictions = {"test": [answer("test", 0), answer("test", 1)], "elsewhere": [answer("elsewhere", 2)]}
    drawn = {"train": [{"file": "train/lesion/0.png", "sha256": "0train0".ljust(64, "0")}], "validation": []}
    runs.seal_run(session, cell.claim, record(parts=parts, precision="fp32"), predictions, drawn)
    assert experiments.finish_cell(session, cell.claim, cell.claim, 1.5)
    return cell.claim


def test_joined_answers_come_in_the_order_of_their_positions_whatever_the_database_joined() -> None:
    def joined(*values: str) -> str:
        return answer_columns.BETWEEN.join(values)

    files, groups = joined("b", "a", "c"), joined(answer_columns.NO_GROUP, "patient 1", answer_columns.NO_GROUP)
    stated = joined('{"x": 0.25, "y": 0.75}', '{"x": 1.0, "y": 0.0}', '{"x": 0.5, "y": 0.5}')
    words = joined("x", "y", "x"), joined("y", "x", "x")
    found = answer_columns._Columns().read(joined("10", "2", "11"), files, groups, *words, stated)
    assert found is not None
    assert list(found.files) == ["a", "b", "c"]
    assert list(found.groups) == ["patient 1", None, None]
    assert list(found.labels) == ["y", "x", "x"]
    assert list(found.predicted) == ["x", "y", "x"]
    assert found.stated.classes == ("x", "y")
    assert found.stated.table.tolist() == [[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]]
    damaged = answer_columns._Columns().read("0", "a", "g", "x", "x", '{"x": 0.')
    assert damaged is not None
    assert len(damaged.stated.table) == 1


def test_a_name_with_the_joining_character_in_it_shifts_no_column(database: Database, made: str) -> None:
    odd = f"test/a{answer_columns.BETWEEN}b.png"
    with database.writing() as session:
        cell = claim(session, made)
        assert cell is not None
        runs.add_run(session, runs.RunRequest(cell.image_set, "coop"), run_id=cell.claim)
        rows = [answer("test", 0) | {"file": odd}, answer("test", 1) | {"group": "7"}]
        runs.seal_run(session, cell.claim, record(), {"test": rows})
    with database.reading() as session:
        ((_, parts),) = answer_columns.read_answers(session, [cell.claim])
        assert [len(column) for column in (parts["test"].files, parts["test"].groups)] == [2, 2]
        assert parts["test"].groups[1] == "7"


@pytest.fixture
def made(database: Database, tmp_path: Path) -> str:
    with database.writing() as session:
        return add(session, add_sample_set(session, tmp_path))


def test_an_experiment_is_found_by_id_and_name_with_its_cells_in_order(database: Database, made: str) -> None:
    with database.reading() as session:
        found = experiments.experiment_dict(session, "first look")
        assert found["id"] == made
        assert (found["state"], found["n_cells"], found["cells"]["waiting"]) == ("waiting", 3, 3)
        assert found["descriptions"] == {"clinical": {"": {"source": "clinical, version 1", "version_id": None}}}
        assert [cell["seed"] for cell in experiments.list_cells(session, made)] == [1, 2, 3]
        assert [cell["seed"] for cell in experiments.list_cells(session, made, limit=1, offset=1)] == [2]
        with pytest.raises(NotFound, match="'nosuch' is none"):
            experiments.find_experiment(session, "nosuch")


def test_a_name_is_taken_once(database: Database, made: str, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="'first look' exists already"), database.writing() as session:
        add(session, "phantoms")


def test_a_finished_cell_keeps_run_parts_cases_and_draw(database: Database, made: str) -> None:
    with database.writing() as session:
        cell = claim(session, made)
        assert cell is not None
        assert experiments.take_over(session, cell.claim, HASH) is None
        run = finish(session, cell)
    with database.reading() as session:
        (found, *_) = experiments.list_cells(session, made)
        assert (found["state"], found["run"], found["hash"], found["attempts"]) == ("done", run, HASH, 1)
        assert found["metrics"]["accuracy"] == 0.75
        assert found["parts"] == {"test": {"classes": list(CLASSES), "n_test": 2, "metrics": {"accuracy": 1.0}}}
        sealed = runs.run_dict(session, run)
        assert (sealed["protocol"], sealed["precision"]) == ("cross-set", "fp32")
        assert sealed["parts"]["test"]["confusion"] == [[1]]
        first, second, other = sorted(runs.list_predictions(session, run), key=lambda row: row["file"])
        assert [row["part"] for row in (first, second, other)] == ["test", "test", "elsewhere"]
        assert first["sha256"].startswith("0test0")
        assert (first["group"], second["group"]) == (None, "patient 1")
        assert [row["file"] for row in runs.list_predictions(session, run, part="elsewhere")] == [other["file"]]
        # what is compared are the answers of the ranked part
        ((_, ranked),) = answer_columns.read_answers(session, [run], runs.RANKED_PARTS)
        assert list(ranked) == ["test"]
        assert set(ranked["test"].files) == {first["file"], second["file"]}
        ((_, parts),) = answer_columns.read_answers(session, [run])
        assert list(parts["test"].files) == [first["file"], second["file"]]
        assert list(parts["test"].groups) == [None, "patient 1"]
        assert list(parts["test"].labels) == [first["label"], second["label"]]
        assert parts["test"].stated.table.tolist() == [list(each["probabilities"].values()) for each in (first, second)]
        assert parts["test"].stated.classes == CLASSES
        drawn = runs.list_drawn(session, run)
        assert drawn["train"][0]["image_id"] is not None
        assert drawn["validation"] == []
        image_id = drawn["train"][0]["image_id"]
        assert image_sets.image_dict(session, image_id)["name"] == "train/lesion/0.png"


def test_the_draw_and_the_cases_outlive_their_image_set(database: Database, made: str) -> None:
    with database.writing() as session:
        cell = claim(session, made)
        assert cell is not None
        run = finish(session, cell)
    with database.writing() as session:
        image_sets.delete_image_set(session, "phantoms")
    with database.reading() as session:
        assert runs.list_drawn(session, run)["train"] == [{"image_id": None, "sha256": "0train0".ljust(64, "0")}]
        assert runs.list_predictions(session, run)[0]["sha256"].startswith("0test")
        assert experiments.list_cells(session, made)[0]["image_set_id"] is None


def test_each_cell_is_claimed_by_one_of_many(database: Database, made: str) -> None:
    taken: list[int] = []

    def work(number: int) -> None:
        while True:
            with database.writing() as session:
                cell = claim(session, made, Holder("here", number))
            if cell is None:
                return
            taken.append(cell.position)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [0, 1, 2]


def test_cells_that_differ_in_their_seed_only_are_claimed_together(database: Database, made: str) -> None:
    with database.writing() as session:
        third = session.scalars(select(ExperimentCellRow).where(ExperimentCellRow.position == 1)).one()
        third.shots = None
    with database.writing() as session:
        assert [cell.seed for cell in experiments.claim_cells(session, made, ME, most=8)] == [1, 3]
        assert [cell.shots for cell in experiments.claim_cells(session, made, ME, most=8)] == [None]
        assert experiments.claim_cells(session, made, ME, most=8) == []


def test_whoever_has_lost_a_cell_changes_nothing(database: Database, made: str) -> None:
    with database.writing() as session:
        lost = claim(session, made)
        assert lost is not None
        assert experiments.give_back_cell(session, lost.claim)
        mine = claim(session, made)
        assert mine is not None
        assert mine.position == lost.position
        assert not experiments.fail_cell(session, lost.claim, {"code": "x"}, 1.0)
        assert not experiments.finish_cell(session, lost.claim, "r", 1.0)
        assert experiments.take_over(session, lost.claim, HASH) is None
        experiments.beat_cells(session, [lost.claim, mine.claim])
    with database.reading() as session:
        assert experiments.list_cells(session, made)[0]["attempts"] == 0


def test_held_cells_say_whether_their_job_still_works_on_them(database: Database, made: str) -> None:
    with database.writing() as session:
        job_id = jobs.add_experiment_job(session, made, "first look")
        held = jobs.claim_next(session, executor="local", host="here", slots=1)
        assert held is not None
        assert (held.job_id, held.run_id) == (job_id, None)
        for holder in (
            ME,
            Holder("here", 8, "2", job_id, held.fence),
            Holder("here", 9, "3", job_id, held.fence - 1),
        ):
            claim(session, made, holder)
    with database.reading() as session:
        assert [each.job_is_at_work for each in experiments.held_cells(session, made)] == [None, True, False]
        assert experiments.held_cells(session, made)[1].holder.pid == 8
        found = jobs.job_dict(session, job_id)
        assert (found["kind"], found["run_id"], found["experiment_id"]) == ("experiment", None, made)
        assert found["image_set"] is None
        assert experiments.experiment_dict(session, made)["state"] == "running"


def test_a_hash_that_is_done_anywhere_is_taken_over(database: Database, made: str, tmp_path: Path) -> None:
    with database.writing() as session:
        cell = claim(session, made)
        assert cell is not None
        experiments.take_over(session, cell.claim, HASH)
        run = finish(session, cell)
        other = add(session, "phantoms", "second look")
        twin = claim(session, other)
        assert twin is not None
        assert experiments.take_over(session, twin.claim, HASH) == run
        assert experiments.runs_of_hashes(session, [HASH, "b" * 64]) == {HASH: run}
    with database.reading() as session:
        found = experiments.list_cells(session, other)[0]
        assert (found["state"], found["run"], found["reused"], found["attempts"]) == ("done", run, True, 0)
        assert experiments.runs_of_experiment_alone(session, made) == []


def test_failed_cells_wait_again_and_no_others(database: Database, made: str) -> None:
    with database.writing() as session:
        first = claim(session, made)
        second = claim(session, made)
        assert first is not None
        assert second is not None
        finish(session, first)
        experiments.begin_cell(session, second.claim)
        assert experiments.fail_cell(session, second.claim, {"code": "too_few_images"}, 0.5)
    with database.writing() as session:
        assert experiments.count_cells(session, made) == {"waiting": 1, "running": 0, "done": 1, "failed": 1}
        assert experiments.list_cells(session, made, state="failed")[0]["error"] == {"code": "too_few_images"}
        assert experiments.wait_again(session, made) == 1
        assert experiments.count_cells(session, made)["waiting"] == 2
        assert experiments.list_cells(session, made)[1]["error"] is None


def test_a_cell_whose_run_was_deleted_waits_again(database: Database, made: str) -> None:
    with database.writing() as session:
        cell = claim(session, made)
        assert cell is not None
        run = finish(session, cell)
        runs.delete_run(session, run)
    with database.reading() as session:
        found = experiments.list_cells(session, made)[0]
        assert (found["state"], found["run"]) == ("waiting", None)


def test_an_image_set_is_kept_while_an_experiment_in_the_queue_needs_it(database: Database, made: str) -> None:
    with database.writing() as session:
        jobs.add_experiment_job(session, made, "first look")
    with pytest.raises(Conflict, match="1 queued or running job does"), database.writing() as session:
        image_sets.delete_image_set(session, "phantoms")


def test_deleting_an_experiment_takes_cells_and_jobs_and_leaves_runs(database: Database, made: str) -> None:
    with database.writing() as session:
        cell = claim(session, made)
        assert cell is not None
        run = finish(session, cell)
        job_id = jobs.add_experiment_job(session, made, "first look")
    with pytest.raises(Conflict, match="'first look' is queued or running"), database.writing() as session:
        experiments.delete_experiment(session, made)
    with database.writing() as session:
        jobs.move_job(session, job_id, "queued", "cancelled")
        assert experiments.delete_experiment(session, made) == [f"experiments/{made}", f"jobs/{job_id}"]
    with database.reading() as session:
        assert session.query(ExperimentCellRow).count() == 0
        assert runs.find_run(session, run).id == run
        assert jobs.count_jobs(session) == 0


def test_earlier_costs_are_those_of_cells(database: Database, made: str) -> None:
    with database.writing() as session:
        alone = runs.add_run(session, runs.RunRequest("phantoms", "coop"))
        runs.seal_run(session, alone, record(seconds=90.0))
        assert experiments.earlier_costs(session, "coop", "embedded") == []
        cell = claim(session, made)
        assert cell is not None
        run = runs.find_run(session, finish(session, cell))
        assert experiments.earlier_costs(session, "coop", "embedded") == [
            {
                "seconds": 1.5,
                "training_seconds": 0.75,
                "feature_seconds": 0.25,
                "at": run.created_at,
                "trained_together": 2,
                "steps": 4,
                "peak_mb": 512.5,
                "n_train": 4,
                "options": {"epochs": 2, "template": "a photo of a {}."},
                "classes": list(CLASSES),
            }
        ]
        assert experiments.earlier_costs(session, "kgcoop", "embedded") == []
        # 8 pictures in a quarter of a second, which is too few to go by unless one asks for so few
        assert experiments.earlier_passes(session, "embedded") == []
        (found,) = experiments.earlier_passes(session, "embedded", pictures=8)
        assert found == {"image_set": run.image_set_fingerprint, "at": run.created_at, "seconds": 0.25 / 8}


def test_twenty_thousand_hashes_are_looked_up_at_once(database: Database, made: str) -> None:
    with database.reading() as session:
        assert experiments.runs_of_hashes(session, [f"{n:064}" for n in range(20_000)]) == {}
