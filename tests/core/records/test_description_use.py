"""Runs, models and cells say which version they were trained on, and that there is a newer one by now."""

from __future__ import annotations

from pathlib import Path

from core.records import descriptions, models, runs
from core.records.description_use import version_of_model, versions_of_runs
from core.records.description_versions import freeze
from core.records.sentence_actions import Order, act
from core.records.sentences import load_sentences
from core.records.session import Database
from tests.core.records.samples import add_sample_set, add_sealed_run

WORDING = {"lesion": ["A dark spot."], "calm": ["Even grey."]}


def test_what_was_trained_on_a_version_says_what_there_is_now(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        image_set = add_sample_set(session, tmp_path)
        set_id, _ = descriptions.save_version(session, image_set, "wording", WORDING, author="Ada", source="api")
        act(session, set_id, Order("approve", "Ada", [each.id for each in load_sentences(session, set_id)]))
        signed = freeze(session, set_id, ["lesion", "calm"], author="Ada", sign=True)
        run_id, model_id = add_sealed_run(session, image_set, description_version_id=signed["id"])
        plain_run, plain_model = add_sealed_run(session, image_set)
        before = runs.run_dict(session, run_id)["description_version"]
        freeze(session, set_id, ["lesion", "calm"], author="Bo")
    assert before["sentence"] == "Trained on version 2 of 'wording', signed by Ada."
    with database.reading() as session:
        told = runs.run_dict(session, run_id)["description_version"]
        listed = {row["id"]: row["description_version"] for row in runs.list_runs(session)}
        model = models.model_dict(session, model_id)["description_version"]
        in_list = {row["id"]: row["description_version"] for row in models.list_models(session)}
        of_runs = versions_of_runs(session, [run_id, plain_run, "nosuch"])
        of_models = [version_of_model(session, id=each) for each in (model_id, plain_model, "nosuch")]
        by_folder = version_of_model(session, folder=models.model_dict(session, model_id)["folder"])
    assert (of_runs, of_models, by_folder) == ({run_id: told}, [told, None, None], told)
    assert told == listed[run_id] == model == in_list[model_id]
    assert (listed[plain_run], in_list[plain_model]) == (None, None)
    assert {name: value for name, value in told.items() if name != "sentence"} == {
        "set_id": set_id, "set": "wording", "version": 2, "signed_by": "Ada", "newest": 3, "newest_signed": 2
    }  # fmt: skip
    assert told["sentence"] == "Trained on version 2 of 'wording', signed by Ada; now there is version 3."
