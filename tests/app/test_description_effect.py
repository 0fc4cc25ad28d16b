"""What an edit does on training images, told at once, and the class map."""

from __future__ import annotations

import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.services.context import Context
from core.descriptions.on_images import effect_on
from tests.app.conftest import CLASSES, labelled_pictures, zipped

TEXTS = {
    "bright": ["a photo of a bright picture.", "a photo of something white and light."],
    "dark": ["a photo of a dark picture.", "a photo of something black and dim."],
}


@pytest.fixture
def image_set(client: TestClient) -> dict[str, Any]:
    files = {"files": ("set.zip", zipped(labelled_pictures()), "application/zip")}
    return client.post("/api/v1/image-sets", files=files, data={"name": "greys"}).json()


@pytest.fixture
def texts(client: TestClient, image_set: dict[str, Any]) -> dict[str, Any]:
    body = {"image_set_id": image_set["id"], "name": "wording", "sentences": TEXTS, "author": "Ada"}
    return client.post("/api/v1/description-sets", json=body).json()


def sentences_of(client: TestClient, texts: dict[str, Any]) -> list[dict[str, Any]]:
    return client.get(f"/api/v1/description-sets/{texts['id']}/sentences").json()["items"]


def effect(client: TestClient, texts: dict[str, Any], **body: Any) -> Any:
    return client.post(f"/api/v1/description-sets/{texts['id']}/effect", json=body)


def test_without_changes_both_sides_are_zero_shot_on_the_training_images(
    client: TestClient, texts: dict[str, Any]
) -> None:
    found = effect(client, texts).json()
    assert (found["n_images"], found["shots"], found["n_changed"]) == (12, 6, 0)
    assert found["accuracy_before"] == found["accuracy_after"]
    assert found["log_likelihood_before"] == found["log_likelihood_after"] < 0
    assert [(row["class"], row["n_images"]) for row in found["per_class"]] == [(name, 6) for name in CLASSES]


def test_an_edit_has_the_effect_that_saving_it_has(client: TestClient, texts: dict[str, Any]) -> None:
    first = sentences_of(client, texts)[0]
    tried = effect(client, texts, changes=[{"id": first["id"], "text": "a photo of the night sky."}]).json()
    body = {"kind": "edit", "actor": "Ada", "ids": [first["id"]], "text": "a photo of the night sky."}
    assert client.post(f"/api/v1/description-sets/{texts['id']}/actions", json=body).status_code == 201
    saved = effect(client, texts).json()
    assert (
        tried["log_likelihood_before"] != tried["log_likelihood_after"] == pytest.approx(saved["log_likelihood_before"])
    )
    changes = [{"id": first["id"], "text": "a photo of the night sky.", "before": first["text"]}]
    after_saving = effect(client, texts, changes=changes).json()
    assert after_saving["log_likelihood_before"] == pytest.approx(tried["log_likelihood_before"])
    assert after_saving["log_likelihood_after"] == pytest.approx(tried["log_likelihood_after"])


def test_taking_away_and_adding_are_tried_without_being_saved(client: TestClient, texts: dict[str, Any]) -> None:
    first = sentences_of(client, texts)[0]
    away = effect(client, texts, changes=[{"id": first["id"]}]).json()
    back = effect(client, texts, changes=[{"id": first["id"]}, {"class": "bright", "text": first["text"]}]).json()
    assert away["log_likelihood_after"] != away["log_likelihood_before"]
    assert back["log_likelihood_after"] == pytest.approx(back["log_likelihood_before"])
    assert len(sentences_of(client, texts)) == 4


def test_swapped_sentences_turn_right_into_wrong(client: TestClient, texts: dict[str, Any]) -> None:
    changes = [
        {"id": row["id"], "text": TEXTS["dark" if row["class"] == "bright" else "bright"][row["position"] % 2]}
        for row in sentences_of(client, texts)
    ]
    found = effect(client, texts, changes=changes).json()
    assert found["accuracy_after"] == pytest.approx(1 - found["accuracy_before"])
    assert found["n_changed"] == 12


def test_rejected_and_removed_sentences_do_not_count(client: TestClient, texts: dict[str, Any]) -> None:
    first, second = sentences_of(client, texts)[:2]
    alone = effect(client, texts, changes=[{"id": first["id"]}]).json()["log_likelihood_after"]
    for kind in ("reject", "remove"):
        body = {"kind": kind, "actor": "Ada", "ids": [first["id"]]}
        made = client.post(f"/api/v1/description-sets/{texts['id']}/actions", json=body).json()
        assert effect(client, texts).json()["log_likelihood_before"] == pytest.approx(alone)
        client.post(f"/api/v1/description-sets/{texts['id']}/undo", json={"actor": "Ada"})
        assert made["action"]["changed"] == 1
    assert second["class"] == "bright"


def test_a_class_left_without_a_sentence_is_named(client: TestClient, texts: dict[str, Any]) -> None:
    gone = [{"id": row["id"]} for row in sentences_of(client, texts) if row["class"] == "dark"]
    answer = effect(client, texts, changes=gone)
    assert answer.status_code == 422
    assert "none for 'dark'" in answer.json()["error"]["found"]


