"""A whole wording saved at once: compared with the sentences of the set, and linked with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.records.description_tables import DescriptionSentenceRow
from core.records.sentence_writing import Change, NewSentence, write_action, write_new
from core.records.sentences import Sentence, load_sentences

Key = tuple[str, str, int]


def save_wording(
    session: Session,
    set_id: str,
    wording: Mapping[str, Sequence[str]],
    *,
    author: str,
    source: str,
    note: str = "",
    edited_version: str | None = None,
) -> list[tuple[str, int]]:
    """Bring the sentences of a set in line with a wording, as one action: (id, revision) of each, in its order.

    Sentences of the wording that the set lacks are added by the author; those taken out earlier are put back; those
    of `edited_version` (its id) that the wording lacks are taken out. What nobody saw there stays: sentences added
    since, and rejected ones. The set is held already.
    """
    known = _known(load_sentences(session, set_id, withdrawn=None))
    keys = list(keyed((label, text.strip()) for label, texts in wording.items() for text in texts))
    dropped = _sentences_of(session, edited_version) - {known[key].id for key in keys if key in known}
    changes = [_withdrawn(known[key], False) for key in keys if key in known and known[key].withdrawn]
    changes += [_withdrawn(each, True) for each in known.values() if each.id in dropped and not each.withdrawn]
    kind, origin = author_of(source)
    new = {key: NewSentence(key[0], key[1], kind, author, origin) for key in keys if key not in known}
    changed = len(changes) + len(new)
    action = write_action(session, set_id, "save", author, changes, changed=changed, note=note)
    ids = dict(zip(new, write_new(session, set_id, action["id"], list(new.values())), strict=True))
    numbers = {change.before.id: change.before.revision + 1 for change in changes}
    return [
        (ids[key], 1) if key in ids else (known[key].id, numbers.get(known[key].id, known[key].revision))
        for key in keys
    ]


def author_of(source: str) -> tuple[str, dict[str, Any] | None]:
    """(kind of author, origin) of sentences that came with a version's source."""
    for kind in ("file", "pack"):
        if source.startswith(f"{kind}:"):
            return kind, {kind: source.removeprefix(f"{kind}:")}
    return ("template" if source == "templates" else "person"), None


def keyed(wording: Iterator[tuple[str, str]]) -> Iterator[Key]:
    """(class, text, how many of the same came before)."""
    seen: Counter[tuple[str, str]] = Counter()
    for words in wording:
        yield (*words, seen[words])
        seen[words] += 1


def _known(sentences: Sequence[Sentence]) -> dict[Key, Sentence]:
    """Sentences by their words; of equal ones those in the set come before those taken out."""
    real = sorted((each for each in sentences if not each.planted), key=lambda each: (each.withdrawn, each.position))
    return dict(zip(keyed((each.class_name, each.text) for each in real), real, strict=True))


def _sentences_of(session: Session, version_id: str | None) -> set[str]:
    table = DescriptionSentenceRow
    query = select(table.description_id).where(table.version_id == version_id, table.description_id.is_not(None))
    return {id_ for id_ in session.scalars(query) if id_} if version_id else set()


def _withdrawn(sentence: Sentence, withdrawn: bool) -> Change:
    return Change(sentence, sentence.class_name, sentence.text, sentence.state, sentence.reason, withdrawn=withdrawn)
