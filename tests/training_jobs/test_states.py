from __future__ import annotations

import itertools

import pytest

from core.errors import Conflict
from core.records.tables import JOB_STATES
from training_jobs.states import FINISHED, MOVES, check_move, is_allowed

ALLOWED = {
    ("queued", "running"),
    ("queued", "cancelled"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("running", "queued"),
    ("failed", "queued"),
    ("cancelled", "queued"),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(JOB_STATES, JOB_STATES)))
def test_only_these_moves_are_allowed(old: str, new: str) -> None:
    assert is_allowed(old, new) == ((old, new) in ALLOWED)  # type: ignore[arg-type]


def test_the_moves_know_the_states_of_the_table() -> None:
    assert tuple(MOVES) == ("queued", "running", "failed", "cancelled", "succeeded")
    assert set(MOVES) == set(JOB_STATES)
    assert FINISHED == ("succeeded", "failed", "cancelled")


def test_a_forbidden_move_says_what_is_possible() -> None:
    with pytest.raises(
        Conflict, match=r"A job that is queued can become running or cancelled; it cannot become failed"
    ):
        check_move("queued", "failed")
    with pytest.raises(Conflict, match=r"A job that is succeeded can become nothing else"):
        check_move("succeeded", "queued")
