"""Where a text tower stops reading a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class CountsTokens(Protocol):
    """A backbone, or its tokenizer alone: how long texts are for it, and how long they may be."""

    name: str
    context_length: int

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, start and end included."""


@dataclass(frozen=True)
class TokenCount:
    """Tokens of one sentence on one backbone, start and end included. lost: the words that fall off, "" for none."""

    tokens: int
    limit: int
    lost: str


def token_counts(texts: Sequence[str], backbone: CountsTokens) -> list[TokenCount]:
    """Length of each text on a backbone, and the words beyond what its text tower reads.

    A word that is cut in the middle counts as lost.
    """
    limit = backbone.context_length
    return [
        TokenCount(tokens, limit, _lost(text, backbone) if tokens > limit else "")
        for text, tokens in zip(texts, backbone.count_tokens(texts), strict=True)
    ]


def _lost(text: str, backbone: CountsTokens) -> str:
    words = text.split()
    kept, beyond = 0, len(words)
    while beyond - kept > 1:
        middle = (kept + beyond) // 2
        fits = backbone.count_tokens([" ".join(words[:middle])])[0] <= backbone.context_length
        kept, beyond = (middle, beyond) if fits else (kept, middle)
    return " ".join(words[kept:])
