"""How readers' decisions about a sentence make its state.

A decision belongs to the wording that was read. Each reader's latest one counts: all approve, and the sentence is
approved; all reject, and it is rejected; a flag, or readers who differ, ask for a second reader; nobody, and it is a
draft. A settlement overrules a disagreement and stays until somebody decides against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

DRAFT, APPROVED, REJECTED, SECOND_READER = "draft", "approved", "rejected", "needs_second_reader"
APPROVE, REJECT, FLAG = "approve", "reject", "flag"
STATE_OF = {APPROVE: APPROVED, REJECT: REJECTED, FLAG: SECOND_READER}
REASONS = ("not_visible", "wrong", "other_class", "vague", "repeats", "other")
"""Why a sentence is rejected, in the order of the keys 1 to 6. Never demanded; words of one's own are fine too."""


@dataclass(frozen=True)
class Standing:
    """A reader's decision that counts: approve, reject or flag, and why, where the reader said so.

    at: ISO moment. seconds: from seeing the sentence to deciding, where known. order: sorts by when it was made.
    """

    reader: str
    decision: str
    reason: str | None = None
    at: str | None = None
    seconds: float | None = None
    order: str = ""


def state_of(decisions: Iterable[str]) -> str:
    """The state that decisions make, one a reader.

    >>> state_of([]), state_of(["approve", "approve"]), state_of(["approve", "reject"]), state_of(["flag"])
    ('draft', 'approved', 'needs_second_reader', 'needs_second_reader')
    """
    found = set(decisions)
    if not found:
        return DRAFT
    return STATE_OF[found.pop()] if len(found) == 1 else SECOND_READER


@dataclass(frozen=True)
class Event:
    """Something that was done about the wording of a sentence: a decision, None where a reader took one back, or a
    settlement (approved or rejected, with a reason)."""

    reader: str
    decision: Standing | None = None
    settled: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Judgement:
    """What events make of a sentence: its state, why, and each reader's decision that counts."""

    state: str = DRAFT
    reason: str | None = None
    standing: dict[str, Standing] = field(default_factory=dict)

    def after(self, event: Event) -> Judgement:
        """The judgement once an event is added."""
        if event.settled:
            return Judgement(event.settled, event.reason, self.standing)
        kept = {reader: each for reader, each in self.standing.items() if reader != event.reader}
        standing = kept if event.decision is None else kept | {event.reader: event.decision}
        if self.is_settled and (event.decision is None or STATE_OF[event.decision.decision] == self.state):
            return Judgement(self.state, self.reason, standing)
        state = state_of(each.decision for each in standing.values())
        return Judgement(state, reason_of(state, standing), standing)

    @property
    def is_settled(self) -> bool:
        """Whether the state is not the one that the decisions give."""
        return self.state != state_of(each.decision for each in self.standing.values())


def judge(events: Iterable[Event]) -> Judgement:
    """The judgement that events make, one after the other."""
    judgement = Judgement()
    for event in events:
        judgement = judgement.after(event)
    return judgement


def reason_of(state: str, standing: Mapping[str, Standing]) -> str | None:
    """The latest reason that readers gave for not approving; None for a sentence that stands approved or undecided."""
    if state in (DRAFT, APPROVED):
        return None
    said = [each for each in standing.values() if each.decision != APPROVE and each.reason]
    return max(said, key=lambda each: each.order).reason if said else None
