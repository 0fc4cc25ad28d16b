"""The shipped ablations are experiments that could be run as they are."""

from __future__ import annotations

import pytest

from core.errors import InvalidOption
from core.experiments.ablation_files import ablation_text, ablations, list_ablations
from core.experiments.spec import parse_spec, parse_toml
from core.tuning.registry import get_method


@pytest.mark.parametrize("name", ablations())
def test_each_file_is_an_experiment_whose_options_its_methods_have(name: str) -> None:
    text = ablation_text(f"ablation:{name}")
    assert text.startswith("# ")
    values = parse_toml(text)
    assert "images" not in values
    spec = parse_spec(values | {"name": name, "images": ["any"]})
    assert len(spec.candidates) > 1 or len(spec.descriptions) > 1
    for line in spec.candidates:
        get_method(line.method).Config(**line.options)


def test_they_are_listed_with_their_question_and_a_wrong_name_gets_the_nearest() -> None:
    listed = {row["name"]: row["title"] for row in list_ablations()}
    assert listed["zero-vectors"].startswith("How many zero vectors")
    with pytest.raises(InvalidOption, match="Did you mean 'zero-vectors'"):
        ablation_text("ablation:zero-vector")
