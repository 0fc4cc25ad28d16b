"""The Compare page shows the metrics there are, under their names, and knows which way is better."""

from __future__ import annotations

import re

from app.ui.layout import STATIC_DIR
from core.evaluation.metrics import METRICS


def test_the_metrics_are_those_of_the_evaluation_with_their_titles_and_directions() -> None:
    script = (STATIC_DIR / "js" / "metric-words.js").read_text("utf-8")
    rows = re.findall(r'name: "(\w+)",\s+title: "([^"]+)",\s+help: "[^"]+",\s+higher: (true|false)', script)
    shown = [(name, title, "higher" if higher == "true" else "lower") for name, title, higher in rows]
    assert [name for name, *_ in shown] == list(METRICS)
    assert [direction for *_, direction in shown] == [metric.direction for metric in METRICS.values()]
    titles = {name: title for name, title, _ in shown if name != "ece"}
    assert titles == {name: metric.title for name, metric in METRICS.items() if name != "ece"}
