"""What a report says of how models were chosen is what their runs say."""

from __future__ import annotations

from typing import Any

from core.reporting.facts import facts_of
from core.reporting.study import Study


def run(**changes: Any) -> dict[str, Any]:
    names = ("options", "versions", "device", "precision", "backbone", "backbone_checksum", "descriptions", "recipe")
    empty = dict.fromkeys((*names, "epochs", "steps", "share", "shots", "model_id", "confusion", "known_classes"))
    known = {"id": "r", "method": "vip", "method_title": "ViP", "classes": ["a", "b"], "seed": 1, "notes": []}
    numbers = {"n_train": 4, "n_val": 4, "n_test": 9, "trainable_parameters": 7, "temperature": 1.5}
    chosen = {"n": 4, "also_chose": ["the epoch that is kept"]}
    return {**empty, **known, **numbers, "options": {}, "calibration": chosen, **changes}


def facts(*runs: dict[str, Any]) -> dict[str, str]:
    return facts_of(Study("s", "run", runs, {"groups": []}, ""))


def test_an_epoch_that_was_chosen_is_told():
    assert facts(run())["selection"] == (
        "The test part chooses nothing. Validation images chose the epoch that is kept. Where no epoch or step "
        "is named among this, the weights after the last are taken, or those that the method's options name; "
        "probabilities of 1 of 1 runs are calibrated by one temperature (1.50 to 1.50) on 4 validation images."
    )


def test_nothing_is_told_of_a_study_without_runs():
    assert set(facts().values()) == {"", *()}


def test_uncalibrated_runs_are_told():
    found = facts(run(calibration={"n": 0, "also_chose": []}, temperature=1.0))
    assert "probabilities are not calibrated" in found["output"]
    assert "chose nothing but the temperature" not in found["selection"]
