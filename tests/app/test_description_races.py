"""Two readers of one description set at once, on both databases: nothing acknowledged is lost, nothing is half done."""

from __future__ import annotations

from sqlalchemy import func, select

from core.records import descriptions
from core.records.description_tables import DescriptionReviewRow, DescriptionRevisionRow, DescriptionRow
from core.records.sentence_writing import NewSentence, add_sentences
from tests.app.test_races import at_once, context_of, site_of, statuses

__all__ = ["site_of"]


def a_set(client) -> tuple[str, list[str]]:
    with context_of(client).db.writing() as session:
        made = descriptions.make_description_set(session, None, "words")
        new = [NewSentence("a", f"Sentence {n}.", "model", "m") for n in range(6)]
        return f"/api/v1/description-sets/{made}", add_sentences(session, made, "Ada", new)[1]


def test_readers_who_decide_at_once_both_count(site_of):
    url, ids = a_set(site_of)

    def decide(reader, kind):
        return lambda: site_of.post(f"{url}/actions", json={"kind": kind, "actor": reader, "ids": ids})

    answers = at_once(*[decide(f"Reader {n}", "approve" if n % 2 else "reject") for n in range(6)])
    assert statuses(answers) == {201: 6}
    told = site_of.get(f"{url}/sentences").json()["items"]
    assert {row["state"] for row in told} == {"needs_second_reader"}
    assert all(len(row["reviews"]) == 6 and row["revision"] == 7 for row in told)
    with context_of(site_of).db.reading() as session:
        assert session.scalar(select(func.count(DescriptionReviewRow.id))) == 36


def test_of_edits_of_one_wording_one_is_kept_and_the_others_are_told(site_of):
    url, ids = a_set(site_of)

    def edit(n):
        body = {"kind": "edit", "actor": f"Reader {n}", "ids": ids[:1], "text": f"By {n}.", "revisions": {ids[0]: 1}}
        return lambda: site_of.post(f"{url}/actions", json=body)

    answers = at_once(*[edit(n) for n in range(5)])
    assert statuses(answers) == {201: 1, 409: 4}
    kept = next(answer.json()["sentences"][0]["text"] for answer in answers if answer.status_code == 201)
    assert {a.json()["error"]["sentences"][0]["text"] for a in answers if a.status_code == 409} == {kept}
    with context_of(site_of).db.reading() as session:
        assert session.scalar(select(func.count(DescriptionRevisionRow.number))) == 7
        assert session.get_one(DescriptionRow, ids[0]).text == kept


def test_one_action_is_undone_once_however_many_ask(site_of):
    url, ids = a_set(site_of)
    done = site_of.post(f"{url}/actions", json={"kind": "approve", "actor": "Ada", "ids": ids}).json()["action"]["id"]
    answers = at_once(*[lambda: site_of.post(f"{url}/undo", json={"actor": "Ada", "action_id": done})] * 4)
    assert statuses(answers) == {201: 1, 409: 3}
    assert {row["state"] for row in site_of.get(f"{url}/sentences").json()["items"]} == {"draft"}
