"""Sentences that tell of their class what others tell of another one, whatever class they name.

A naive Bayes of words and pairs of neighbouring words, names of classes left out. It has learned from the sentences of
a built-in pack where that describes the classes, else from the other sentences of the set itself, the judged one left
out. In the second case a class is judged only where its sentences know each other: where each speaks of another
feature, as it should, their words are new to the class anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log1p

from core.descriptions.findings.deviation import robust_deviations
from core.descriptions.findings.words import content

SMOOTHING = 2.0
"""So many sentences that use words as the whole set does are added to each class."""
LEAST_MARGIN = 4.0
"""Natural logarithm of how much likelier another class must be, over all words of a sentence."""
LEAST_DEVIATION = 1.5
"""By so many deviations a sentence must be unlike those of its class, where no pack tells what these speak of."""
FEWEST_SENTENCES = 5
"""A class with fewer has no wording to speak of."""
LEAST_RECOGNISED = 0.5
"""So many sentences must be likeliest under their own class. A pack that does not reach that speaks of other things
under the same names ("benign", "malignant"); a class that does not has no wording of its own."""
SHOWN_WORDS = 3


@dataclass(frozen=True)
class Told:
    """Which class a sentence tells of, and how much likelier that is (a logarithm); if it is, by which words."""

    class_name: str
    words: tuple[str, ...]
    margin: float


Row = tuple[str, str]
"""A class and one of its sentences."""
Found = list[Told | None]


class Wording:
    """Which words the sentences of each class use. sentences: class -> sentences; left_out: stems of class names."""

    def __init__(self, sentences: Mapping[str, Sequence[str]], left_out: Collection[str]) -> None:
        self._left_out = frozenset(left_out)
        self._sizes = {name: len(texts) for name, texts in sentences.items()}
        self._times: dict[str, Counter[str]] = {}
        for name, texts in sentences.items():
            for text in texts:
                for word in self._words(text):
                    self._times.setdefault(word, Counter())[name] += 1

    def told(self, text: str, own: str, is_learned: bool) -> Told:
        """The class other than `own` that a sentence tells of most. Its margin is negative where `own` is likelier.

        is_learned: whether the sentence is among those of `own` that this has learned from; it is then left out.
        """
        sizes = {name: size - (is_learned and name == own) for name, size in self._sizes.items()}
        total, words = sum(sizes.values()), 0
        scores, gains = dict.fromkeys(sizes, 0.0), dict[str, dict[str, float]]()
        for word in self._words(text):
            found = self._times.get(word)
            times = found.total() - is_learned if found else 0
            if not (found and times):
                continue
            words, usual = words + 1, SMOOTHING * times / total
            gains[word] = {name: log1p((n - (is_learned and name == own)) / usual) for name, n in found.items()}
            for name, gain in gains[word].items():
                scores[name] += gain
        for name, size in sizes.items():
            scores[name] -= words * log1p(size / SMOOTHING)
        best = max((name for name in scores if name != own), key=scores.__getitem__)
        margin = scores[best] - scores[own]
        return Told(best, _telling(gains, best, own) if margin > 0 else (), margin)

    def _words(self, text: str) -> frozenset[str]:
        words = [word for word in content(text) if word not in self._left_out]
        return frozenset(words) | {" ".join(pair) for pair in pairwise(words)}


def told_by_pack(rows: Sequence[Row], pack: Mapping[str, Sequence[str]], left_out: Collection[str]) -> Found | None:
    """For each sentence the other class it tells of, or None, by the sentences of a pack of these classes.

    Of classes that the pack does not describe the other sentences of the set decide. None for all where the pack does
    not know the wording of the set.
    """
    described = [place for place, (name, _) in enumerate(rows) if name in pack]
    if len(pack) < 2 or not described:
        return None
    wording = Wording(pack, left_out)
    found = {place: wording.told(rows[place][1], rows[place][0], is_learned=False) for place in described}
    if not is_recognised([each.margin for each in found.values()]):
        return None
    others: list[Told | None] = [None] * len(rows)
    if len(described) < len(rows):
        others = told_by_others(rows, left_out)
    for place, each in found.items():
        others[place] = each if each.margin > LEAST_MARGIN else None
    return others


def told_by_others(rows: Sequence[Row], left_out: Collection[str]) -> Found:
    """The same by the other sentences of the set; classes of fewer than FEWEST_SENTENCES stay out of it."""
    sizes = Counter(name for name, _ in rows)
    judged = {name: [text for own, text in rows if own == name] for name in sizes if sizes[name] >= FEWEST_SENTENCES}
    told: dict[Row, Told] = {}
    if len(judged) > 1:
        wording = Wording(judged, left_out)
        for name, texts in judged.items():
            found = [wording.told(text, name, is_learned=True) for text in texts]
            for place in strangers([each.margin for each in found], LEAST_MARGIN, LEAST_DEVIATION):
                told[name, texts[place]] = found[place]
    return [told.get(row) for row in rows]


def strangers(margins: Sequence[float], least: float, deviations: float) -> list[int]:
    """Places of the sentences of one class that another class fits better by more than `least`.

    margins: how much better another class fits, for each sentence of the class. None where the class has no wording
    of its own; deviations: by so many the margin must lie beyond the median.
    """
    if not is_recognised(margins):
        return []
    away = robust_deviations([-each for each in margins])
    return [place for place, each in enumerate(margins) if each > least and away[place] > deviations]


def is_recognised(margins: Sequence[float]) -> bool:
    """Whether enough sentences fit their own class best. margins: how much better another class fits each."""
    return sum(each < 0 for each in margins) >= LEAST_RECOGNISED * len(margins)


def _telling(gains: Mapping[str, Mapping[str, float]], best: str, own: str) -> tuple[str, ...]:
    """The words and pairs that speak most for one class against another, none that another one holds."""
    most = {word: found.get(best, 0.0) - found.get(own, 0.0) for word, found in gains.items()}
    kept: list[str] = []
    for word in sorted(most, key=lambda word: (-most[word], word)):
        if most[word] > 0 and not any(set(word.split()) & set(other.split()) for other in kept):
            kept.append(word)
    return tuple(kept[:SHOWN_WORDS])
