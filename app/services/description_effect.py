"""What an edit of descriptions does to zero-shot on the training images, while somebody waits; and the class map.

Both look at training images only, a few of each class as a training draws them: never at the test part.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.services.context import Context
from app.services.image_sets import load_image_set
from core.errors import InvalidInput, NotFound
from core.records import image_sets
from core.records.sentences import Sentence, find_set, load_sentences

if TYPE_CHECKING:
    from core.descriptions.ready_images import ReadyImages

EMBEDDED = "embedded"
MOST_CHANGES = 200
Texts = dict[str, list[str]]


@dataclass(frozen=True)
class AskedDraw:
    """Which images to look at. image_set: id or name, None for the set's own. shots: None for as many as each class
    has, 16 at most."""

    image_set: str | None = None
    backbone: str = EMBEDDED
    shots: int | None = None
    seed: int = 1


@dataclass(frozen=True)
class Change:
    """A sentence that is edited, added or taken away.

    id: of the sentence, None for a new one of `class_name`. text: what it says afterwards, None to take it away.
    before: what it said before the edit where that is saved already; None takes what it says now.
    """

    id: str | None = None
    class_name: str | None = None
    text: str | None = None
    before: str | None = None


def effect(ctx: Context, set_id: str, asked: AskedDraw, changes: Sequence[Change]) -> dict[str, Any]:
    """Zero-shot before and after some changes: accuracy, log-likelihood (nats), of the whole and by class.

    Sentences count that a version would hold: neither rejected nor taken out. Without changes both sides are the same,
    None where a class has no sentence yet, and the images are ready for the next time. Raises NotFound, InvalidInput,
    TooFewImages, Unavailable.
    """
    from core.descriptions.on_images import effect_on, no_effect_on

    started = time.monotonic()
    if len(changes) > MOST_CHANGES:
        raise InvalidInput(f"At most {MOST_CHANGES} changes at once", f"found {len(changes)}", "Send fewer.")
    sentences = _sentences(ctx, set_id)
    with _ready(ctx, set_id, asked) as ready:
        before, after = _wordings(sentences, ready.classes, changes)
        if not changes and not all(before.values()):
            return no_effect_on(ready) | {"seconds": time.monotonic() - started}
        _check_classes(ready.classes, before)
        _check_classes(ready.classes, after)
        return effect_on(ready, before, after) | {"seconds": time.monotonic() - started}


def map_classes(ctx: Context, set_id: str, asked: AskedDraw) -> dict[str, Any]:
    """Sentences and images of each class on one plane, and whose images each sentence lies closest to.

    See `core.descriptions.on_images.map_on`. Raises as `effect` does.
    """
    from core.descriptions.on_images import map_on

    sentences = [each for each in _sentences(ctx, set_id) if _counts(each, frozenset())]
    with _ready(ctx, set_id, asked) as ready:
        placed = [(each.id, each.class_name, each.text) for each in sentences if each.class_name in ready.classes]
        _check_classes(
            ready.classes, {name: [label for _, label, _ in placed if label == name] for name in ready.classes}
        )
        return map_on(ready, placed)


@contextmanager
def _ready(ctx: Context, set_id: str, asked: AskedDraw) -> Iterator[ReadyImages]:
    from core.descriptions.ready_images import Draw, usual_shots  # loads torch

    with ctx.db.reading() as session:
        own = find_set(session, set_id).image_set_id
        if asked.image_set is None and own is None:
            raise NotFound("The images that the descriptions are for", "they were deleted", "Name an image set.")
        found = image_sets.image_set_dict(session, asked.image_set or str(own))
    shots = asked.shots or usual_shots([row["train"] for row in found["classes"]])
    draw = Draw(found["fingerprint"], asked.backbone, shots, asked.seed)
    with ctx.ready_images.using(draw, lambda: load_image_set(ctx, found["id"])) as ready:
        yield ready


def _sentences(ctx: Context, set_id: str) -> list[Sentence]:
    with ctx.db.reading() as session:
        find_set(session, set_id)
        return load_sentences(session, set_id, withdrawn=None)


def _counts(sentence: Sentence, named: frozenset[str]) -> bool:
    """Whether a version would hold it. A planted one counts where it is asked about: nobody is told which it is."""
    return not sentence.withdrawn and sentence.state != "rejected" and (not sentence.planted or sentence.id in named)


def _wordings(sentences: Sequence[Sentence], classes: Sequence[str], changes: Sequence[Change]) -> tuple[Texts, Texts]:
    """{class: sentences} before and after the changes. Raises NotFound, InvalidInput."""
    changed = {change.id: change for change in changes if change.id is not None}
    known = {each.id for each in sentences}
    if missing := set(changed) - known:
        raise NotFound("Sentences of this description set", f"'{min(missing)}' is none", "Load the list again.")
    before: Texts = {name: [] for name in classes}
    after: Texts = {name: [] for name in classes}
    for each in sentences:
        if each.class_name not in before:
            continue
        change = changed.get(each.id)
        counted = _counts(each, frozenset(changed))
        was = each.text if counted else None
        if change is not None and change.before is not None:
            was = change.before
        _put(before, each.class_name, was)
        _put(after, each.class_name, change.text if change is not None else was)
    for change in changes:
        if change.id is None:
            if change.class_name not in after:
                raise NotFound(f"A class among {', '.join(classes)}", f"'{change.class_name}' is none")
            _put(after, change.class_name, change.text)
    return before, after


def _put(texts: Texts, class_name: str, text: str | None) -> None:
    if text is not None and text.strip():
        texts[class_name].append(text.strip())


def _check_classes(classes: Sequence[str], texts: Mapping[str, Sequence[str]]) -> None:
    bare = [f"'{name}'" for name in classes if not texts[name]]
    if bare:
        raise InvalidInput(
            "A sentence for each class of the images, to tell them apart by",
            f"none for {', '.join(bare)}",
            "Write one, or put a rejected one back.",
        )
