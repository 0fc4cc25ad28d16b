"""The Jobs page has a word for every state a job can be in."""

from __future__ import annotations

import re
from typing import get_args

from app.ui.layout import STATIC_DIR
from training_jobs.states import State


def test_every_state_has_an_icon_a_word_and_a_sentence() -> None:
    script = (STATIC_DIR / "js" / "job-words.js").read_text("utf-8")
    rows = re.findall(r'^  (\w+): \["(.)", "(\w+)", "([\w ]+)", "\w*"\],$', script, re.MULTILINE)
    assert [name for name, *_ in rows] == list(get_args(State))
    assert len({icon for _, icon, *_ in rows}) == len(rows)
    assert len({word for _, _, word, _ in rows}) == len(rows)
