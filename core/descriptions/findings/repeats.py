"""Sentences that stand twice, and those that say nearly the same.

Two sentences are the same where they hold the same words as often, in whatever order, case and punctuation; except
that "a dark centre with a bright rim" is not "a bright centre with a dark rim": words of opposite meaning must stand
before the same word. Nearly the same: of all content words of both, class names left out, at least SAME_WORDS in both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from itertools import pairwise
from math import ceil

from core.descriptions.findings.word_lists import word_list
from core.descriptions.findings.words import content, is_function_word, plain_words

SAME_WORDS = 0.7
FEWEST_WORDS = 3
"""Fewer content words than these are too little to call two sentences alike."""

Key = tuple[tuple[str, ...], frozenset[tuple[str, str]]]


def sentence_key(text: str) -> Key:
    """Equal for sentences that are the same but for case, punctuation and the order of their parts."""
    words = plain_words(text)
    turns = word_list("opposites")
    bound = {
        pair for pair in pairwise(words) if pair[0] in turns and not (pair[1] in turns or is_function_word(pair[1]))
    }
    return tuple(sorted(words)), frozenset(bound)


def repeats(texts: Sequence[str]) -> list[int]:
    """How often each sentence stands among the texts, itself included."""
    keys = [sentence_key(text) for text in texts]
    times = Counter(keys)
    return [times[key] for key in keys]


def alike(texts: Sequence[str], left_out: Collection[str] = ()) -> list[int | None]:
    """For each text the place of the one most like it, or None. Texts that are the same do not count.

    left_out: stems of class names. Only texts that share one of their rarest words are compared: two sets of words
    that have the share SAME_WORDS in common must meet among the rarest 1 - SAME_WORDS of each.
    """
    found = [frozenset(content(text)) - frozenset(left_out) for text in texts]
    keys = [sentence_key(text) for text in texts]
    how_many = Counter(word for words in found for word in words)
    places: dict[str, list[int]] = defaultdict(list)
    best: list[tuple[float, int] | None] = [None] * len(texts)
    for place, words in enumerate(found):
        if len(words) < FEWEST_WORDS:
            continue
        rarest = sorted(words, key=lambda word: (how_many[word], word))
        rarest = rarest[: len(words) - ceil(SAME_WORDS * len(words)) + 1]
        for other in {other for word in rarest for other in places[word]}:
            share = len(words & found[other]) / len(words | found[other])
            if share >= SAME_WORDS and keys[place] != keys[other]:
                best[place] = max(best[place] or (0.0, 0), (share, other))
                best[other] = max(best[other] or (0.0, 0), (share, place))
        for word in rarest:
            places[word].append(place)
    return [None if each is None else each[1] for each in best]
