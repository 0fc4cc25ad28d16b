"""Sentences of a description set: decided about, edited, undone and done again, on both databases."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import event, func, select

from core.errors import Conflict, InvalidInput, NotFound
from core.records import descriptions
from core.records.description_tables import (
    DescriptionReviewRow,
    DescriptionRevisionRow,
    DescriptionRow,
    DescriptionSentenceRow,
)
from core.records.sentence_actions import Order, StaleSentences, act
from core.records.sentence_filters import Filter, in_order
from core.records.sentence_history import count_actions, list_actions, revisions_of
from core.records.sentence_summary import review_summary
from core.records.sentence_undo import redoable, undo, undoable
from core.records.sentence_writing import NewSentence, add_sentences
from core.records.sentences import Sentence, judgements, load_sentences
from core.records.session import Database

TEXTS = {"lesion": ["A dark spot.", "A bright rim."], "calm": ["Even grey.", "No edge."]}


@pytest.fixture
def set_id(database: Database) -> str:
    """A set of four sentences by a model."""
    with database.writing() as session:
        made = descriptions.make_description_set(session, None, "wording")
        new = [NewSentence(c, t, "model", "writer-1", {"prompt": "p"}) for c, texts in TEXTS.items() for t in texts]
        add_sentences(session, made, "Ada", new, kind="write")
    return made


def sentences(database: Database, set_id: str, **which: Any) -> list[Sentence]:
    with database.reading() as session:
        return load_sentences(session, set_id, **which)


def do(database: Database, set_id: str, kind: str, actor: str = "Ada", which: Any = (0,), **more: Any) -> dict:
    ids = [sentences(database, set_id, withdrawn=None)[at].id for at in which]
    with database.writing() as session:
        return act(session, set_id, Order(kind, actor, ids, **more))[0]


def back(database: Database, set_id: str, actor: str = "Ada", action_id: str | None = None) -> dict:
    with database.writing() as session:
        return undo(session, set_id, actor, action_id)[0]


def states(database: Database, set_id: str) -> list[str]:
    return [each.state for each in sentences(database, set_id)]


def test_added_sentences_are_drafts_in_their_order(database: Database, set_id: str) -> None:
    found = sentences(database, set_id)
    assert [(each.class_name, each.text) for each in found] == [(c, t) for c, texts in TEXTS.items() for t in texts]
    assert {(each.state, each.revision, each.author_kind, each.author, each.changed_by) for each in found} == {
        ("draft", 1, "model", "writer-1", "Ada")
    }
    assert [each.position for each in found] == [0, 1, 2, 3]
    assert found[0].origin == {"prompt": "p"}


def test_decisions_of_readers_make_the_state(database: Database, set_id: str) -> None:
    do(database, set_id, "approve", "Ada", (0, 1, 2))
    do(database, set_id, "approve", "Bo", (0,))
    do(database, set_id, "reject", "Bo", (1,), reason="wrong")
    do(database, set_id, "flag", "Bo", (3,))
    assert states(database, set_id) == ["approved", "needs_second_reader", "approved", "needs_second_reader"]
    found = sentences(database, set_id)[1]
    assert (found.reason, {name: s.decision for name, s in found.standing.items()}) == (
        "wrong",
        {"Ada": "approve", "Bo": "reject"},
    )
    do(database, set_id, "reject", "Ada", (1,))
    assert sentences(database, set_id)[1].state == "rejected"


def test_an_edit_makes_earlier_decisions_stale_and_keeps_them(database: Database, set_id: str) -> None:
    do(database, set_id, "approve", "Ada")
    do(database, set_id, "edit", "Bo", text="A dark, round spot.")
    found = sentences(database, set_id)[0]
    assert (found.text, found.state, found.standing, found.text_revision) == ("A dark, round spot.", "draft", {}, 3)
    with database.reading() as session:
        assert session.scalar(select(func.count(DescriptionReviewRow.id))) == 1
    do(database, set_id, "edit", "Bo", text="A dark spot.")
    assert sentences(database, set_id)[0].state == "approved"  # it says again what Ada read


def test_an_edit_may_approve_at_once(database: Database, set_id: str) -> None:
    do(database, set_id, "edit", "Bo", text="A dark, round spot.", approve=True, seconds=4.5)
    found = sentences(database, set_id)[0]
    assert (found.state, found.standing["Bo"].seconds) == ("approved", 4.5)


def test_the_same_edit_sent_again_changes_nothing(database: Database, set_id: str) -> None:
    seen = {sentences(database, set_id)[0].id: 1}
    first = do(database, set_id, "edit", "Bo", text="Rounder.", revisions=seen)
    again = do(database, set_id, "edit", "Bo", text="Rounder.", revisions=seen)
    assert again["id"] == first["id"]
    assert sentences(database, set_id)[0].revision == 2


def test_an_action_on_a_wording_nobody_saw_is_refused_with_what_it_is_now(database: Database, set_id: str) -> None:
    seen = {sentences(database, set_id)[0].id: 1, sentences(database, set_id)[1].id: 1}
    do(database, set_id, "edit", "Bo", text="A dark, round spot.")
    with pytest.raises(StaleSentences, match=r"'A dark, round spot\.' \(lesion\)") as refused:
        do(database, set_id, "approve", "Ada", (0, 1), revisions=seen)
    assert [(row["text"], row["revision"]) for row in refused.value.as_dict()["sentences"]] == [
        ("A dark, round spot.", 2)
    ]
    assert states(database, set_id) == ["draft"] * 4  # the other sentence neither


def test_two_readers_who_decide_at_once_do_not_get_into_each_others_way(database: Database, set_id: str) -> None:
    seen = {sentences(database, set_id)[0].id: 1}
    do(database, set_id, "approve", "Ada", revisions=seen)
    do(database, set_id, "reject", "Bo", revisions=seen)
    assert states(database, set_id)[0] == "needs_second_reader"
    with pytest.raises(StaleSentences):
        do(database, set_id, "settle", "Ada", approve=True, revisions=seen)


def test_a_bulk_action_is_undone_and_done_again(database: Database, set_id: str) -> None:
    done = do(database, set_id, "approve", "Ada", (0, 1, 2, 3), reason=None)
    assert (done["changed"], states(database, set_id)) == (4, ["approved"] * 4)
    undone = back(database, set_id)
    assert (undone["kind"], undone["undoes_id"], undone["changed"]) == ("undo", done["id"], 4)
    assert states(database, set_id) == ["draft"] * 4
    assert all(not each.standing for each in sentences(database, set_id))
    redone = back(database, set_id, action_id=undone["id"])
    assert (redone["kind"], states(database, set_id)) == ("redo", ["approved"] * 4)
    assert back(database, set_id)["undoes_id"] == redone["id"]
    assert states(database, set_id) == ["draft"] * 4
    with database.reading() as session:
        assert session.scalar(select(func.count(DescriptionRevisionRow.number))) == 20
        assert [row["undone_by"] is not None for row in list_actions(session, set_id)] == [
            False, True, False, True, False
        ]  # fmt: skip
        assert count_actions(session, set_id) == 5


def test_undo_goes_back_through_what_one_person_did(database: Database, set_id: str) -> None:
    do(database, set_id, "edit", "Ada", text="First.")
    do(database, set_id, "reject", "Bo", (2,), reason="vague")
    do(database, set_id, "edit", "Ada", text="Second.")
    do(database, set_id, "remove", "Ada", (3,))
    seen = []
    for _ in range(3):
        back(database, set_id)
        seen.append((sentences(database, set_id)[0].text, len(sentences(database, set_id))))
    assert seen == [("Second.", 4), ("First.", 4), ("A dark spot.", 4)]
    assert states(database, set_id)[2] == "rejected"
    with database.reading() as session:
        again = redoable(session, set_id, "Ada")
    assert again is not None
    back(database, set_id, action_id=again["id"])
    assert sentences(database, set_id)[0].text == "First."


def test_undo_that_would_lose_what_came_later_changes_nothing(database: Database, set_id: str) -> None:
    bulk = do(database, set_id, "approve", "Ada", (0, 1, 2))
    do(database, set_id, "edit", "Bo", (1,), text="A brighter rim.")
    with pytest.raises(StaleSentences, match=r"'A brighter rim\.'"):
        back(database, set_id, action_id=bulk["id"])
    assert states(database, set_id) == ["approved", "draft", "approved", "draft"]
    back(database, set_id, "Bo")
    back(database, set_id, action_id=bulk["id"])
    assert states(database, set_id) == ["draft"] * 4
    with pytest.raises(Conflict, match="this one was taken back already"):
        back(database, set_id, action_id=bulk["id"])


def test_another_readers_decision_stands_when_one_is_undone(database: Database, set_id: str) -> None:
    do(database, set_id, "approve", "Ada")
    do(database, set_id, "reject", "Bo")
    back(database, set_id, "Ada")
    found = sentences(database, set_id)[0]
    assert (found.state, list(found.standing)) == ("rejected", ["Bo"])


def test_redo_goes_in_order(database: Database, set_id: str) -> None:
    do(database, set_id, "edit", "Ada", text="First.")
    do(database, set_id, "edit", "Ada", text="Second.")
    late = back(database, set_id)
    back(database, set_id)
    with pytest.raises(StaleSentences):
        back(database, set_id, action_id=late["id"])


def test_undoing_an_addition_takes_it_out_and_redo_puts_it_back(database: Database, set_id: str) -> None:
    with database.writing() as session:
        act(session, set_id, Order("add", "Ada", text="New.", class_name="calm", approve=True))
    assert sentences(database, set_id)[4].state == "approved"
    undone = back(database, set_id)
    assert len(sentences(database, set_id)) == 4
    back(database, set_id, action_id=undone["id"])
    assert (sentences(database, set_id)[4].text, sentences(database, set_id)[4].state) == ("New.", "approved")


def test_a_settlement_stays_until_somebody_decides_against_it(database: Database, set_id: str) -> None:
    do(database, set_id, "approve", "Ada")
    do(database, set_id, "reject", "Bo")
    do(database, set_id, "settle", "Cy", approve=True)
    do(database, set_id, "approve", "Di")
    assert states(database, set_id)[0] == "approved"
    assert len(sentences(database, set_id)[0].standing) == 3
    do(database, set_id, "flag", "Eve")
    assert states(database, set_id)[0] == "needs_second_reader"
    back(database, set_id, "Eve")
    assert states(database, set_id)[0] == "approved"
    back(database, set_id, "Cy")
    assert states(database, set_id)[0] == "needs_second_reader"


def test_reopening_takes_back_ones_own_decision(database: Database, set_id: str) -> None:
    do(database, set_id, "approve", "Ada")
    do(database, set_id, "reject", "Bo")
    do(database, set_id, "reopen", "Bo")
    assert states(database, set_id)[0] == "approved"
    with pytest.raises(Conflict, match="every one of them stands so already"):
        do(database, set_id, "reopen", "Bo")
    back(database, set_id, "Bo")
    assert states(database, set_id)[0] == "needs_second_reader"


def test_sentences_taken_out_are_put_back_first(database: Database, set_id: str) -> None:
    do(database, set_id, "remove", "Ada", (1,))
    assert [each.text for each in sentences(database, set_id, withdrawn=True)] == ["A bright rim."]
    with pytest.raises(StaleSentences, match="taken out of it"):
        do(database, set_id, "approve", "Bo", (1,))
    do(database, set_id, "restore", "Bo", (1,))
    assert len(sentences(database, set_id)) == 4


@pytest.mark.parametrize(
    ("order", "error", "told"),
    [
        (Order("approve", "Ada"), InvalidInput, "An action names its sentences"),
        (Order("approve", "Ada", ["nowhere"]), NotFound, "'nowhere' is none"),
        (Order("add", "Ada", text="New."), InvalidInput, "A new sentence has a class and a text"),
    ],
)
def test_orders_that_lack_something_are_refused(
    database: Database, set_id: str, order: Order, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told), database.writing() as session:
        act(session, set_id, order)


def test_undo_without_anything_to_undo_is_refused(database: Database, set_id: str) -> None:
    with pytest.raises(Conflict, match="'Bo' did nothing here that stands"):
        back(database, set_id, "Bo")
    with pytest.raises(NotFound, match="'nothing' is none"):
        back(database, set_id, "Bo", "nothing")
    with database.reading() as session:
        assert undoable(session, set_id, "Bo") is None


def test_every_step_is_kept(database: Database, set_id: str) -> None:
    do(database, set_id, "edit", "Bo", text="Rounder.")
    do(database, set_id, "reject", "Cy", reason="other_class")
    back(database, set_id, "Cy")
    with database.reading() as session:
        found = revisions_of(session, set_id, load_sentences(session, set_id)[0].id)
    assert [(row["number"], row["kind"], row["actor"], row["text"], row["state"], row["reason"]) for row in found] == [
        (1, "write", "Ada", "A dark spot.", "draft", None),
        (2, "edit", "Bo", "Rounder.", "draft", None),
        (3, "reject", "Cy", "Rounder.", "rejected", "other_class"),
        (4, "undo", "Cy", "Rounder.", "draft", None),
    ]


def test_whatever_is_done_the_state_is_what_the_decisions_give(database: Database, set_id: str) -> None:
    draw = random.Random(4)
    kinds = ("approve", "reject", "flag", "reopen", "edit", "settle", "remove", "restore", "undo")
    done = 0
    for step in range(90):
        kind, actor = draw.choice(kinds), draw.choice(("Ada", "Bo"))
        which = draw.sample(range(4), 1 if kind == "edit" else 2)
        try:
            if kind == "undo":
                with database.reading() as session:
                    known = [row["id"] for row in list_actions(session, set_id, 6)]
                back(database, set_id, actor, draw.choice([None, *known]))
            else:
                do(database, set_id, kind, actor, which, text=f"Text {step % 3}.", approve=draw.random() < 0.5)
            done += 1
        except Conflict:
            pass
        with database.reading() as session:
            rows = session.scalars(select(DescriptionRow)).all()
            judged = judgements(session, set_id)
            newest = dict(
                session.execute(
                    select(DescriptionRevisionRow.description_id, func.max(DescriptionRevisionRow.number)).group_by(
                        DescriptionRevisionRow.description_id
                    )
                ).all()
            )
            for row in rows:
                assert row.state == (judged[row.id].state if row.id in judged else "draft")
                assert row.revision == newest[row.id]
                kept = session.get_one(DescriptionRevisionRow, (row.id, row.revision))
                assert (kept.text, kept.state, kept.withdrawn) == (row.text, row.state, row.withdrawn)
    assert done > 30


def test_a_wording_saved_at_once_is_linked_with_its_sentences(database: Database) -> None:
    def save(wording: dict[str, list[str]], author: str, **more: Any) -> str:
        with database.writing() as session:
            return descriptions.save_version(session, None, "w", wording, author=author, **more)[0]

    made = save({"a": ["One.", "One.", "Two."]}, "Ada", source="file:a.json")
    do(database, made, "reject", "Ada", (1,))
    with database.writing() as session:
        add_sentences(session, made, "Bo", [NewSentence("a", "By Bo.", "person", "Bo")])
    save({"a": ["Three.", "One."]}, "Bo", source="api", based_on=1)
    now = [(each.text, each.withdrawn, each.author_kind, each.origin) for each in sentences(database, made)]
    assert now == [
        ("One.", False, "file", {"file": "a.json"}),
        ("By Bo.", False, "person", None),
        ("Three.", False, "person", None),
    ]
    with database.reading() as session:
        table = DescriptionSentenceRow
        rows = session.execute(
            select(table.sentence, table.revision, DescriptionRow.text)
            .join(DescriptionRow, DescriptionRow.id == table.description_id)
            .order_by(table.version_id, table.position)
        ).all()
        kept = [(row["kind"], row["note"], row["changed"]) for row in list_actions(session, made)]
    assert [tuple(row) for row in rows] == [
        ("One.", 1, "One."), ("One.", 1, "One."), ("Two.", 1, "Two."), ("Three.", 1, "Three."), ("One.", 1, "One."),
    ]  # fmt: skip
    assert kept == [("save", "version 2", 3), ("add", "", 1), ("reject", "", 1), ("save", "version 1", 3)]


def test_filters_and_queues(database: Database, set_id: str) -> None:
    do(database, set_id, "approve", "Ada", (0,))
    do(database, set_id, "flag", "Ada", (1,))
    do(database, set_id, "reject", "Bo", (2,))
    found = sentences(database, set_id)

    def places(**asked: Any) -> list[int]:
        return [each.position for each in found if Filter(**asked).fits(each, ["duplicate"] * (each.position == 3))]

    assert places(queue="pending") == [3]
    assert places(queue="pending", reader="Ada") == [2, 3]
    assert places(queue="flagged", reader="Ada") == [1]
    assert places(queue="done", reader="Ada") == [0]
    assert places(queue="pending", reader="Bo") == [0, 1, 3]
    assert places(queue="flagged", reader="Bo") == [1]
    assert places(queue="flagged", reader="Bo", blind=True) == []
    assert places(state="approved", reader="Bo", blind=True) == []
    assert places(state="approved") == [0]
    assert places(class_name="calm", q="EDGE") == [3]
    assert places(finding="duplicate") == [3]
    assert places(finding="duplicate", reader="Bo", blind=True) == []
    assert places(author_kind="person") == []
    assert [each.position for each in in_order(found, "class", ["calm", "lesion"])] == [2, 3, 0, 1]
    assert [each.position for each in in_order(found, "evidence", agreement={found[2].id: 0.4, found[1].id: 0.7})] == [
        2, 1, 0, 3
    ]  # fmt: skip


def test_a_summary_counts_classes_readers_and_queues(database: Database, set_id: str) -> None:
    do(database, set_id, "approve", "Ada", (0,), seconds=2.0)
    do(database, set_id, "approve", "Ada", (1,), seconds=5.0)
    do(database, set_id, "reject", "Ada", (2, 3), seconds=60.0)
    with database.reading() as session:
        told = review_summary(session, set_id, ["calm", "lesion", "other"], "Ada")
    assert told["classes"][0] == {"class": "calm", "draft": 0, "approved": 0, "rejected": 2, "needs_second_reader": 0}
    assert [row["class"] for row in told["classes"]] == ["calm", "lesion", "other"]
    (reader,) = told["readers"]
    assert (reader["decided"], reader["approved"], reader["rejected"], reader["median_seconds"]) == (4, 2, 2, 3.5)
    assert (told["queues"], told["total"], told["versions"]) == ({"pending": 0, "flagged": 0, "done": 4}, 4, 0)
    assert told["undoable"]["kind"] == "reject"


def test_two_thousand_sentences_are_decided_about_in_a_few_queries(database: Database) -> None:
    with database.writing() as session:
        made = descriptions.make_description_set(session, None, "large")
        new = [NewSentence(f"class {n % 10}", f"Sentence {n}.", "model", "m") for n in range(2000)]
        _, ids = add_sentences(session, made, "Ada", new)
    asked = count_queries(database)
    with database.writing() as session:
        action, touched = act(session, made, Order("approve", "Ada", ids))
    assert (action["changed"], len(touched)) == (2000, 2000)
    with database.writing() as session:
        undo(session, made, "Ada")
    assert set(states(database, made)) == {"draft"}
    assert len(asked) < 60


def count_queries(database: Database) -> list[str]:
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    return asked
