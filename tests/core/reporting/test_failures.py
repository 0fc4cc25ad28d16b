"""The gallery follows its rule: wrong in most seeds, by the mean probability of the wrong class."""

from __future__ import annotations

from typing import Any

from core.reporting.failures import MOST_SHOWN, failures


def answers(told: dict[str, tuple[str, str, float]]) -> list[dict[str, Any]]:
    """{file: (label, predicted, probability of the predicted)} of classes a and b."""
    return [
        {
            "file": file,
            "sha256": file * 3,
            "image_id": None,
            "group": None,
            "label": label,
            "predicted": predicted,
            "probabilities": {predicted: p, "ab".replace(predicted, ""): 1 - p},
        }
        for file, (label, predicted, p) in told.items()
    ]


SEEDS = [
    answers({"1": ("a", "b", 0.9), "2": ("a", "b", 0.6), "3": ("b", "b", 0.8), "4": ("b", "a", 0.99)}),
    answers({"1": ("a", "b", 0.7), "2": ("a", "b", 0.9), "3": ("b", "b", 0.7), "4": ("b", "b", 0.6)}),
    answers({"1": ("a", "b", 0.8), "2": ("a", "a", 0.6), "3": ("b", "b", 0.9), "4": ("b", "b", 0.9)}),
]


def test_wrong_in_most_seeds_ordered_by_mean_probability():
    found = failures(SEEDS)
    assert (found["n"], found["wrong"]) == (4, 2), "4 is wrong in one seed of three"
    assert [(i["file"], i["wrong"], i["of"]) for i in found["confident"]] == [("1", 3, 3), ("2", 2, 3)]
    assert [round(i["probability"], 4) for i in found["confident"]] == [0.8, round((0.6 + 0.9 + 0.4) / 3, 4)]
    (pair,) = found["pairs"]
    assert (pair["label"], pair["predicted"], pair["n"]) == ("a", "b", 2)
    assert [i["file"] for i in found["right"]] == ["3"]


def test_wrong_in_every_run_of_every_method_needs_another_method():
    other = answers({"1": ("a", "b", 0.9), "2": ("a", "a", 0.6), "3": ("b", "a", 0.8), "4": ("b", "a", 0.99)})
    assert failures(SEEDS)["in_all"] == []
    assert [i["file"] for i in failures(SEEDS, [other])["in_all"]] == ["1"]


def test_lists_are_cut():
    many = answers({f"{at:02}": ("a", "b", 0.5 + at / 100) for at in range(30)})
    found = failures([many])
    assert len(found["confident"]) == len(found["pairs"][0]["images"]) == MOST_SHOWN
    assert found["pairs"][0]["n"] == 30
    assert found["confident"][0]["file"] == "29"
