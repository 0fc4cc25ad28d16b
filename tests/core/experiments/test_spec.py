"""Experiment files: what they say, and what is refused by name before anything is trained."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import InvalidInput, InvalidOption, PromptoscopeError
from core.experiments.cells import plan_cells
from core.experiments.spec import ExperimentSpec, parse_spec, parse_toml, spec_from_record

FULL = """
name = "first look"
images = ["brain", "chest"]
methods = ["coop", "linear_probe"]
shots = [1, 4, "all"]
seeds = [1, 2, 3]
epochs = 5

[options.coop]
context_length = [2, 4]
"""


def spec(**changes: Any) -> ExperimentSpec:
    return parse_spec({"name": "x", "images": "brain", "methods": ["coop"]} | changes)


def test_a_file_becomes_lines_by_amounts_by_seeds() -> None:
    found = parse_spec(parse_toml(FULL))
    assert [line.label for line in found.candidates] == [
        "coop (context_length 2)",
        "coop (context_length 4)",
        "linear_probe",
    ]
    assert found.shots == (1, 4, None)
    cells = plan_cells(found, "zero_shot")
    assert len(cells) == 2 * 3 * (3 * 3 + 1)
    assert [cell.position for cell in cells] == list(range(len(cells)))


def test_what_may_be_left_out_has_the_stated_defaults() -> None:
    found = spec()
    assert found.seeds == (1, 2, 3, 4, 5)
    assert found.shots == (16,)
    assert found.protocol == "few-shot"
    assert found.images == ("brain",)


def test_the_baseline_is_added_once_a_place_or_runs_as_often_as_it_is_named() -> None:
    added = [cell for cell in plan_cells(spec(shots=[1, 2]), "zero_shot") if cell.candidate.method == "zero_shot"]
    assert [(cell.shots, cell.seed) for cell in added] == [(1, 1), (2, 1)]
    named = plan_cells(spec(methods=["zero_shot", "coop"], seeds=[1, 2]), "zero_shot")
    assert len(named) == 4


def test_a_spec_goes_through_json_and_its_hash_forgets_the_name() -> None:
    found = parse_spec(parse_toml(FULL))
    again = spec_from_record(json.loads(json.dumps(found.as_dict())))
    assert again == found
    assert again.hash == found.hash
    assert parse_spec(parse_toml(FULL.replace("first", "second"))).hash == found.hash
    assert parse_spec(parse_toml(FULL.replace("epochs = 5", "epochs = 6"))).hash != found.hash


def test_shares_are_fractions_or_percent() -> None:
    found = spec(protocol="full", shares=[10, 0.3, 100])
    assert found.shares == (0.1, 0.3, 1.0)
    assert [cell.share for cell in plan_cells(found)][:5] == [0.1] * 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "'name'"),
        ({"images": []}, "'images'"),
        ({"methods": []}, "'methods'"),
        ({"methods": ["coop", "coop"]}, "once"),
        ({"shots": [0]}, "'shots'"),
        ({"shots": [True]}, "'shots'"),
        ({"shots": [10**20]}, "'shots'"),
        ({"shots": ["some"]}, "'shots'"),
        ({"shots": []}, "empty"),
        ({"seeds": [-1]}, "'seeds'"),
        ({"seeds": [1, 1]}, "twice"),
        ({"protocol": "zero"}, "few-shot"),
        ({"speed": 3}, "'speed'"),
        ({"metric": "f2"}, "'metric'"),
        ({"epochs": 0}, "'epochs'"),
        ({"options": {"cocoop": {}}}, "'cocoop'"),
        ({"options": {"coop": 3}}, "table"),
        ({"options": {"coop": {"context_length": []}}}, "empty list"),
        ({"images": []}, "Name one or more."),
        ({"protocol": "cross-set"}, "target_images"),
        ({"target_images": ["chest"]}, "cross-set"),
        ({"protocol": "cross-set", "target_images": ["chest", "brain"]}, "'brain' is in both"),
        ({"base_classes": ["a"]}, "base-to-novel"),
        ({"updates": 5}, "controlled"),
        ({"controlled": True, "epochs": 3}, "updates"),
        ({"controlled": "yes"}, "true or false"),
        ({"protocol": "full", "shots": [1]}, "shares"),
        ({"protocol": "full", "shares": [0]}, "'shares'"),
        ({"protocol": "full", "shares": [101]}, "'shares'"),
        ({"protocol": "full", "shares": [10**400]}, "'shares'"),
        ({"protocol": "full", "shares": [float("nan")]}, "'shares'"),
        ({"shares": [10]}, "full"),
        ({"protocol": "realistic", "shots": ["all"]}, "realistic"),
        ({"compare_to": "maple"}, "compare_to"),
        ({"name": "a\x00b"}, "U+0000"),
        ({"seeds": list(range(5001))}, "5000"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        plan_cells(spec(**changes))
    assert words in refused.value.sentence


def test_an_empty_file_is_told_in_words() -> None:
    with pytest.raises(InvalidInput, match=r"An experiment with 'name', 'images' and 'methods'; found nothing in it\."):
        parse_spec(parse_toml(""))
    with pytest.raises(InvalidInput, match="'name' is missing"):
        parse_spec({"methods": ["coop"]})


def test_each_key_that_is_none_is_named_with_the_nearest_one() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_spec({"name": "a", "images": "b", "methods": "c", "shot": [1], "seed": [1], "xyz": 1})
    assert refused.value.found == "found 'seed', 'shot', 'xyz'"
    assert refused.value.remedy == "Did you mean 'seeds'? Did you mean 'shots'? Leave out 'xyz'."


def test_a_file_from_a_windows_editor_is_read() -> None:
    assert parse_toml(b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode()) == parse_toml(FULL)


@pytest.mark.parametrize(
    "text",
    [
        "name =",
        b"\xff\xfe",
        "name = 'a'\nname = 'b'",
        "seeds = 1" + "0" * 5000,
        "images = " + "[" * 20_000 + "]" * 20_000,
    ],
    ids=["no value", "other bytes", "twice", "many digits", "deep"],
)
def test_a_file_that_is_no_toml_is_refused_with_its_place(text: str | bytes) -> None:
    with pytest.raises(PromptoscopeError, match=r"TOML|UTF-8"):
        parse_toml(text)


def test_a_misspelt_key_and_an_unknown_line_are_told_what_there_is() -> None:
    with pytest.raises(InvalidOption, match="Did you mean 'protocol'"):
        parse_spec({"name": "x", "images": "a", "methods": ["coop"], "protocl": "full"})
    with pytest.raises(InvalidOption, match="'compare_to' is one of coop, zero_shot; found 'vpt'"):
        parse_spec({"name": "x", "images": "a", "methods": ["coop"], "compare_to": "vpt"})
