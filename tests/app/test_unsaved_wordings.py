"""What a reader types is kept before it is saved, offered to that reader alone, and gone once the edit is there."""

from __future__ import annotations

import pytest

TEXTS = {"bright": ["A bright card of light grey."], "dark": ["A dark card of deep grey."]}
TYPED = "A bright card, evenly lit."


@pytest.fixture
def url(client, uploaded) -> str:
    """The address of a description set of two sentences."""
    body = {"image_set_id": uploaded["id"], "name": "words", "sentences": TEXTS, "author": "Ada"}
    return f"/api/v1/description-sets/{client.post('/api/v1/description-sets', json=body).json()['id']}"


@pytest.fixture
def first(client, url) -> dict:
    """The first sentence."""
    return client.get(f"{url}/sentences").json()["items"][0]


def keep(client, url, sentence, text, actor="Ada", status=200) -> None:
    body = {"actor": actor, "text": text, "revision": sentence["revision"]}
    answer = client.put(f"{url}/sentences/{sentence['id']}/unsaved", json=body)
    assert answer.status_code == status, answer.text


def kept(client, url, reader="Ada") -> list[tuple[str, str, int]]:
    answer = client.get(f"{url}/unsaved", params={"reader": reader})
    assert answer.status_code == 200, answer.text
    return [(row["text"], row["unsaved"], row["revision"]) for row in answer.json()["items"]]


def edit(client, url, sentence, text, actor="Ada") -> None:
    body = {"kind": "edit", "actor": actor, "ids": [sentence["id"]], "text": text}
    assert client.post(f"{url}/actions", json=body).status_code == 201


def test_what_is_typed_is_kept_for_its_reader_and_the_sentence_stays(client, url, first):
    keep(client, url, first, "A bright")
    keep(client, url, first, f"  {TYPED} ")
    assert kept(client, url) == [(TEXTS["bright"][0], TYPED, 1)]
    assert kept(client, url, "Ben") == []
    now = client.get(f"{url}/sentences/{first['id']}").json()
    assert (now["text"], now["revision"], len(now["revisions"])) == (TEXTS["bright"][0], 1, 1)


def test_saving_the_edit_takes_it_out_and_what_comes_late_does_not_bring_it_back(client, url, first):
    keep(client, url, first, TYPED)
    keep(client, url, first, "Ben types too.", "Ben")
    edit(client, url, first, TYPED)
    assert kept(client, url) == []
    keep(client, url, first, TYPED)
    assert kept(client, url) == []
    assert kept(client, url, "Ben") == [(TYPED, "Ben types too.", 1)]


def test_an_edit_that_is_refused_leaves_what_was_typed(client, url, first):
    keep(client, url, first, TYPED)
    edit(client, url, first, "Ben was quicker.", "Ben")
    stale = {"kind": "edit", "actor": "Ada", "ids": [first["id"]], "text": TYPED, "revisions": {first["id"]: 1}}
    assert client.post(f"{url}/actions", json=stale).status_code == 409
    assert kept(client, url) == [("Ben was quicker.", TYPED, 1)]


def test_it_is_thrown_away_by_hand_by_typing_the_old_words_and_with_its_sentence(client, url, first):
    keep(client, url, first, TYPED)
    address = f"{url}/sentences/{first['id']}/unsaved"
    assert client.delete(address, params={"actor": "Ben"}).status_code == 200
    assert len(kept(client, url)) == 1
    assert client.delete(address, params={"actor": "Ada"}).status_code == 200
    assert kept(client, url) == []
    for text in (first["text"], " "):
        keep(client, url, first, TYPED)
        keep(client, url, first, text)
        assert kept(client, url) == []
    keep(client, url, first, TYPED)
    body = {"kind": "remove", "actor": "Ben", "ids": [first["id"]]}
    assert client.post(f"{url}/actions", json=body).status_code == 201
    assert kept(client, url) == []


def test_a_sentence_of_another_set_is_not_found(client, url, first, error_of):
    keep(client, url, first | {"id": "nothing"}, TYPED, status=404)
    body = {"actor": "Ada", "text": TYPED, "revision": 1}
    answer = client.put(f"/api/v1/description-sets/nothing/sentences/{first['id']}/unsaved", json=body)
    assert "description set" in error_of(answer, 404)["message"]
    assert client.get("/api/v1/description-sets/nothing/unsaved", params={"reader": "Ada"}).status_code == 404
    assert client.get(f"{url}/unsaved").status_code == 422
