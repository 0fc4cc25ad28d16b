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

from core.explain.explainer import flat_reason
from core.explain.hiding import Probed
from core.explain.random_maps import marked_cells, placed_means
from core.explain.randomised import ALIKE

FRACTIONS = (0.02, 0.05, 0.10)
"""Of the patches: so many of the most marked ones are looked at, and the drop at a map is the mean over the three."""
LEVEL = 0.05
"""A p-value up to this counts as small."""
SAME = 1e-9
"""Drops that differ by less count as equal: a map of one patch has placements that mark the same patch."""
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
class Compared:
    """Mean drops of the class's log-odds, above 0 where hiding lowers them, over squares on what is marked.

    own: (fractions,), of the map. drop: their mean. random: (random maps,), the same mean at placements of the map.
    patches: (fractions,), how many are marked.
    """

    own: tuple[float, ...]
    drop: float
    random: np.ndarray
    patches: tuple[int, ...]

    @property
    def as_much(self) -> int:
        """Random maps that do at least as much."""
        return int((self.random >= self.drop - SAME).sum())

    @property
    def as_little(self) -> int:
        """Random maps that do no more."""
        return int((self.random <= self.drop + SAME).sum())

    @property
    def p(self) -> float:
        """Part of random maps, the map itself among them, that do at least as much."""
        return (1 + self.as_much) / (1 + self.random.size)

    @property
    def p_worse(self) -> float:
        """Part of random maps, the map itself among them, that do no more."""
        return (1 + self.as_little) / (1 + self.random.size)


def compare(values: np.ndarray, drops: np.ndarray, seed: int = 0) -> Compared:
    """Holds a map with evidence above 0 against all its placements. One seed orders cells of equal value in one way.

    Only cells above 0 are marked, so there may be fewer than the fractions say. values, drops: (rows, columns), the map
    and by how much hiding a square over a patch lowers the class's log-odds.
    """
    there = np.isfinite(values)
    counts = [max(1, round(fraction * int(there.sum()))) for fraction in FRACTIONS]
    strongest = marked_cells(values, counts, np.random.default_rng(seed))
    marks = [cells[values.ravel()[cells] > 0] for cells in strongest]
    weights = np.zeros(values.size)
    for cells in marks:
        weights[cells] += 1 / (len(cells) * len(marks))
    means = placed_means(weights.reshape(values.shape), np.where(there, drops, np.nan))
    own = tuple(float(drops.ravel()[cells].mean()) for cells in marks)
    return Compared(own, float(np.mean(own)), means[1:], tuple(len(cells) for cells in marks))


def examine(
    classes: Sequence[str],
    shown: ShownMap,
    probed: Probed,
    model: Mapping[str, Any],
    randomised: Sequence[Mapping[str, Any]] = (),
    unpainted: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What is known of one shown map, JSON-ready: its state, p-values, drops and a sentence.

    classes: names in label order. probed: what hiding squares of this image does. model: `standing` of the classifier.
    randomised: rows of `cascade` for this map. unpainted: why it is not painted, so that there is nothing to test. A
    map is said to follow the model only where hiding what it marks lowers the log-odds, p is small, the model beats
    guessing by its card, and the map changes when the whole tower is random.
    """
    name = classes[shown.class_index]
    head = {"kind": shown.kind, "title": shown.title, "class": name, "per_class": shown.per_class}
    reason = flat_reason(shown.values) or ("no value is above 0" if np.nanmax(shown.values) <= 0 else None)
    if unpainted is not None or reason is not None:
        return head | {"state": "not tested", "sentence": unpainted or f"The map marks nothing: {reason}."}
    found = compare(shown.values, probed.drops(shown.class_index), seed)
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
        "squares": len(probed.squares),
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


def state_of(found: Compared, above_chance: bool | None, unmoved: bool | None = None) -> State:
    """Follows, cannot tell, or worse than random."""
    if found.p_worse <= LEVEL:
        return "worse than random"
    if found.p <= LEVEL and found.drop > 0 and above_chance and not unmoved:
        return "follows"
    return "cannot tell"


def sentence(found: Compared, name: str, model: Mapping[str, Any], unmoved: bool | None) -> str:
    """What was found and what follows from it."""
    hiding = f"Hiding squares where it marks most {_moved(found.drop, name)} on average"
    n, state = found.random.size, state_of(found, model.get("above_chance"), unmoved)
    if state == "worse than random":
        return (
            f"{hiding}; {_of(found.as_little, n)} random maps as smooth do as little (p = {found.p_worse:.2g}). It "
            f"marks what matters least to the model or speaks against the class: do not use it."
        )
    compared = f"{hiding}; {_of(found.as_much, n)} random maps as smooth do at least as much (p = {found.p:.2g})"
    if state == "follows":
        return f"{compared}. It follows what this model uses in this image."
    return f"{compared}. {_doubt(found, model, unmoved)}"


def _doubt(found: Compared, model: Mapping[str, Any], unmoved: bool | None) -> str:
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
