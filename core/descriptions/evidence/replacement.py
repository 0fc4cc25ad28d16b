"""The replacement test: is a sentence better, or worse, than random words in its place?

A leave-one-out effect that is not zero says nothing of knowledge: any vector moves the few images it moves in one
direction. So each sentence is held against sentences of random words in its place. Where it is itself no more than
such a sentence, it is one draw among R + 1, and p = (1 + #{at least as good}) / (R + 1) holds exactly, whatever the
images. Credit is strict: to help, it has to be better than random words of both vocabularies, the larger p counts, so
that p holds for nonsense of either kind. Blame asks whether it is worse than words that mean nothing: everyday ones.

Two things are compared: the log-likelihood of the set, and the margin of the sentence itself, its mean cosine with the
images of its class less that with the images of the closest other class. The second finds sentences of another class
that a set of many outvotes; it is taken of what the sentence tells beside the name of its class, since a backbone that
knows the name looks at little else. Being worse in one of the two is enough, for which p is doubled (Bonferroni).

Most sentences are nothing extraordinary, which few random sentences show; only the others are held against more
(Besag and Clifford, Biometrika 1991): p is valid at each stage, since a sentence stops only with at least `FEW` better
ones, and its p is then larger than any that could come of going on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.descriptions.evidence.random_words import VOCABULARIES, Draw, Frame
from core.descriptions.evidence.scores import Place, SentenceScores
from core.errors import InvalidOption

LEVEL = 0.05
"""Share of wrong ones among the verdicts of one kind that is put up with."""
FIRST, MOST = 199, 9999
"""Random sentences that each sentence is held against at first, and that any is at most."""
FEW = 10
"""Fewer random sentences than this on the far side, and it is held against more."""
LEAST, LARGEST = 99, 99_999
"""Bounds of the number of replacements a person may ask for."""
STATISTICS = 2
"""A sentence may harm by log-likelihood or by margin."""


@dataclass(frozen=True)
class Tally:
    """How one sentence stands among R random ones of a vocabulary.

    better: those with which the set's log-likelihood is at least as high; worse: at most as high. smallest_effect:
    |change of log-likelihood by adding it| below which 95 % lie.
    """

    better: int
    worse: int
    count: int
    smallest_effect: float

    def p(self, beyond: int) -> float:
        """p of so many random sentences beyond."""
        return (1 + beyond) / (self.count + 1)


@dataclass(frozen=True)
class Tested:
    """One sentence against random words. tallies: one a vocabulary, in the order of `VOCABULARIES`.

    closer: how many everyday sentences have a margin that is at most as high as the sentence's.
    """

    tallies: tuple[Tally, ...]
    closer: int = 0

    @property
    def p_help(self) -> float:
        """p that its set is as good with random words in its place, of the vocabulary that speaks least for it."""
        return max(tally.p(tally.better) for tally in self.tallies)

    @property
    def _meaningless(self) -> Tally:
        return self.tallies[VOCABULARIES.index("everyday")]

    @property
    def p_effect(self) -> float:
        """p that its set is as bad with everyday words in its place."""
        return self._meaningless.p(self._meaningless.worse)

    @property
    def p_margin(self) -> float:
        """p that everyday words are as close to the images of another class."""
        return self._meaningless.p(self.closer)

    @property
    def p_harm(self) -> float:
        """The smaller of `p_effect` and `p_margin`, doubled because either is enough."""
        return min(1.0, STATISTICS * min(self.p_effect, self.p_margin))

    @property
    def count(self) -> int:
        """Random sentences of each vocabulary."""
        return self.tallies[0].count

    @property
    def smallest_effect(self) -> float:
        """95 % of random sentences change the log-likelihood by less, in nats; the larger of the vocabularies."""
        return max(tally.smallest_effect for tally in self.tallies)

    @property
    def is_extreme(self) -> bool:
        """Whether more random sentences could show that it is better, or worse, than they."""
        better = max(tally.better for tally in self.tallies)
        return min(better, self._meaningless.worse, self.closer) < FEW


def replacement_tests(
    scores: SentenceScores,
    draw: Draw,
    replacements: int = 999,
    progress: Callable[[int, int], None] | None = None,
) -> list[Tested]:
    """Each sentence of a set against random words in its place, in the order of `scores.places`.

    replacements: random sentences of each vocabulary for those that `FIRST` leave open; where too few are left for
    the correction over all sentences to pass any, these are held against up to `MOST`. progress: called with (settled,
    total) sentences. Raises InvalidOption for fewer than 99 replacements.
    """
    if not LEAST <= replacements <= LARGEST:
        raise InvalidOption(
            f"Between {LEAST} and {LARGEST:,} replacements, so that a small p can be told",
            f"found {replacements}",
            "Choose 999.",
        )
    places = scores.places
    found = [Tested(())] * len(places)
    open_ = list(range(len(places)))
    for count in (min(FIRST, replacements), replacements, 0):
        is_last, count = not count, count or _enough(len(places), len(open_), replacements)
        settled = len(places) - len(open_)
        for at in open_:
            if not found[at].tallies or found[at].count < count:
                found[at] = _tested(scores, places[at], draw, count)
            settled += is_last or not found[at].is_extreme
            if progress:
                progress(settled, len(places))
        open_ = [at for at in open_ if found[at].is_extreme]
    return found


def _enough(sentences: int, left: int, replacements: int) -> int:
    """Replacements with which all that are left could pass the correction, one random sentence beyond each."""
    needed = 2 * STATISTICS * sentences / (LEVEL * max(left, 1))
    return max(replacements, min(MOST, int(np.ceil(needed)) - 1))


def _tested(scores: SentenceScores, place: Place, draw: Draw, count: int) -> Tested:
    frame = Frame.of(scores.text(place), scores.classes[place.label])
    if not frame.words:  # nothing but the name: there is no word to replace
        return Tested((Tally(count, count, count, 0.0),) * len(VOCABULARIES), count)
    rest = scores.log_likelihood_without(place)
    tallies = tuple(_tally(scores, place, draw(frame, v, count), rest) for v in VOCABULARIES)
    return Tested(tallies, _closer(scores, place, draw, count))


def _tally(scores: SentenceScores, place: Place, features: np.ndarray, rest: float | None) -> Tally:
    replaced = scores.replaced(place, features)
    own = scores.log_likelihood
    # of the only sentence of a class there is no set without it: what counts is how far random words scatter
    centre = float(np.median(replaced)) if rest is None else rest
    return Tally(
        better=int((replaced >= own).sum()),
        worse=int((replaced <= own).sum()),
        count=len(features),
        smallest_effect=float(np.quantile(np.abs(replaced - centre), 0.95)),
    )


def _closer(scores: SentenceScores, place: Place, draw: Draw, count: int) -> int:
    """How many everyday sentences have a margin that is at most as high as the sentence's, all without its name."""
    text, name, feature = scores.told(place)
    margin = scores.margins(place.label, feature[None])[0]
    return int((scores.margins(place.label, draw(Frame.of(text, name), "everyday", count)) <= margin).sum())


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values in the given order: of those below 0.05, at most 5 % are wrong on average.

    The i-th smallest of m is multiplied by m / i and never exceeds a larger one's. Source: Benjamini and Hochberg,
    Journal of the Royal Statistical Society B 1995.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    raised = p[order] * p.size / np.arange(1, p.size + 1)
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return adjusted.tolist()
