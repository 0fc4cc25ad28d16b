"""How far readers of class descriptions agree: percent, Cohen's kappa, Gwet's AC1, Krippendorff's alpha.

When nearly all agree kappa falls to nothing although readers hardly differ (the kappa paradox); AC1 does not, which is
why both are told. Sources: Cohen 1960; Gwet, British Journal of Mathematical and Statistical Psychology 2008;
Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011 (nominal data).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

DECISIONS = ("approve", "reject", "flag")
RESAMPLES = 2000
LEAST_SENTENCES = 10
"""Of fewer sentences no interval is told: it would be far too narrow."""
LEVEL = 0.95
Floats = NDArray[np.float64]
Tables = NDArray[np.int64]


@dataclass(frozen=True)
class Readings:
    """What readers decided. decisions: {reader: {sentence: decision}}. classes: {sentence: its class}."""

    decisions: Mapping[str, Mapping[str, str]]
    classes: Mapping[str, str]

    def shared(self, *readers: str) -> list[str]:
        """Sentences that all of these readers decided about, in the order of `classes`."""
        return [id_ for id_ in self.classes if all(id_ in self.decisions[reader] for reader in readers)]


def agreement(readings: Readings, seed: int = 1) -> dict[str, Any]:
    """Agreement of each pair of readers, overall and by class, and of all together where there are more than two.

    {pairs: [{a, b, n, percent, kappa, ac1, each with _low and _high, per_class, disagreements}], several: {n, readers,
    percent, alpha, ac1, ...} or None}. All are fractions, kappa, AC1 and alpha from -1 to 1; None where they are not
    defined, intervals (95 %, bootstrap over sentences within classes) also for fewer than 10 sentences. disagreements:
    sentences the two decided about differently.
    """
    readers = sorted(readings.decisions)
    return {
        "pairs": [_pair(readings, a, b, seed) for a, b in combinations(readers, 2)],
        "several": _several(readings, readers, seed) if len(readers) > 2 else None,
    }


def two_readers(tables: Tables) -> dict[str, Floats]:
    """percent, kappa and ac1 of tables (..., q, q): how often a said k and b said l. NaN where not defined.

    q is the number of categories that AC1 corrects chance for.
    """
    n = tables.sum((-2, -1)).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows, columns = tables.sum(-1) / n[..., None], tables.sum(-2) / n[..., None]
        share = np.trace(tables, axis1=-2, axis2=-1) / n
        kappa = _corrected(share, (rows * columns).sum(-1))
        mean = (rows + columns) / 2
        ac1 = _corrected(share, (mean * (1 - mean)).sum(-1) / (tables.shape[-1] - 1))
    return {"percent": share, "kappa": kappa, "ac1": ac1}


def several_readers(counts: Tables, weights: NDArray[Any]) -> dict[str, Floats]:
    """percent, alpha (Krippendorff, nominal) and ac1 (Gwet, several raters); NaN where not defined.

    counts: (sentences, q), how many readers decided what, at least two a sentence. weights: (..., sentences), how often
    each sentence counts.
    """
    reads = counts.sum(1).astype(float)
    agreeing = (counts * (counts - 1)).sum(1) / (reads * (reads - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        n = weights.sum(-1).astype(float)
        share = weights @ agreeing / n
        mean = weights @ (counts / reads[:, None]) / n[..., None]
        ac1 = _corrected(share, (mean * (1 - mean)).sum(-1) / (counts.shape[1] - 1))
        each, all_ = (weights @ counts).astype(float), weights @ reads
        differing = weights @ (reads * (1 - agreeing))
        alpha = 1 - (all_ - 1) * differing / (all_**2 - (each**2).sum(-1))
    return {"percent": share, "alpha": alpha, "ac1": ac1}


def _corrected(share: Floats, chance: Floats) -> Floats:
    """Agreement beyond chance; NaN where chance alone explains everything."""
    return np.where(chance < 1, (share - chance) / np.where(chance < 1, 1 - chance, 1), np.nan)


def _pair(readings: Readings, a: str, b: str, seed: int) -> dict[str, Any]:
    ids = readings.shared(a, b)
    said = [(readings.decisions[a][id_], readings.decisions[b][id_]) for id_ in ids]
    words = _used([word for pair in said for word in pair])
    by_class: dict[str, Tables] = {}
    for id_, (first, second) in zip(ids, said, strict=True):
        table = by_class.setdefault(readings.classes[id_], np.zeros((len(words), len(words)), np.int64))
        table[words.index(first), words.index(second)] += 1
    return {
        "a": a,
        "b": b,
        **_told_pair(list(by_class.values()), seed),
        "per_class": [{"class": name, **_told_pair([table], seed)} for name, table in by_class.items()],
        "disagreements": [id_ for id_, (first, second) in zip(ids, said, strict=True) if first != second],
    }


def _told_pair(tables: Sequence[Tables], seed: int) -> dict[str, Any]:
    """Agreement over classes, one table each; resampled within them."""
    n = int(sum(int(table.sum()) for table in tables))
    if not n:
        return {"n": 0, **{name: None for each in ("percent", "kappa", "ac1") for name in _names(each)}}
    values = two_readers(np.sum(tables, axis=0))
    if n < LEAST_SENTENCES:
        return {"n": n, **_told(values, None)}
    draw = np.random.default_rng(seed)
    # Drawing sentences of a class with replacement is drawing its table from a multinomial distribution.
    drawn = [draw.multinomial(int(table.sum()), table.ravel() / table.sum(), RESAMPLES) for table in tables]
    resampled = np.sum(drawn, axis=0).reshape(RESAMPLES, *tables[0].shape)
    return {"n": n, **_told(values, two_readers(resampled))}


def _several(readings: Readings, readers: Sequence[str], seed: int) -> dict[str, Any] | None:
    said = {
        id_: found
        for id_ in readings.classes
        if len(found := [readings.decisions[r][id_] for r in readers if id_ in readings.decisions[r]]) > 1
    }
    if not said:
        return None
    words = _used([word for found in said.values() for word in found])
    counts = np.array([[found.count(word) for word in words] for found in said.values()], np.int64)
    values = several_readers(counts, np.ones(len(counts), np.int64))
    resampled = None
    if len(said) >= LEAST_SENTENCES:
        resampled = several_readers(counts, _weights([readings.classes[id_] for id_ in said], seed))
    return {"n": len(said), "readers": len(readers), **_told(values, resampled)}


def _weights(classes: Sequence[str], seed: int) -> NDArray[Any]:
    """(RESAMPLES, sentences): how often each is drawn, with replacement within its class."""
    draw = np.random.default_rng(seed)
    names = np.array(classes)
    weights = np.zeros((RESAMPLES, len(names)), np.int64)
    for name in dict.fromkeys(classes):
        places = np.flatnonzero(names == name)
        weights[:, places] = draw.multinomial(len(places), np.full(len(places), 1 / len(places)), RESAMPLES)
    return weights


def _used(words: Sequence[str]) -> list[str]:
    """The decisions that somebody took; two at least, since AC1 asks by how many chance is shared."""
    found = [word for word in DECISIONS if word in words]
    rest = [word for word in DECISIONS if word not in found]
    return [*found, *rest[: max(0, 2 - len(found))]]


def _told(values: Mapping[str, Floats], resampled: Mapping[str, Floats] | None) -> dict[str, float | None]:
    told: dict[str, float | None] = {}
    for name, value in values.items():
        told[name] = float(value) if np.isfinite(value) else None
        low, high = (None, None) if resampled is None or told[name] is None else _interval(resampled[name])
        told |= {f"{name}_low": low, f"{name}_high": high}
    return told


def _interval(drawn: Floats) -> tuple[float | None, float | None]:
    """Percentiles; None where no resample differs, which says nothing of how sure the number is."""
    defined = drawn[np.isfinite(drawn)]
    if not len(defined) or np.ptp(defined) == 0:
        return None, None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _names(value: str) -> tuple[str, str, str]:
    return value, f"{value}_low", f"{value}_high"
