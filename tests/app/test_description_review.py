"""Sentences reviewed through the API: two readers, blind reading, bulk actions with undo, lost answers."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.services import description_review as service
from core.records.description_tables import DescriptionActionRow, DescriptionTaskRow
from core.records.sentence_actions import Order
from tests.builders import short_backbone

TEXTS = {
    "bright": ["A bright card of light grey.", "A bright card without any line on it."],
    "dark": ["A dark card of deep grey.", "The patient needs surgery."],
}


@pytest.fixture
def url(client, uploaded) -> str:
    """The address of a description set of four sentences."""
    body = {"image_set_id": uploaded["id"], "name": "words", "sentences": TEXTS, "author": "Ada"}
    answer = client.post("/api/v1/description-sets", json=body)
    assert answer.status_code == 201, answer.text
    return f"/api/v1/description-sets/{answer.json()['id']}"


def listed(client, url, **query) -> list[dict]:
    answer = client.get(f"{url}/sentences", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def act(client, url, kind, actor="Ada", status=201, **body) -> dict:
    answer = client.post(f"{url}/actions", json={"kind": kind, "actor": actor, **body})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_sentences_come_with_findings_and_lengths(client, url):
    found = listed(client, url)
    assert [row["text"] for row in found] == [text for texts in TEXTS.values() for text in texts]
    last = found[3]
    assert {row["finding"] for row in last["findings"]} >= {"not_visible", "class_missing"}
    assert (last["state"], last["author"], last["author_kind"], last["changed_by"]) == ("draft", "Ada", "person", "Ada")
    assert 0 < last["tokens"] < last["limit"]
    assert (last["evidence"], last["mine"], last["reviews"]) == (None, None, [])
    assert [row["text"] for row in listed(client, url, finding="not_visible")] == [last["text"]]
    assert [row["class"] for row in listed(client, url, order="class", limit=3)] == ["bright", "bright", "dark"]


def test_a_review_from_draft_to_done(client, url):
    first = listed(client, url)[0]
    done = act(client, url, "approve", ids=[first["id"]], seconds=3.5, revisions={first["id"]: first["revision"]})
    assert done["action"]["changed"] == 1
    assert (done["sentences"][0]["state"], done["sentences"][0]["mine"]["decision"]) == ("approved", "approve")
    act(client, url, "reject", where={"finding": "not_visible"}, reason="not_visible")
    act(client, url, "edit", ids=[listed(client, url)[1]["id"]], text="A bright, even card.", approve=True)
    act(client, url, "flag", "Bo", ids=[first["id"]])
    assert [row["state"] for row in listed(client, url)] == ["needs_second_reader", "approved", "draft", "rejected"]
    assert [row["text"] for row in listed(client, url, queue="pending", reader="Ada")] == [TEXTS["dark"][0]]
    told = client.get(f"{url}/review-summary", params={"reader": "Ada"}).json()
    assert told["queues"] == {"pending": 1, "flagged": 1, "done": 2}
    assert [(row["reader"], row["decided"]) for row in told["readers"]] == [("Ada", 3), ("Bo", 1)]
    assert (told["undoable"]["kind"], told["newest_version"], told["newest_signed"]) == ("edit", 1, None)
    one = client.get(f"{url}/sentences/{first['id']}").json()
    assert [(row["kind"], row["state"]) for row in one["revisions"]] == [
        ("save", "draft"),
        ("approve", "approved"),
        ("flag", "needs_second_reader"),
    ]


def test_all_that_match_and_back(client, url, error_of):
    done = act(client, url, "approve", where={"class": "bright"})
    assert done["action"]["changed"] == 2
    again = client.post(f"{url}/actions", json={"kind": "approve", "actor": "Ada", "where": {"class": "bright"}})
    assert "stands so already" in error_of(again, 409)["message"]
    back = client.post(f"{url}/undo", json={"actor": "Ada"}).json()
    assert (back["action"]["kind"], back["action"]["undoes_id"]) == ("undo", done["action"]["id"])
    assert {row["state"] for row in listed(client, url)} == {"draft"}
    forth = client.post(f"{url}/undo", json={"actor": "Ada", "action_id": back["action"]["id"]}).json()
    assert [row["state"] for row in forth["sentences"]] == ["approved", "approved"]
    kinds = [row["kind"] for row in client.get(f"{url}/actions").json()["items"]]
    assert kinds == ["redo", "undo", "approve", "save"]
    nobody = client.post(f"{url}/actions", json={"kind": "approve", "actor": "Ada", "where": {"q": "nothing"}})
    assert "At least one sentence that matches" in error_of(nobody, 409)["message"]


def test_who_is_late_is_told_what_the_sentence_is_now(client, url, error_of):
    first = listed(client, url)[0]
    body = {"ids": [first["id"]], "revisions": {first["id"]: first["revision"]}}
    act(client, url, "edit", "Bo", text="A bright card, evenly lit.", **body)
    late = client.post(f"{url}/actions", json={"kind": "edit", "actor": "Ada", "text": "Mine.", **body})
    error = error_of(late, 409)
    assert error["sentences"] == [
        {"id": first["id"], "class": "bright", "text": "A bright card, evenly lit.", "revision": 2, "withdrawn": False}
    ]
    assert listed(client, url)[0]["text"] == "A bright card, evenly lit."


def test_a_request_sent_twice_is_done_once(client, url, context):
    body = {"kind": "add", "actor": "Ada", "class": "dark", "text": "A dark card of even grey."}
    answers = [client.post(f"{url}/actions", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(listed(client, url)) == 5


def test_a_blind_reader_sees_nothing_of_others_before_deciding(client, url):
    act(client, url, "edit", "Bo", ids=[listed(client, url)[0]["id"]], text="A bright card, evenly lit.")
    act(client, url, "reject", "Bo", where={"class": "bright"}, reason="vague")
    asked = {"reader": "Ada", "blind": True}
    hidden = listed(client, url, **asked)
    kept = {"id", "position", "class", "text", "withdrawn", "author_kind", "author", "created_at", "revision"}
    kept |= {"tokens", "limit", "lost"}
    assert {name for row in hidden for name, value in row.items() if value is not None} == kept
    assert [row["revision"] for row in hidden] == [2, 1, 1, 1]  # the wording's, not the decisions'
    assert listed(client, url, state="rejected", **asked) == []
    one = client.get(f"{url}/sentences/{hidden[0]['id']}", params=asked).json()
    assert [(row["text"], row["state"]) for row in one["revisions"]] == [
        (TEXTS["bright"][0], None),
        ("A bright card, evenly lit.", None),
    ]
    told = client.get(f"{url}/review-summary", params=asked).json()
    assert told["classes"][0]["rejected"] == 0
    done = act(client, url, "approve", ids=[hidden[0]["id"]], revisions={hidden[0]["id"]: 2}, blind=True)
    assert done["sentences"][0]["state"] == "needs_second_reader"
    assert [row["reader"] for row in done["sentences"][0]["reviews"]] == ["Bo", "Ada"]


def test_evidence_of_the_newest_task_stands_beside_sentences(client, url, context):
    row = {"class": "dark", "sentence": TEXTS["dark"][0], "agreement": 0.8, "effect": 0.02, "low": -0.1, "high": 0.1}
    row |= {"p_adjusted": 0.3, "verdict": "cannot_tell"}
    with context.db.writing() as session:
        set_id = url.rsplit("/", 1)[1]
        result = {"sentences": [row], "summary": {"backbone": "embedded"}}
        session.add(DescriptionTaskRow(kind="evidence", description_set_id=set_id, request={}, result=result))
    found = listed(client, url, order="evidence")[0]
    said = {k: row[k] for k in list(row)[2:]} | {"suspect_class": None, "backbone": "embedded"}
    assert (found["text"], found["evidence"]) == (TEXTS["dark"][0], said)


def test_a_sentence_that_evidence_suspects_is_found_with_those_near_another_class(client, url, context):
    assert listed(client, url, finding="near_other_class") == []
    row = {"class": "dark", "sentence": TEXTS["dark"][0], "verdict": "cannot_tell", "suspect_class": "bright"}
    with context.db.writing() as session:
        result = {"sentences": [row], "summary": {"backbone": "embedded"}}
        set_id = url.rsplit("/", 1)[1]
        session.add(DescriptionTaskRow(kind="evidence", description_set_id=set_id, request={}, result=result))
    (found,) = listed(client, url, finding="near_other_class")
    assert found["text"] == TEXTS["dark"][0]
    detail = "by images and by what the others tell it seems to be about 'bright'"
    assert {"finding": "near_other_class", "detail": detail} in found["findings"]
    where = {"finding": "near_other_class"}
    done = client.post(f"{url}/actions", json={"kind": "flag", "actor": "Ada", "where": where}).json()
    assert [each["text"] for each in done["sentences"]] == [TEXTS["dark"][0]]


def test_words_that_a_text_tower_does_not_read_are_named_for_the_backbone_asked_about(client, url, context):
    short_backbone(context.home, 8)
    long = "A bright card of light grey with a thin line on its left."
    added = act(client, url, "add", text=long, **{"class": "bright"}, backbone="biomedclip")["sentences"][0]
    assert (added["limit"], added["lost"]) == (8, "with a thin line on its left.")
    by_id = {row["id"]: row for row in listed(client, url, backbone="biomedclip")}
    assert by_id[added["id"]]["lost"] == "with a thin line on its left."
    assert {row["lost"] for row in listed(client, url)} == {""}
    assert [
        row["text"] for row in listed(client, url, backbone="biomedclip", finding="too_long", **{"class": "bright"})
    ]
    cut = {row["id"] for row in listed(client, url, backbone="biomedclip", finding="too_long")}
    done = act(client, url, "flag", where={"finding": "too_long"}, backbone="biomedclip")
    assert {row["id"] for row in done["sentences"]} == cut
    act(client, url, "flag", where={"finding": "too_long"}, status=409)


def test_what_cannot_be_done_is_said(client, url, error_of):
    first = listed(client, url)[0]["id"]

    def refused(status, **body):
        return error_of(client.post(f"{url}/actions", json={"actor": "Ada", **body}), status)["message"]

    assert "A class of the images: 'bright', 'dark'" in refused(422, kind="add", text="New.", **{"class": "grey"})
    assert "found both" in refused(422, kind="approve", ids=[first], where={})
    assert "for or against" in refused(422, kind="settle", ids=[first])
    assert "with its new text" in refused(422, kind="edit", ids=[first])
    assert "kind" in refused(422, kind="delete", ids=[first])
    assert "Sentences of this description set" in refused(404, kind="approve", ids=["elsewhere"])
    assert "1 to 2000 characters" in refused(422, kind="edit", ids=[first], text="  ")
    error_of(client.get(f"{url}/sentences?blind=true"), 422)
    error_of(client.get("/api/v1/description-sets/none/sentences"), 404)
    error_of(client.get(f"{url}/sentences/none"), 404)
    assert client.get(f"{url}/actions").json()["total"] == 1


def test_an_action_that_fails_leaves_nothing(context, client, url, monkeypatch):
    ids = [row["id"] for row in listed(client, url)]

    def broken(*args, **kwargs):
        raise RuntimeError("killed")

    monkeypatch.setattr("core.records.sentence_writing._write_reviews", broken)
    with pytest.raises(RuntimeError):
        service.act_on_sentences(context, url.rsplit("/", 1)[1], Order("approve", "Ada", ids))
    monkeypatch.undo()
    assert {row["state"] for row in listed(client, url)} == {"draft"}
    with context.db.reading() as session:
        assert [row.kind for row in session.scalars(select(DescriptionActionRow))] == ["save"]


def test_an_empty_set_is_made_for_sentences_to_come(client, uploaded, error_of):
    body = {"image_set_id": uploaded["id"], "name": "to be written"}
    made = client.post("/api/v1/description-sets", json=body).json()
    assert (made["version"], made["sentences"], made["versions"]) == (None, {}, [])
    url = f"/api/v1/description-sets/{made['id']}"
    assert listed(client, url) == []
    act(client, url, "add", text="A dark card.", **{"class": "dark"})
    assert listed(client, url)[0]["author"] == "Ada"
    assert [row["name"] for row in client.get("/api/v1/description-sets").json()["items"]] == ["to be written"]
    assert "exists" in error_of(client.post("/api/v1/description-sets", json=body), 409)["message"]
    run = {"image_set": uploaded["id"], "method": "coop", "description_set": made["id"]}
    assert "has none yet" in error_of(client.post("/api/v1/jobs", json=run), 409)["message"]
