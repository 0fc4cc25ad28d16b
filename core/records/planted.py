"""Sentences planted wrong on purpose among those that readers review, to see whether they notice.

A planted sentence is one of another class under this class's name, or speaks of treatment or symptoms. It stands among
the sentences of the class it is dealt to and bears the author, the age and the place of one of them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.descriptions.review import REJECTED
from core.errors import Conflict
from core.records.description_tables import DescriptionActionRow, DescriptionRevisionRow, DescriptionRow
from core.records.ids import new_id
from core.records.sentence_writing import Change, NewSentence, write_action, write_new
from core.records.sentences import Sentence, hold_set, load_sentences

PLANT, UNPLANT = "plant", "unplant"
PLANTING = (PLANT, UNPLANT)
NOT_VISIBLE_EVERY = 4
"""Of so many planted sentences one speaks of what no image shows."""
NOT_VISIBLE_FRAMES = (
    "{name} is usually treated with surgery followed by medication.",
    "Patients with {name} often report pain and fatigue for several weeks.",
    "{name} responds well to therapy when it is found early.",
    "A family history and certain genetic mutations raise the risk of {name}.",
    "People with {name} commonly complain of headache and nausea.",
    "{name} is confirmed by biopsy and laboratory tests.",
)
TIME_LENGTH = 10
"""So many characters of an id say when it was made."""


def plant(session: Session, set_id: str, actor: str, n: int, seed: int) -> dict[str, Any]:
    """Plant n sentences, drawn by the seed, as one action: the action.

    Raises NotFound, Conflict without two classes, or with fewer sentences that were not planted before.
    """
    hold_set(session, set_id)
    everything = load_sentences(session, set_id)
    real = [each for each in everything if not each.planted and each.state != REJECTED]
    known = {each.text for each in everything}
    draw = random.Random(seed)
    dealt = [found for each in draw.sample(real, len(real)) if (found := _dealt(each, real, draw))]
    frames = [each for each in (_unseen(frame, real, draw) for frame in NOT_VISIBLE_FRAMES) if each]
    chosen = _mixed([pair for pair in dealt if pair[0] not in known], [f for f in frames if f[0] not in known], n)
    if len(chosen) < n:
        raise Conflict(
            "Sentences of at least two classes to plant from",
            f"they give {len(chosen)}; {n} were asked for",
            "Plant fewer, or write more sentences first.",
        )
    kinds = _first_kinds(session, [neighbour for _, neighbour in chosen])
    action = write_action(session, set_id, PLANT, actor, changed=n, note=f"seed {seed}")
    places = _positions(session, set_id)
    new = [_planted(text, neighbour, kinds[neighbour.id], places[neighbour.id]) for text, neighbour in chosen]
    write_new(session, set_id, action["id"], new)
    return action


def unplant(session: Session, set_id: str, actor: str) -> dict[str, Any]:
    """Take all planted sentences out: the action. Raises NotFound, Conflict where none is there."""
    hold_set(session, set_id)
    planted = [each for each in load_sentences(session, set_id) if each.planted]
    if not planted:
        raise Conflict("Planted sentences to take out", "there are none", "Nothing has to be done.")
    changes = [Change(p, p.class_name, p.text, p.state, p.reason, withdrawn=True) for p in planted]
    return write_action(session, set_id, UNPLANT, actor, changes)


def _dealt(sentence: Sentence, real: Sequence[Sentence], draw: random.Random) -> tuple[str, Sentence] | None:
    """The words of a sentence about another class, and the sentence of that class it is put behind."""
    others = [each for each in real if each.class_name != sentence.class_name]
    if not others:
        return None
    neighbour = draw.choice(others)
    name = re.compile(rf"(?<!\w){re.escape(sentence.class_name)}(?!\w)", re.IGNORECASE)
    return name.sub(lambda _: neighbour.class_name, sentence.text), neighbour


def _unseen(frame: str, real: Sequence[Sentence], draw: random.Random) -> tuple[str, Sentence] | None:
    if not real:
        return None
    neighbour = draw.choice(real)
    text = frame.format(name=neighbour.class_name)
    return text[0].upper() + text[1:], neighbour


def _mixed(dealt: list[tuple[str, Sentence]], frames: list[tuple[str, Sentence]], n: int) -> list[tuple[str, Sentence]]:
    share = min(len(frames), n // NOT_VISIBLE_EVERY)
    distinct = {text: (text, neighbour) for text, neighbour in [*frames[:share], *dealt]}
    return list(distinct.values())[:n]


def _first_kinds(session: Session, neighbours: Sequence[Sentence]) -> dict[str, tuple[str, str, str]]:
    """{sentence: (kind, actor, ISO moment) of the action that added it}."""
    revision, action = DescriptionRevisionRow, DescriptionActionRow
    query = select(revision.description_id, action.kind, action.actor, action.created_at)
    query = query.join(action, action.id == revision.action_id).where(revision.number == 1)
    rows = session.execute(query.where(revision.description_id.in_({each.id for each in neighbours})))
    return {id_: (kind, actor, at.isoformat()) for id_, kind, actor, at in rows}


def _positions(session: Session, set_id: str) -> dict[str, int]:
    query = select(DescriptionRow.id, DescriptionRow.position).where(DescriptionRow.description_set_id == set_id)
    return dict(session.execute(query).all())


def _planted(text: str, neighbour: Sentence, first: tuple[str, str, str], position: int) -> NewSentence:
    kind, actor, at = first
    return NewSentence(
        neighbour.class_name,
        text,
        neighbour.author_kind,
        neighbour.author,
        {"after": position, "shown": neighbour.origin, "kind": kind, "changed_by": actor, "changed_at": at},
        planted=True,
        id=neighbour.id[:TIME_LENGTH] + new_id()[TIME_LENGTH:],
        created_at=datetime.fromisoformat(neighbour.created_at) if neighbour.created_at else None,
    )
