"""Stated probabilities of many images as one table, whatever order answers name their classes in."""

import numpy as np
import pytest

from core.evaluation.stated import Stated, stated_of


@pytest.mark.parametrize(
    ("second", "table"),
    [
        ({"a": 0.75, "b": 0.25, "c": 0.0}, [[0.5, 0.5, 0.0], [0.75, 0.25, 0.0]]),
        ({"a": 0.75, "c": 0.0, "b": 0.25}, [[0.5, 0.5, 0.0], [0.75, 0.25, 0.0]]),
        ({"a": 1.0}, [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]),
        ({"a": 0.5, "b": 0.25, "c": 0.0, "d": 0.25}, [[0.5, 0.5, 0.0, 0.0], [0.5, 0.25, 0.0, 0.25]]),
    ],
)
def test_answers_are_put_into_columns_by_name(second: dict[str, float], table: list[list[float]]) -> None:
    found = stated_of([{"a": 0.5, "b": 0.5, "c": 0.0}, second])
    assert found.classes == tuple("abcd"[: len(table[0])])
    assert found.table.tolist() == table


def test_an_answer_that_cannot_be_read_has_no_number() -> None:
    found = stated_of([{"a": 0.5, "b": 0.5}, object()])  # type: ignore[list-item]
    assert found.classes == ("a", "b")
    assert found.table[0].tolist() == [0.5, 0.5]
    assert np.isnan(found.table[1]).all()


def test_classes_that_were_not_asked_about_have_no_probability() -> None:
    found = Stated(("b", "a"), np.array([[0.25, 0.75]]))
    assert found.among(("a", "b", "c")).tolist() == [[0.75, 0.25, 0.0]]
    assert found.among(("b", "a")) is found.table
