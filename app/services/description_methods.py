"""The methods section of a description set: how its sentences were written and reviewed, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.services.context import Context
from app.services.description_agreement import agreement_of
from core.descriptions.methods_section import ReviewFacts, methods_section
from core.records import description_exports, sentence_history
from core.records.description_versions import newest_signature
from core.records.sentence_summary import readers_of
from core.records.sentences import Sentence, classes_of, find_set, load_sentences


def methods_text(ctx: Context, set_id: str) -> str:
    """What is known of how the sentences of a set were written and reviewed, and what is not. Raises NotFound."""
    agreement = agreement_of(ctx, set_id)
    with ctx.db.reading() as session:
        name, classes = find_set(session, set_id).name, classes_of(session, set_id)
        everything = [each for each in load_sentences(session, set_id, withdrawn=None) if not each.planted]
        first = sentence_history.first_wordings(session, set_id)
        signed = _signed(session, set_id, classes)
    there = [each for each in everything if not each.withdrawn]
    facts = ReviewFacts(
        name=name,
        classes=len({each.class_name for each in everything}),
        sources=_sources(everything),
        states=Counter(each.state for each in there),
        edited=sum((each.class_name, each.text) != first[each.id] for each in everything),
        removed=len(everything) - len(there),
        readers=readers_of(there),
        reviewed=sum(bool(each.standing) for each in there),
        seconds=[s.seconds for each in there for s in each.standing.values() if s.seconds is not None],
        agreement=agreement,
        catches=agreement["catch"],
        signed=signed,
    )
    return methods_section(facts)


def _sources(sentences: Sequence[Sentence]) -> dict[tuple[str, str], int]:
    return dict(Counter((each.author_kind, each.author) for each in sentences).most_common())


def _signed(session: Session, set_id: str, classes: Sequence[str]) -> tuple[int, str, str, int] | None:
    found = newest_signature(session, set_id)
    if found is None:
        return None
    version, who, day = found
    return version, who, day, len(description_exports.rows(session, set_id, version, classes))
