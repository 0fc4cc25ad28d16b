"""How far to trust a map: does hiding what it marks matter more than hiding the like elsewhere?

The drop of the class's log-odds is held against that of random maps exactly as smooth, which gives a p-value. Hidden
holes alone can change an answer (Rong et al., ICML 2022), and smooth maps hit or miss an object as a whole, so neither
no hole at all nor single random patches are a fair comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.explain.captured import Captured
from core.explain.explainer import flat_reason
from core.explain.hiding import Step, hidden_log_odds
from core.explain.random_maps import marked_cells, random_placements
from core.explain.randomised import ALIKE

FRACTIONS = (0.02, 0.05, 0.10)
"""Of the patches: how many of the most marked ones are hidden."""
TESTED = 0.05
"""The one that random maps are compared at."""
RANDOM_MAPS = 50
LEVEL = 0.05
"""A p-value up to this counts as small."""
State = Literal["follows", "cannot tell", "worse than random", "not tested"]


@dataclass(frozen=True)
class ShownMap:
    """A map as it is shown: values (rows, columns), and the class whose log-odds it is tested against.

    kind, title: as in the pictures. per_class: whether it is about this class, or the same for every class.
    """

    kind: str
    title: str
    class_index: int
    values: np.ndarray
    per_class: bool = True


@dataclass(frozen=True)
class Hidden:
    """What hiding did, in log-odds of the class: drops, above 0 where hiding lowers them.

    own: (fractions,), of the map. random: (random maps,), at the tested fraction. patches: (fractions,).
    """

    own: np.ndarray
    random: np.ndarray
    patches: tuple[int, ...]
    tested: int

    @property
    def drop(self) -> float:
        """Of the map itself, at the tested fraction."""
        return float(self.own[self.tested])

    @property
    def p(self) -> float:
        """Part of random maps, the map itself among them, that do at least as much."""
        return float((1 + (self.random >= self.drop).sum()) / (1 + self.random.size))

    @property
    def p_worse(self) -> float:
        """Part of random maps, the map itself among them, that do no more."""
        return float((1 + (self.random <= self.drop).sum()) / (1 + self.random.size))


def hide(captured: Captured, shown: ShownMap, step: Step, seed: int = 0, n: int = RANDOM_MAPS) -> Hidden:
    """Hides what a map marks, and what n random placements of it mark. One seed gives one result."""
    rng = np.random.default_rng(seed)
    patches = int(np.isfinite(shown.values).sum())
    counts = [max(1, round(fraction * patches)) for fraction in FRACTIONS]
    tested = FRACTIONS.index(TESTED)
    sets = [np.empty(0, dtype=int), *marked_cells(shown.values, counts, rng)]
    for placed in random_placements(shown.values, n, rng):
        sets += marked_cells(placed, counts[tested : tested + 1], rng)
    hidden = np.zeros((len(sets), shown.values.size), dtype=bool)
    for row, cells in enumerate(sets):
        hidden[row, cells] = True
    hidden = hidden.reshape(-1, *shown.values.shape)
    classes = np.full(len(sets), shown.class_index)
    odds = hidden_log_odds(captured.classifier, captured.pixels, hidden, classes, step)
    drops = odds[0] - odds[1:]
    return Hidden(drops[: len(counts)], drops[len(counts) :], tuple(counts), tested)


def examine(
    captured: Captured,
    shown: ShownMap,
    model: Mapping[str, Any],
    step: Step,
    randomised: Sequence[Mapping[str, Any]] = (),
    unpainted: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What is known of one shown map, JSON-ready: its state, p-values, drops and a sentence.

    model: `standing` of the classifier. randomised: rows of `cascade` for this map. unpainted: why it is not painted,
    so that there is nothing to test. A map is said to follow the model
    only where hiding what it marks lowers the log-odds, p is small, the model beats guessing by its card, and the map
    changes when the whole tower is random.
    """
    name = captured.classifier.classes[shown.class_index]
    head = {"kind": shown.kind, "title": shown.title, "class": name, "per_class": shown.per_class}
    reason = flat_reason(shown.values)
    if unpainted is not None or reason is not None:
        return head | {"state": "not tested", "sentence": unpainted or f"The map marks nothing: {reason}."}
    found = hide(captured, shown, step, seed)
    unmoved = is_unmoved(randomised)
    return head | {
        "state": state_of(found, model.get("above_chance"), unmoved),
        "p": found.p,
        "p_worse": found.p_worse,
        "drop": found.drop,
        "random_maps": int(found.random.size),
        "random_drop": float(found.random.mean()),
        "random_low": float(np.quantile(found.random, 0.05)),
        "random_high": float(np.quantile(found.random, 0.95)),
        "tested": TESTED,
        "steps": [
            {"fraction": f, "patches": n, "drop": float(d)}
            for f, n, d in zip(FRACTIONS, found.patches, found.own, strict=True)
        ],
        "randomised": [dict(row) for row in randomised],
        "sentence": sentence(found, name, model, unmoved),
    }


def is_unmoved(randomised: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether the map stays alike with the whole tower random; None where that is not known."""
    last = randomised[-1]["correlation"] if randomised else None
    return None if last is None else last >= ALIKE


def state_of(found: Hidden, above_chance: bool | None, unmoved: bool | None = None) -> State:
    """Follows, cannot tell, or worse than random."""
    if found.p_worse <= LEVEL:
        return "worse than random"
    if found.p <= LEVEL and found.drop > 0 and above_chance and not unmoved:
        return "follows"
    return "cannot tell"


def sentence(found: Hidden, name: str, model: Mapping[str, Any], unmoved: bool | None) -> str:
    """What was found and what follows from it."""
    hiding = f"Hiding the {TESTED:.0%} of patches that it marks most {_moved(found.drop, name)}"
    n, state = int(found.random.size), state_of(found, model.get("above_chance"), unmoved)
    as_much, as_little = int((found.random >= found.drop).sum()), int((found.random <= found.drop).sum())
    if state == "worse than random":
        return (
            f"{hiding}; {_of(as_little, n)} random maps as smooth do as little (p = {found.p_worse:.2g}). It marks "
            f"what matters least to the model: do not use it."
        )
    compared = f"{hiding}; {_of(as_much, n)} random maps as smooth do at least as much (p = {found.p:.2g})"
    if state == "follows":
        return f"{compared}. It follows what this model uses in this image."
    return f"{compared}. {_doubt(found, model, unmoved)}"


def _doubt(found: Hidden, model: Mapping[str, Any], unmoved: bool | None) -> str:
    if found.p > LEVEL:
        return "Whether it follows the model cannot be told."
    if found.drop <= 0:
        return "What it marks speaks against the class or does not matter, so it is no evidence for the class."
    if model.get("above_chance") is None:
        return "Whether that means anything cannot be told: how good the model is on test images is not known."
    if not model["above_chance"]:
        return "The model itself is not surely better than guessing, so what it follows may be chance."
    return "But it hardly changes when all weights of the tower are random: it may show the picture's structure."


def _moved(drop: float, name: str) -> str:
    if abs(drop) < 0.005:
        return f"leaves the log-odds of '{name}' as they are"
    return f"{'lowers' if drop > 0 else 'raises'} the log-odds of '{name}' by {abs(drop):.2f}"


def _of(count: int, n: int) -> str:
    return f"none of {n}" if count == 0 else f"{count} of {n}"
