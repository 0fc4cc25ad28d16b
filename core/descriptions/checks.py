"""Checks of class descriptions that a person should see before relying on them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from core.descriptions.description_set import DescriptionSet

NOT_VISIBLE = (
    "treatment", "therapy", "surgery", "surgical", "medication", "prescribed", "chemotherapy", "symptom", "pain",
    "painful", "itching", "itchy", "fever", "cough", "fatigue", "headache", "nausea", "history", "genetic", "mutation",
    "inherited", "hereditary", "prognosis", "survival", "biopsy", "laboratory", "blood test", "incidence", "prevalence",
    "risk factor", "vaccin", "smoking", "lifestyle", "asymptomatic",
)  # fmt: skip
"""Words for things no image shows."""


class CountsTokens(Protocol):
    """A backbone, or its tokenizer alone: how long texts are for it, and how long they may be."""

    context_length: int

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, start and end included."""


@dataclass(frozen=True)
class Finding:
    """One remark about one sentence. finding: duplicate, not_visible, class_missing or too_long."""

    class_name: str
    sentence: str
    finding: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        """JSON form; the key of the class is "class"."""
        row = asdict(self)
        return {"class": row.pop("class_name"), **row}


def check_descriptions(descriptions: DescriptionSet, backbone: CountsTokens | None = None) -> list[Finding]:
    """All findings, class by class. With a backbone, texts longer than its context are found too."""
    repeats = Counter(_plain(text) for texts in descriptions.sentences.values() for text in texts)
    rows = [(name, text) for name, texts in descriptions.sentences.items() for text in texts]
    findings = [found for name, text in rows for found in _check(name, text, repeats[_plain(text)])]
    if backbone is not None and rows:
        lengths = backbone.count_tokens([text for _, text in rows])
        limit = backbone.context_length
        findings += [
            Finding(name, text, "too_long", f"{length} tokens; the text tower reads {limit}")
            for (name, text), length in zip(rows, lengths, strict=True)
            if length > limit
        ]
    return findings


def _check(name: str, text: str, times: int) -> list[Finding]:
    plain = _plain(text)
    findings = []
    if times > 1:
        findings.append(Finding(name, text, "duplicate", f"stands {times} times in the set"))
    hidden = [word for word in NOT_VISIBLE if re.search(rf"\b{word}", plain)]
    if hidden:
        findings.append(Finding(name, text, "not_visible", f"speaks of {', '.join(hidden)}, which no image shows"))
    if _plain(name) not in plain:
        findings.append(Finding(name, text, "class_missing", "does not name its class"))
    return findings


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
