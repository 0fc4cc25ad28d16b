"""Sentences that answer items of reporting guidelines, each from records alone; "" where nothing is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.reporting.facts_of_images import FACTS_OF_IMAGES
from core.reporting.facts_of_runs import FACTS_OF_RUNS
from core.reporting.study import Study

FACTS: Mapping[str, Callable[[Study], str]] = {**FACTS_OF_IMAGES, **FACTS_OF_RUNS}
"""Facts by name, as the checklists name them."""

SECTIONS = {
    **dict.fromkeys(("answer", "technique", "aims"), "answer"),
    **dict.fromkeys(("performance", "uncertainty", "metrics", "sample_size", "robustness", "per_class"), "results"),
    **dict.fromkeys(("flow", "refusal", "split", "disjoint", "missing", "characteristics", "subsets"), "data"),
    **dict.fromkeys(("data_source", "acquisition", "n_events", "evaluation_shift", "imbalance"), "data"),
    "cross_table": "confusion",
    "failures": "failures",
    **dict.fromkeys(("training", "software", "repeat", "data_identity", "model", "initial_weights"), "repeat"),
}
"""Where in the page there is more of a fact."""


def facts_of(study: Study) -> dict[str, str]:
    """Every fact by its name."""
    return {name: find(study) for name, find in FACTS.items()}
