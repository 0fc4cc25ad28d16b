"""An experiment written as TOML is the same experiment when it is read again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.experiments.spec import parse_spec, parse_toml
from core.experiments.toml_text import toml_text

CASES: dict[str, dict[str, Any]] = {
    "few": {"name": "first", "images": "brain", "methods": ["coop"]},
    "all shots and own seeds": {
        "name": "x",
        "images": ["a", "b"],
        "methods": ["coop"],
        "shots": [1, "all"],
        "seeds": 7,
    },
    "options that vary": {
        "name": "lengths",
        "images": ["a"],
        "methods": ["coop", "linear_probe"],
        "options": {"coop": {"context_length": [4, 16], "class_specific": [True, False], "learning_rate": 0.002}},
    },
    "recipes": {
        "name": "r",
        "images": ["a"],
        "recipes": ["coop/zhou/x/few"],
        "methods": ["kgcoop"],
        "variant": "paper",
    },
    "controlled": {"name": "c", "images": ["a"], "methods": ["coop"], "controlled": True, "updates": 200},
    "shares": {"name": "f", "images": ["a"], "methods": ["coop"], "protocol": "full", "shares": [10, 100]},
    "classes": {
        "name": "b",
        "images": ["a"],
        "methods": ["coop"],
        "protocol": "base-to-novel",
        "base_classes": ["x", "y"],
    },
    "targets": {"name": "t", "images": ["a"], "methods": ["coop"], "protocol": "cross-set", "target_images": ["b"]},
    "wordings": {"name": "w", "images": ["a"], "methods": ["coop"], "descriptions": ["templates", "mine"], "epochs": 3},
    "hostile texts": {"name": 'a "b" \\ c', "images": ["é ü"], "methods": ["coop"], "template": "a 'photo' of {}."},
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_written_is_read_back_as_the_same_experiment(case: str) -> None:
    spec = parse_spec(CASES[case])
    again = parse_spec(parse_toml(toml_text(spec)))
    assert again == spec
    assert again.hash == spec.hash


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_any_text_survives(text: str) -> None:
    written = toml_text(
        parse_spec({"name": "x", "images": ["a"], "methods": ["coop"], "options": {"coop": {"t": text}}})
    )
    assert parse_toml(written)["options"]["coop"]["t"] == text
