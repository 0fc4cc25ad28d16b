from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from core.errors import Conflict, InvalidInput, NotFound
from core.records import classifications, descriptions, jobs, models, runs
from core.records.audit import add_audit_entry, list_audit_entries
from core.records.idempotency import StoredAnswer, begin_request, drop_request, finish_request
from core.records.session import Database
from core.records.tables import RunRow
from tests.core.records.samples import CLASSES, add_sample_set, add_sealed_run, record

WORDING = {"lesion": ["A dark spot.", "A bright rim."], "calm": ["Even grey."]}


def test_a_run_keeps_what_was_asked(database: Database, tmp_path: Path) -> None:
    request = runs.RunRequest(
        image_set="phantoms", method="coop", shots=None, seed=3, options={"epochs": 2}, modality="drawn"
    )
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        run_id = runs.add_run(session, request)
        jobs.add_job(session, run_id, request.label)
    with database.reading() as session:
        loaded = runs.load_request(session, run_id)
        told = runs.run_dict(session, run_id)
    assert loaded.as_dict() == request.as_dict() | {"image_set": set_id}
    assert (told["state"], told["metrics"], told["name"]) == ("queued", None, "coop, all images, seed 3")


def test_a_sealed_run_tells_everything(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        run_id, model_id = add_sealed_run(session, set_id)
    with database.reading() as session:
        told = runs.run_dict(session, run_id)
        prediction = runs.list_predictions(session, run_id)[0]
    expected = {name: value for name, value in record().items() if name not in {"metrics"}}
    assert {name: told[name] for name in expected} == expected
    assert told["metrics"] == {"accuracy": 0.75, "auroc": None}
    assert (told["state"], told["model_id"]) == ("succeeded", model_id)
    assert [each["loss"] for each in told["epoch_metrics"]] == [0.9, 0.5]
    assert list(prediction["probabilities"]) == list(CLASSES)
    assert prediction["image_id"] is not None


def test_a_run_is_sealed_once(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        run_id, _ = add_sealed_run(session, add_sample_set(session, tmp_path))
    with pytest.raises(Conflict, match="A run is sealed once"), database.writing() as session:
        runs.seal_run(session, run_id, record(metrics={"accuracy": 1.0}))
    with database.reading() as session:
        assert runs.run_dict(session, run_id)["metrics"]["accuracy"] == 0.75


def test_a_repeated_epoch_replaces_the_first(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        run_id, _ = add_sealed_run(session, add_sample_set(session, tmp_path))
        runs.write_epoch_metrics(session, run_id, [runs.EpochMetric(2, 0.75), runs.EpochMetric(3, 0.25)])
        assert [each["loss"] for each in runs.epoch_metrics(session, run_id)] == [0.9, 0.75, 0.25]


def test_results_that_are_no_numbers_are_not_kept(database: Database, tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"Epoch 3 holds finite numbers; found one that is not.* The training diverged"
    ):
        runs.EpochMetric(3, float("nan"))
    with pytest.raises(InvalidInput, match="Epoch 3 holds finite numbers"):
        runs.EpochMetric(3, 0.5, {"cross_entropy": float("inf")})
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        run_id = runs.add_run(session, runs.RunRequest(image_set=set_id, method="coop"))
    answer = {"file": "a.png", "label": "calm", "predicted": "calm", "probabilities": {"calm": float("nan")}}
    for wrong, predictions, place in (
        ({"metrics": {"accuracy": float("nan")}}, [], "metrics.accuracy"),
        ({"per_class": [{"recall": float("inf")}]}, [], "per_class.0.recall"),
        ({}, [answer], "'a.png' holds finite numbers; found one that is not at calm"),
    ):
        with pytest.raises(InvalidInput) as refused, database.writing() as session:
            runs.seal_run(session, run_id, record(**wrong), predictions)
        assert place in refused.value.sentence
        assert refused.value.remedy == "The trained weights give no numbers: train again with a smaller learning rate."
    with database.reading() as session:
        assert runs.run_dict(session, run_id)["metrics"] is None


def test_a_run_goes_with_all_that_hangs_on_it_unless_its_job_is_due(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        run_id, model_id = add_sealed_run(session, set_id)
        due = runs.add_run(session, runs.RunRequest(image_set=set_id, method="coop"))
        jobs.add_job(session, due, "the due one")
        asked = classifications.add_classification(session, model_id, [])
    with database.writing() as session:
        with pytest.raises(Conflict, match="its job 'the due one' is queued"):
            runs.delete_run(session, due)
        runs.delete_run(session, run_id)
    with database.reading() as session:
        assert [run["id"] for run in runs.list_runs(session)] == [due]
        assert (models.list_models(session), runs.epoch_metrics(session, run_id)) == ([], [])
        assert runs.list_predictions(session, run_id) == []
        assert classifications.list_classifications(session)[0]["model_name"] == "coop, 16 shots"
        assert classifications.classification_dict(session, asked)["model_id"] is None
        with pytest.raises(NotFound, match="A run with this id"):
            runs.find_run(session, run_id)


def test_a_description_set_stays_while_a_run_was_made_with_it(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        used, _ = descriptions.save_version(session, set_id, "used", WORDING, author="Ada", source="api")
        free, _ = descriptions.save_version(session, set_id, "free", WORDING, author="Ada", source="api")
        version = descriptions.find_version(session, used).id
        descriptions.save_version(session, set_id, "used", WORDING, author="Ada", source="api", based_on=1)
        request = runs.RunRequest(image_set=set_id, method="coop", description_version_id=version, name="of spring")
        run_id = runs.add_run(session, request)
    with database.writing() as session:
        descriptions.delete_description_set(session, free)
        with pytest.raises(Conflict, match="'used' is used by 'of spring'"):
            descriptions.delete_description_set(session, used)
        assert [row["name"] for row in descriptions.list_description_sets(session)] == ["used"]
        runs.delete_run(session, run_id)
        descriptions.delete_description_set(session, used)
        assert descriptions.count_description_sets(session) == 0


def test_only_sealed_runs_enter_a_comparison(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        sealed, _ = add_sealed_run(session, set_id)
        open_run = runs.add_run(session, runs.RunRequest(image_set=set_id, method="zero_shot"))
    with database.reading() as session:
        assert [run["id"] for run in runs.list_runs(session, set_id)] == [open_run, sealed]
        assert [run["id"] for run in runs.list_runs(session, set_id, sealed_only=True)] == [sealed]
        assert [run["id"] for run in runs.list_runs(session, run_ids=[open_run])] == [open_run]
        assert runs.list_runs(session, "elsewhere") == []


def test_a_model_is_found_by_id_run_and_name_and_forgotten_without_its_run(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        set_id = add_sample_set(session, tmp_path)
        run_id, model_id = add_sealed_run(session, set_id)
    with database.reading() as session:
        told = models.model_dict(session, model_id)
        assert models.model_dict(session, run_id) == told
        assert models.find_model_by_name(session, "coop, 16 shots").id == model_id
        assert told["card"] == {"classes": list(CLASSES)}
        listed = models.list_models(session)[0]
    assert listed == {name: value for name, value in told.items() if name != "card"}
    assert (told["calibrated"], told["size_bytes"], told["image_set"]["id"]) == (True, 1234, set_id)
    with database.writing() as session:
        assert models.delete_model(session, model_id) == [f"models/{run_id}"]
        assert runs.run_dict(session, run_id)["model_id"] is None
        with pytest.raises(NotFound, match="A model with this id"):
            models.model_dict(session, model_id)


def test_each_edit_makes_the_next_version(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        image_set = add_sample_set(session, tmp_path)
        set_id, first = descriptions.save_version(
            session, image_set, "wording", WORDING, author="Ada", source="templates"
        )
        edited = {**WORDING, "calm": ["Even, fine grey."]}
        _, second = descriptions.save_version(
            session, image_set, "wording", edited, author="Bo", source="edited", note="finer", based_on=first
        )
    with database.reading() as session:
        old = descriptions.description_set_dict(session, set_id, 1)
        new = descriptions.description_set_dict(session, set_id)
        listed = descriptions.list_description_sets(session, image_set)
        loaded = descriptions.load_descriptions(session, old["version_id"])
    assert (first, second) == (1, 2)
    assert old["sentences"] == WORDING
    assert list(old["sentences"]) == ["lesion", "calm"]
    assert new["sentences"]["calm"] == ["Even, fine grey."]
    assert [(v["version"], v["author"], v["note"]) for v in new["versions"]] == [(1, "Ada", ""), (2, "Bo", "finer")]
    assert listed == [{name: value for name, value in new.items() if name not in {"versions", "sentences"}}]
    assert loaded.source == "wording, version 1"
    assert loaded.fingerprint == old["fingerprint"] != new["fingerprint"]


def test_an_edit_of_an_old_version_is_refused(database: Database) -> None:
    def save(based_on: int | None) -> None:
        with database.writing() as session:
            descriptions.save_version(session, None, "w", WORDING, author="a", source="s", based_on=based_on)

    save(None)
    save(1)
    with pytest.raises(Conflict, match="the newest version of 'w', 2; this one started from version 1"):
        save(1)


@pytest.mark.parametrize("bad", [{}, {"lesion": []}, {"lesion": ["good", "  "]}])
def test_empty_sentences_are_refused(database: Database, bad: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidInput, match="Every class has at least one sentence"), database.writing() as session:
        descriptions.save_version(session, None, "w", bad, author="a", source="s")


def test_a_run_outlives_its_descriptions_by_their_fingerprint(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        image_set = add_sample_set(session, tmp_path)
        set_id, _ = descriptions.save_version(session, image_set, "w", WORDING, author="a", source="s")
        version = descriptions.find_version(session, set_id)
        run_id = runs.add_run(
            session, runs.RunRequest(image_set=image_set, method="coop", description_version_id=version.id)
        )
        runs.seal_run(session, run_id, record(descriptions_fingerprint=version.fingerprint))
        told = runs.run_dict(session, run_id)
    assert told["descriptions_fingerprint"] == version.fingerprint
    assert told["description_version_id"] == version.id


def test_audit_entries_are_listed_by_thing(database: Database) -> None:
    with database.writing() as session:
        add_audit_entry(session, "ada", "delete", "model", "m1", {"run_id": "r1"})
        add_audit_entry(session, "bo", "add", "image_set", "s1")
    with database.reading() as session:
        found = list_audit_entries(session, "model", "m1")
        assert len(list_audit_entries(session)) == 2
    found[0].pop("at")
    assert found == [{"actor": "ada", "action": "delete", "noun": "model", "noun_id": "m1", "detail": {"run_id": "r1"}}]


def test_a_request_with_a_key_is_done_once(database: Database) -> None:
    ask = ("POST", "/api/v1/runs", "key", "a" * 64)
    assert _begin(database, *ask) is None
    with pytest.raises(Conflict, match="the first one with this Idempotency-Key is still at work"):
        _begin(database, *ask)
    with database.writing() as session:
        finish_request(session, *ask[:3], 201, {"id": "1"})
    assert _begin(database, *ask) == StoredAnswer(201, {"id": "1"})
    with pytest.raises(Conflict, match="this one came before with another body"):
        _begin(database, *ask[:3], "b" * 64)
    with database.writing() as session:
        drop_request(session, *ask[:3])
    assert _begin(database, *ask) is None


def test_every_column_of_a_sealed_run_is_filled(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        run_id = runs.add_run(
            session,
            runs.RunRequest(image_set=add_sample_set(session, tmp_path), method="coop", shots=4),
            protocol="full",
            share=0.1,
        )
        parts = {"test": {"classes": list(CLASSES), "n_test": 6, "metrics": {"accuracy": 0.75}}}
        runs.seal_run(session, run_id, record(descriptions_fingerprint="d" * 64, parts=parts))
    with database.reading() as session:
        row = session.scalars(select(RunRow)).one()
        empty = {column.key for column in RunRow.__table__.columns if getattr(row, column.key) in (None, {}, [])}
    assert empty == {"description_version_id"}


def _begin(database: Database, *ask: str) -> StoredAnswer | None:
    with database.writing() as session:
        return begin_request(session, *ask, owner="server", is_alive=lambda _: True)
