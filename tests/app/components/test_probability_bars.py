"""Probability bars: which values they take, and what is kept of them."""

from __future__ import annotations

import gradio as gr
import pytest

from app.components.base import FOLDER
from app.components.probability_bars import ProbabilityBars
from core.errors import InvalidInput


def test_a_plain_table_of_probabilities_is_a_full_value():
    with gr.Blocks():
        bars = ProbabilityBars({"a": 0.25, "b": 0.75})
    assert bars.value == {"probabilities": {"a": 0.25, "b": 0.75}, "abstain": None}


def test_a_class_called_probabilities_is_a_class():
    with gr.Blocks():
        bars = ProbabilityBars({"probabilities": 0.25, "abstain": 0.75})
    assert bars.value["probabilities"] == {"probabilities": 0.25, "abstain": 0.75}
    assert bars.value["abstain"] is None


@pytest.mark.parametrize("share", [-0.1, 1.5, "much", True, float("nan")])
def test_what_is_no_probability_is_refused(share):
    with gr.Blocks(), pytest.raises(InvalidInput, match="between 0 and 1"):
        ProbabilityBars({"a": share})


def test_choosing_a_class_is_an_event_that_any_blocks_can_use():
    with gr.Blocks() as blocks:
        bars, word = ProbabilityBars(), gr.Textbox()
        bars.select(lambda: "chosen", None, word)
    targets = [target for function in blocks.fns.values() for target in function.targets]
    assert targets == [(bars._id, "select")]


def test_importing_a_component_writes_no_file():
    assert not list(FOLDER.glob("*.pyi"))
