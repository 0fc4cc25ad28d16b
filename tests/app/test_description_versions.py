"""Versions of descriptions through the API: frozen, signed, compared; sentences planted among them."""

from __future__ import annotations

from core.records import classifications, descriptions, runs
from tests.app.test_description_review import act, listed, url
from tests.core.records.samples import add_sample_set, add_sealed_run, record

__all__ = ["url"]


def test_a_version_is_signed_and_stays(client, url, error_of):
    refused = client.post(f"{url}/versions", json={"actor": "Bo", "sign": True})
    assert "an approved sentence for every class; none for 'bright', 'dark'" in error_of(refused, 422)["message"]
    act(client, url, "approve", where={"class": "bright"})
    act(client, url, "approve", where={"q": "deep grey"})
    made = client.post(f"{url}/versions", json={"actor": "Bo", "sign": True, "note": "for the paper"})
    assert made.status_code == 201
    told = made.json()
    assert (told["version"], told["signed_by"], told["counts"]) == (2, "Bo", {"bright": 2, "dark": 1})
    assert told["left_out"] == {"draft": 1, "rejected": 0, "needs_second_reader": 0}
    found = client.get("/api/v1/description-sets").json()["items"][0]
    assert (found["version"], found["signed_by"], found["signed_at"]) == (2, "Bo", told["signed_at"])
    versions = client.get(f"{url}/versions").json()["items"]
    assert [row["signed_by"] for row in versions] == [None, "Bo"]
    for method in ("delete", "put", "patch"):
        assert client.request(method, f"{url}/versions/2").status_code in {404, 405}


def test_versions_are_compared(client, url, error_of):
    first = listed(client, url)[0]
    act(client, url, "edit", ids=[first["id"]], text="A bright card, evenly lit.")
    found = client.get(f"{url}/diff", params={"from": "1"}).json()
    assert (found["from"], found["to"], len(found["added"]), len(found["removed"])) == ("1", "now", 0, 0)
    assert [(row["class"], row["before"], row["after"]) for row in found["edited"]] == [
        ("bright", first["text"], "A bright card, evenly lit.")
    ]
    error_of(client.get(f"{url}/diff", params={"from": "9"}), 404)
    error_of(client.get(f"{url}/diff", params={"from": "newest"}), 422)


def test_planted_sentences_look_like_the_others(client, url, error_of):
    act(client, url, "approve", "Bo", where={"class": "bright"})
    done = client.post(f"{url}/plant", json={"actor": "Cy", "n": 3, "seed": 5}).json()
    assert (done["action"]["kind"], done["action"]["changed"]) == ("plant", 3)
    found = listed(client, url, reader="Ada", blind=True)
    assert len(found) == 7
    assert {row["author"] for row in found} == {"Ada"}
    seen = listed(client, url, reader="Ada")
    repeats = [row for row in seen if any("duplicate" in each["finding"] for each in row["findings"])]
    assert repeats == []
    assert client.get(f"{url}/review-summary").json()["planted"] == 3
    back = client.post(f"{url}/undo", json={"actor": "Cy"}).json()
    assert (back["action"]["note"], back["sentences"]) == ("plant", [])
    assert len(listed(client, url)) == 4
    error_of(client.delete(f"{url}/plant"), 409)
    error_of(client.post(f"{url}/plant", json={"actor": "Cy", "n": 150}), 409)


def test_agreement_of_readers(client, url):
    found = listed(client, url)
    act(client, url, "approve", "Ada", ids=[row["id"] for row in found])
    act(client, url, "approve", "Bo", ids=[row["id"] for row in found[:3]])
    act(client, url, "reject", "Bo", ids=[found[3]["id"]])
    act(client, url, "settle", "Cy", ids=[found[3]["id"]], approve=True)
    client.post(f"{url}/plant", json={"actor": "Cy", "n": 2})
    act(client, url, "flag", "Bo", where={"queue": "pending"})
    told = client.get(f"{url}/agreement").json()
    (pair,) = told["pairs"]
    assert (pair["a"], pair["b"], pair["n"], pair["percent"], pair["kappa"]) == ("Ada", "Bo", 4, 0.75, 0.0)
    assert pair["disagreements"] == [found[3]["id"]]
    assert [(row["class"], row["percent"]) for row in pair["per_class"]] == [("bright", 1.0), ("dark", 0.5)]
    assert (told["several"], told["readers"][0]["percent"]) == (None, 0.75)
    assert [(row["reader"], row["planted_read"], row["planted_caught"]) for row in told["catch"]] == [("Bo", 2, 2)]


def test_comparisons_say_on_which_version_a_row_was_trained(client, context):
    with context.db.writing() as session:
        image_set = add_sample_set(session, context.settings.images_dir)
        wording = {"lesion": ["one"], "calm": ["two"]}
        set_id, _ = descriptions.save_version(session, image_set, "texts", wording, author="Ada", source="api")
        version = descriptions.find_version(session, set_id).id
        _, model_id = add_sealed_run(session, image_set, description_version_id=version)
        asked = runs.RunRequest(image_set=image_set, method="coop", description_version_id=version)
        run_id = runs.add_run(session, asked)
        runs.seal_run(session, run_id, record(metrics={"accuracy": 0.75, "balanced_accuracy": 0.75}))
        descriptions.save_version(session, image_set, "texts", wording, author="Bo", source="api")
    said = "Trained on version 1 of 'texts'; now there is version 2."
    opened = client.get(f"/api/v1/description-sets/{set_id}/versions/1").json()
    assert (opened["author"], opened["n_runs"], opened["runs"][0]["id"]) == ("Ada", 2, run_id)
    assert [(row["class"], row["text"], row["author"]) for row in opened["sentences"]] == [
        ("lesion", "one", "Ada"),
        ("calm", "two", "Ada"),
    ]
    assert client.get(f"/api/v1/description-sets/{set_id}/versions/2").json()["runs"] == []
    assert client.get(f"/api/v1/description-sets/{set_id}/versions/3").status_code == 404
    (group,) = client.get("/api/v1/runs/comparison").json()["groups"]
    (row,) = [row for row in group["rows"] if not row["missing"]]
    assert row["description_version"]["sentence"] == said
    assert client.get(f"/api/v1/runs/{run_id}").json()["description_version"]["newest"] == 2
    assert client.get(f"/api/v1/models/{model_id}").json()["description_version"]["sentence"] == said
    with context.db.writing() as session:
        answered = classifications.add_classification(session, model_id, [])
    assert client.get(f"/api/v1/classifications/{answered}").json()["description_version"]["sentence"] == said
