"""Versions frozen from sentences, signed and compared; and sentences planted among them, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import ClassMismatch, Conflict, NotFound
from core.records import descriptions
from core.records.description_tables import DescriptionRow
from core.records.description_versions import freeze
from core.records.planted import plant, unplant
from core.records.sentence_actions import Order, act
from core.records.sentence_history import revisions_of
from core.records.sentence_summary import review_summary
from core.records.sentence_undo import undo
from core.records.sentence_writing import NewSentence, add_sentences
from core.records.sentences import load_sentences
from core.records.session import Database
from core.records.version_diff import diff

CLASSES = ["calm", "lesion"]


@pytest.fixture
def set_id(database: Database) -> str:
    """Ten sentences by a model, five of each class."""
    with database.writing() as session:
        made = descriptions.make_description_set(session, None, "wording")
        new = [
            NewSentence(label, f"{label.capitalize()} number {n} in the middle.", "model", "writer-1", {"prompt": n})
            for label in CLASSES
            for n in range(5)
        ]
        add_sentences(session, made, "Ada", new, kind="write")
    return made


def do(session: Session, set_id: str, kind: str, which: tuple[int, ...], actor: str = "Ada", **more: object) -> None:
    ids = [load_sentences(session, set_id, withdrawn=None)[at].id for at in which]
    act(session, set_id, Order(kind, actor, ids, **more))  # type: ignore[arg-type]


def test_a_version_holds_what_is_not_rejected(database: Database, set_id: str) -> None:
    with database.writing() as session:
        do(session, set_id, "reject", (0,))
        do(session, set_id, "remove", (1,))
        do(session, set_id, "approve", (5, 6))
        made = freeze(session, set_id, ["lesion", "calm"], author="Ada", note="first")
        told = descriptions.description_set_dict(session, set_id)
    assert (made["version"], made["signed_by"], made["counts"]) == (1, None, {"lesion": 5, "calm": 3})
    assert made["left_out"] == {"draft": 0, "rejected": 1, "needs_second_reader": 0}
    assert list(told["sentences"]) == ["lesion", "calm"]
    assert told["sentences"]["calm"] == [f"Calm number {n} in the middle." for n in (2, 3, 4)]
    assert (told["source"], told["versions"][0]["note"]) == ("review", "first")


def test_a_signature_takes_approved_sentences_alone(database: Database, set_id: str) -> None:
    why = "A signed version has an approved sentence for every class; none for 'calm'"
    with database.writing() as session:
        do(session, set_id, "approve", (5,))
        with pytest.raises(ClassMismatch, match=why):
            freeze(session, set_id, CLASSES, author="Bo", sign=True)
    with database.writing() as session:
        do(session, set_id, "approve", (0, 1))
        do(session, set_id, "flag", (2,))
        made = freeze(session, set_id, CLASSES, author="Bo", sign=True)
        listed = descriptions.list_description_sets(session)[0]
    assert (made["signed_by"], made["sentences"], made["left_out"]["draft"]) == ("Bo", 3, 6)
    assert made["left_out"]["needs_second_reader"] == 1
    assert (listed["signed_by"], listed["signed_at"]) == ("Bo", made["signed_at"])
    with database.reading() as session:
        told = review_summary(session, set_id, CLASSES)
    assert (told["versions"], told["newest_version"], told["newest_signed"]) == (1, 1, 1)


def test_a_version_stays_as_it_was_while_its_sentences_change(database: Database, set_id: str) -> None:
    with database.writing() as session:
        freeze(session, set_id, CLASSES, author="Ada")
        before = descriptions.description_set_dict(session, set_id, 1)
        do(session, set_id, "edit", (0,), text="Something else.")
        freeze(session, set_id, CLASSES, author="Ada")
        assert descriptions.description_set_dict(session, set_id, 1)["sentences"] == before["sentences"]
        assert descriptions.description_set_dict(session, set_id)["sentences"]["calm"][0] == "Something else."


def test_versions_are_compared_sentence_by_sentence(database: Database, set_id: str) -> None:
    with database.writing() as session:
        freeze(session, set_id, CLASSES, author="Ada")
        do(session, set_id, "edit", (0,), text="Calm and even.")
        do(session, set_id, "remove", (1,))
        do(session, set_id, "approve", (2,))
        act(session, set_id, Order("add", "Ada", text="Lesion, newly seen.", class_name="lesion"))
        freeze(session, set_id, CLASSES, author="Ada")
        do(session, set_id, "reject", (3,))
        found, since = diff(session, set_id, 1, 2), diff(session, set_id, 2, None)
        with pytest.raises(NotFound, match="7 is none"):
            diff(session, set_id, 7, None)
    assert found == {
        "added": [{"class": "lesion", "text": "Lesion, newly seen."}],
        "removed": [{"class": "calm", "text": "Calm number 1 in the middle."}],
        "edited": [
            {
                "class": "calm",
                "class_before": "calm",
                "before": "Calm number 0 in the middle.",
                "after": "Calm and even.",
            }
        ],
        "state_changes": [
            {"class": "calm", "text": "Calm number 2 in the middle.", "before": "draft", "after": "approved"}
        ],
    }
    assert since["removed"] == [{"class": "calm", "text": "Calm number 3 in the middle."}]
    assert (since["added"], since["edited"], since["state_changes"]) == ([], [], [])


def test_planted_sentences_cannot_be_told_from_the_others(database: Database, set_id: str) -> None:
    with database.writing() as session:
        action = plant(session, set_id, "Cy", 4, seed=2)
        found = load_sentences(session, set_id)
        real = [each for each in found if not each.planted]
        planted = [each for each in found if each.planted]
        shown = [each.as_dict() for each in found]
        history = revisions_of(session, set_id, planted[0].id)
    assert (action["changed"], len(planted), len(real)) == (4, 4, 10)
    assert {name for row in shown for name in row} == set(shown[0])
    assert {(each.author_kind, each.author, each.changed_by) for each in found} == {("model", "writer-1", "Ada")}
    assert {each.created_at for each in planted} <= {each.created_at for each in real}
    assert {each.changed_at for each in planted} <= {each.changed_at for each in real}
    assert all(each.origin in [other.origin for other in real] for each in planted)
    assert all(each.id[:10] in {other.id[:10] for other in real} for each in planted)
    assert [each.class_name for each in found] == ["calm"] * (5 + sum(p.class_name == "calm" for p in planted)) + [
        "lesion"
    ] * (5 + sum(p.class_name == "lesion" for p in planted))
    assert (history[0]["kind"], history[0]["actor"]) == ("write", "Ada")
    dealt = [each for each in planted if "in the middle" in each.text]
    assert all(each.class_name in each.text.lower() for each in dealt)
    assert len(dealt) == 3


def test_planted_sentences_give_catch_rates_and_enter_no_version(database: Database, set_id: str) -> None:
    with database.writing() as session:
        plant(session, set_id, "Cy", 4, seed=2)
        everything = load_sentences(session, set_id)
        planted = [each.id for each in everything if each.planted]
        act(session, set_id, Order("reject", "Ada", planted[:2]))
        act(session, set_id, Order("flag", "Ada", planted[2:3]))
        act(session, set_id, Order("approve", "Ada", planted[3:]))
        act(session, set_id, Order("approve", "Ada", [each.id for each in everything if not each.planted]))
        (reader,) = review_summary(session, set_id, CLASSES)["readers"]
        made = freeze(session, set_id, CLASSES, author="Ada", sign=True)
        assert not diff(session, set_id, 1, None)["added"]
    assert (reader["planted_read"], reader["planted_caught"]) == (4, 3)
    assert [round(reader[end], 4) for end in ("low", "high")] == [0.3006, 0.9544]
    assert (made["sentences"], made["left_out"]) == (10, {"draft": 0, "rejected": 0, "needs_second_reader": 0})


def test_planted_sentences_are_taken_out_and_put_back(database: Database, set_id: str) -> None:
    with database.writing() as session:
        plant(session, set_id, "Cy", 3, seed=1)
        act(session, set_id, Order("reject", "Ada", [p.id for p in load_sentences(session, set_id) if p.planted]))
        assert unplant(session, set_id, "Cy")["changed"] == 3
        assert review_summary(session, set_id, CLASSES)["readers"][0]["planted_caught"] == 3
        assert len(load_sentences(session, set_id)) == 10
        with pytest.raises(Conflict, match="there are none"):
            unplant(session, set_id, "Cy")
        undo(session, set_id, "Cy")
        assert len(load_sentences(session, set_id)) == 13
        assert len(session.scalars(select(DescriptionRow)).all()) == 13


def test_one_class_gives_nothing_to_plant(database: Database) -> None:
    with database.writing() as session:
        made = descriptions.make_description_set(session, None, "one")
        add_sentences(session, made, "Ada", [NewSentence("calm", "Calm.", "person", "Ada")])
        with pytest.raises(Conflict, match="they give 0; 2 were asked for"):
            plant(session, made, "Cy", 2, seed=1)