def test_images_are_made_ready_though_a_class_has_no_sentence_yet(client: TestClient, texts: dict[str, Any]) -> None:
    ids = [row["id"] for row in sentences_of(client, texts) if row["class"] == "dark"]
    body = {"kind": "reject", "actor": "Ada", "ids": ids}
    client.post(f"/api/v1/description-sets/{texts['id']}/actions", json=body)
    answer = effect(client, texts)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["n_images"], found["n_changed"], found["accuracy_before"], found["accuracy_after"]) == (
        12,
        0,
        None,
        None,
    )
    assert [(row["n_images"], row["log_likelihood_before"]) for row in found["per_class"]] == [(6, None)] * 2


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"changes": [{"text": "of nothing"}]}, 422, "either the id"),
        ({"changes": [{"id": "x", "text": "y"}]}, 404, "'x' is none"),
        ({"changes": [{"class": "grey", "text": "y"}]}, 404, "'grey' is none"),
        ({"shots": 500}, 422, "'bright' has 6"),
        ({"backbone": "none-such"}, 404, "none-such"),
        ({"image_set": "gone"}, 404, "gone"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_reason(
    client: TestClient, texts: dict[str, Any], body: dict[str, Any], status: int, part: str
) -> None:
    answer = effect(client, texts, **body)
    assert answer.status_code == status
    assert part in answer.text


def test_only_the_changed_sentence_is_encoded_and_no_image_again(
    client: TestClient, context: Context, texts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    effect(client, texts)
    encoded: list[str] = []
    (ready,) = context.ready_images._ready.values()
    encode = type(ready.backbone).encode_texts

    def noted(self: Any, found: list[str]) -> Any:
        encoded.extend(found)
        return encode(self, found)

    monkeypatch.setattr(type(ready.backbone), "encode_texts", noted)
    monkeypatch.setattr(type(ready.backbone), "encode_images_frozen", None)
    first = sentences_of(client, texts)[0]
    started = time.monotonic()
    effect(client, texts, changes=[{"id": first["id"], "text": "a photo of fresh snow."}])
    assert encoded == ["a photo of fresh snow."]
    assert time.monotonic() - started < 1


def test_the_effect_is_that_of_scores_made_by_hand(client: TestClient, context: Context, texts: dict[str, Any]) -> None:
    import numpy as np

    found = effect(client, texts).json()
    (ready,) = context.ready_images._ready.values()
    prototypes = np.stack([ready.encode(sentences).mean(axis=0) for sentences in TEXTS.values()])
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    logits = ready.scale * ready.images.features @ prototypes.T
    likelihood = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = ready.images.labels
    assert found["log_likelihood_before"] == pytest.approx(likelihood[np.arange(12), labels].mean())
    assert found["accuracy_before"] == pytest.approx((logits.argmax(axis=1) == labels).mean())
    assert effect_on(ready, TEXTS, TEXTS)["n_changed"] == 0


def test_the_class_map_has_each_sentence_and_class_with_its_id_and_numbers(
    client: TestClient, context: Context, texts: dict[str, Any]
) -> None:
    import numpy as np

    found = client.get(f"/api/v1/description-sets/{texts['id']}/class-map").json()
    ids = {row["text"]: row["id"] for row in sentences_of(client, texts)}
    rows = [point for point in found["points"] if point["kind"] == "sentence"]
    assert [row["text"] for row in rows] == [text for group in TEXTS.values() for text in group]
    assert [row["id"] for row in rows] == [ids[row["text"]] for row in rows]
    assert [row["class"] for row in found["points"] if row["kind"] == "images"] == list(CLASSES)
    (ready,) = context.ready_images._ready.values()
    means = np.stack([ready.images.features[ready.images.labels == label].mean(axis=0) for label in (0, 1)])
    for row in rows:
        cosines = means @ ready.encode([row["text"]])[0]
        assert row["closest_class"] == CLASSES[int(cosines.argmax())]


def test_images_of_another_draw_are_not_taken_for_these(client: TestClient, texts: dict[str, Any]) -> None:
    few = effect(client, texts, shots=2).json()
    other = effect(client, texts, shots=2, seed=2).json()
    again = effect(client, texts, shots=2).json()
    assert few["n_images"] == other["n_images"] == 4
    assert few["log_likelihood_before"] == pytest.approx(again["log_likelihood_before"])
    assert few["log_likelihood_before"] != other["log_likelihood_before"]


def test_an_effect_is_answered_while_a_model_is_busy_with_pictures(
    client: TestClient, context: Context, texts: dict[str, Any]
) -> None:
    import threading

    release = threading.Event()
    busy = context.lines.models._join(None, release.wait, (30,))
    try:
        assert effect(client, texts).status_code == 200
        assert not busy.future.done()
    finally:
        release.set()


def test_images_that_are_in_the_test_part_too_are_counted(client: TestClient) -> None:
    files = labelled_pictures()
    files["test/dark/again.png"] = files["train/dark/0.png"]
    sent = {"files": ("set.zip", zipped(files), "application/zip")}
    leaking = client.post("/api/v1/image-sets", files=sent, data={"name": "leaking"}).json()
    body = {"image_set_id": leaking["id"], "name": "wording", "sentences": TEXTS, "author": "Ada"}
    texts = client.post("/api/v1/description-sets", json=body).json()
    assert effect(client, texts).json()["n_leaks"] == 1
