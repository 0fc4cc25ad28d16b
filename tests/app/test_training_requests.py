"""Training requests: checked before anything is queued; jobs and runs shown, cancelled and tried again."""

from __future__ import annotations

import pytest

from app.services import descriptions, training
from core.records import models as model_records
from core.records import runs as run_records
from tests.app.conftest import labelled_pictures, zipped
from training_jobs import job_queue

URL = "/api/v1/jobs"


def request(uploaded, **more) -> dict:
    return {"image_set": uploaded["id"], "method": "coop", "shots": 2} | more


def finish(context, job: dict, metrics: dict, predictions=(), **more) -> None:
    """What a worker would do: claim the job and seal its run."""
    with context.db.writing() as session:
        claim = job_queue.claim(session, executor="local", host="here", slots=9)
        record = {
            "metrics": metrics,
            "seconds": 12.0,
            "epochs": 10,
            "n_train": 4,
            "n_val": 4,
            "n_test": 6,
            "options": {},
        }
        record |= {"backbone": "embedded", "variant": "default"} | more
        run_records.seal_run(session, claim.run_id, record, predictions)
        job_queue.succeed(session, claim.job_id, claim.fence)


def test_job_is_queued_with_its_place(client, uploaded):
    first = client.post(URL, json=request(uploaded, epochs=3, options={"context_length": 8})).json()["items"][0]
    second = client.post(URL, json=request(uploaded, seed=2, name="Mine")).json()["items"][0]
    assert (first["state"], first["queue_position"], first["label"]) == ("queued", 1, "coop, 2 shots, seed 1")
    assert (second["queue_position"], second["label"]) == (2, "Mine")
    run = client.get(f"/api/v1/runs/{first['run_id']}").json()
    assert (run["state"], run["method_title"], run["options"]) == ("queued", "CoOp", {"context_length": 8})
    assert run["metrics"] is None
    assert client.get(URL, params={"state": "queued", "limit": 1}).json()["total"] == 2


@pytest.mark.parametrize(
    ("wrong", "status", "sentence"),
    [
        ({"method": "copo"}, 422, "The name of a method; 'copo' is none. Did you mean 'coop'?"),
        ({"options": {"epoch": 3}}, 422, "An option of coop; 'epoch' is none. Did you mean 'epochs'?"),
        ({"options": {"batch_size": 0}}, 422, "'batch_size' lies between 1 and 4096 images; found 0."),
        ({"variant": "paper", "method": "zero_shot"}, 422, "A variant of zero_shot; 'paper' is none."),
        ({"shots": 500}, 422, "500 shots per class need 500 training images in each class; 'bright' has 6"),
        ({"backbone": "nosuch"}, 404, "A backbone is one of embedded, biomedclip"),
        ({"backbone": "biomedclip"}, 503, "The backbone 'biomedclip' must be fetched once before it can be used"),
        ({"template": "no braces"}, 422, "A template is one sentence with {} where the class name goes"),
        ({"image_set": "nosuch"}, 404, "An image set with this id or name; 'nosuch' is none."),
        ({"description_set": "nosuch"}, 404, "A description set with this id or name; 'nosuch' is none."),
        (
            {"method": "cilmp", "options": {"language_model": "/none"}},
            403,
            "A language model must be named, not given as a folder of this machine; the request names a folder.",
        ),
        (
            {"method": "image_probe"},
            422,
            "Image-encoder probe needs an image encoder; 'encoder' is empty. Name one there: a backbone's name, ",
        ),
        ({"method": "image_probe", "options": {"encoder": "nosuch"}}, 404, "A backbone is one of embedded, "),
        (
            {"method": "resnet18", "options": {"encoder": "embedded"}},
            422,
            "A folder of timm's architecture 'resnet18'; 'embedded' holds 'a backbone'.",
        ),
        ({"seed": -1}, 422, "'seed' lies between 0 and 2147483647; found -1."),
    ],
)
def test_wrong_requests_are_refused_before_queueing(client, uploaded, error_of, wrong, status, sentence):
    error = error_of(client.post(URL, json=request(uploaded, **wrong)), status)
    assert error["message"].startswith(sentence)
    assert client.get(URL).json()["total"] == 0


RECIPE = "biomed_dpt/paper-2025/busi/few-shot"


def test_recipes_are_listed_by_method_and_shown(client, error_of):
    every = client.get("/api/v1/recipes", params={"limit": 1}).json()
    listed = client.get("/api/v1/recipes", params={"method": "biomed_dpt", "limit": 1000}).json()
    assert every["total"] > listed["total"] == 22
    assert listed["items"][0]["name"] == "biomed_dpt/paper-2025/btmri/few-shot"
    shown = client.get(f"/api/v1/recipes/{RECIPE}").json()
    assert (shown["options"]["anchor_weight"], shown["values"]["zero_vectors"]) == (18.75, 4)
    assert (shown["shots"], shown["classes"][0], len(shown["hash"])) == ([1, 2, 4, 8, 16], "benign tumor", 64)
    assert error_of(client.get("/api/v1/recipes/nosuch"), 404)["found"] == "'nosuch' is none"
    error_of(client.get("/api/v1/recipes", params={"method": "nosuch"}), 404)


def test_a_recipe_brings_its_method_and_the_run_keeps_it(client, uploaded, context):
    asked = {"image_set": uploaded["id"], "recipe": RECIPE, "shots": 2, "options": {"views": 4}}
    said = client.post(f"{URL}/estimate", json=asked).json()["notes"][0]
    assert said.startswith(f"Follows recipe {RECIPE} (hash ")
    assert "views 4 instead of 100; " in said
    assert "anchor_weight" not in said
    job = client.post(URL, json=asked).json()["items"][0]
    assert job["label"] == "biomed_dpt, 2 shots, seed 1"
    with context.db.writing() as session:
        claim = job_queue.claim(session, executor="local", host="here", slots=9)
        assert run_records.load_request(session, claim.run_id).recipe == RECIPE
        kept = {"name": RECIPE, "hash": "a" * 64, "deviations": [], "notes": ["A note."]}
        run_records.seal_run(session, claim.run_id, {"backbone": "embedded", "variant": "default", "recipe": kept})
    assert client.get(f"/api/v1/runs/{job['run_id']}").json()["recipe"] == kept


def test_a_recipe_of_another_method_is_refused(client, uploaded, error_of):
    error = error_of(client.post(URL, json=request(uploaded, recipe=RECIPE)), 422)
    assert error["message"].startswith(f"The recipe '{RECIPE}' is one of biomed_dpt; the method asked for is coop.")


def test_a_request_names_a_method_or_a_recipe(client, uploaded, error_of):
    error = error_of(client.post(URL, json={"image_set": uploaded["id"]}), 422)
    assert error["message"] == "A training request with 'method'; found none. Choose one."


def test_many_requests_are_queued_all_or_none(client, uploaded, error_of):
    good, bad = request(uploaded), request(uploaded, shots=500)
    error_of(client.post(URL, json={"requests": [good, bad]}), 422)
    assert client.get(URL).json()["total"] == 0
    assert client.post(URL, json={"requests": [good, good | {"seed": 2}]}).json()["total"] == 2


def test_all_images_are_asked_for_by_null(client, uploaded):
    answer = client.post(f"{URL}/estimate", json=request(uploaded, shots=None)).json()
    assert (answer["n_train"], answer["n_test"]) == (12, 6)
    assert answer["seconds"] is None


def test_estimate_says_before_the_start_that_cilmp_runs_without_a_language_model(client, uploaded):
    answer = client.post(f"{URL}/estimate", json=request(uploaded, method="cilmp")).json()
    assert any("not CILMP as published" in note for note in answer["notes"])


def test_estimate_scales_the_last_run_of_the_method(client, context, uploaded):
    job = client.post(URL, json=request(uploaded)).json()["items"][0]
    finish(context, job, {"accuracy": 1.0})
    assert client.post(f"{URL}/estimate", json=request(uploaded, epochs=20)).json()["seconds"] == 24.0


def test_job_is_cancelled_and_tried_again(client, uploaded, error_of):
    job = client.post(URL, json=request(uploaded)).json()["items"][0]
    assert client.post(f"{URL}/{job['id']}/cancel").json()["state"] == "cancelled"
    error_of(client.post(f"{URL}/{job['id']}/cancel"), 409)
    assert client.post(f"{URL}/{job['id']}/retry").json()["state"] == "queued"
    assert client.get(f"{URL}/{job['id']}/log").json() == {"id": job["id"], "log": ""}


def test_finished_runs_are_compared_with_like(client, context, uploaded):
    numbers = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa", "ece"), 0.75)
    job = client.post(URL, json=request(uploaded)).json()["items"][0]
    finish(context, job, numbers)
    answer = client.get("/api/v1/runs/comparison", params={"image_set": "Shades"})
    (group,) = answer.json()["groups"]
    assert group["image_set"]["name"] == "Shades"
    assert {row["method"] for row in group["rows"]} == {"coop", "zero_shot"}
    assert answer.headers["x-research-use-only"] == "Research use only. Not for use in diagnostic procedures."
    assert answer.json()["disclaimer"] == answer.headers["x-research-use-only"]
    assert client.get(f"/api/v1/runs/{job['run_id']}").json()["metrics"]["accuracy"] == 0.75


def test_a_comparison_without_tests_says_so_and_reads_no_answers(client, context, uploaded, monkeypatch):
    numbers = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa", "ece"), 0.75)
    finish(context, client.post(URL, json=request(uploaded)).json()["items"][0], numbers)
    monkeypatch.setattr("app.services.runs.answers_of_runs", lambda *_: pytest.fail("answers were read"))
    quick = client.get("/api/v1/runs/comparison", params={"image_set": "Shades", "tested": False}).json()
    assert quick["tested"] is False
    assert quick["groups"][0]["rows"][0]["mean"] == 0.75


def answers(uploaded, client, right: int) -> list[dict]:
    """Predictions of the test part: the first `right` of each class are right."""
    images = client.get(f"/api/v1/image-sets/{uploaded['id']}/images", params={"part": "test", "limit": 100}).json()
    other = {"bright": "dark", "dark": "bright"}
    seen = dict.fromkeys(other, 0)
    rows = []
    for image in images["items"]:
        label = image["class"]
        seen[label] += 1
        said = label if seen[label] <= right else other[label]
        row = {"file": image["name"], "label": label, "predicted": said}
        rows.append(row | {"probabilities": {name: float(name == said) for name in other}})
    return rows


def test_the_best_method_is_said_to_be_better_only_after_its_answers_were_paired(client, context):
    many = zipped(labelled_pictures(train=4, test=40))
    data, files = {"name": "Many"}, [("files", ("many.zip", many, "application/zip"))]
    uploaded = client.post("/api/v1/image-sets", data=data, files=files).json()
    for method, right in (("coop", 38), ("linear_probe", 20), ("zero_shot", 10)):
        job = client.post(URL, json=request(uploaded, method=method)).json()["items"][0]
        numbers = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa", "ece"), right / 40)
        table = [[right, 40 - right], [40 - right, right]]
        finish(context, job, numbers, answers(uploaded, client, right), confusion=table)
    (group,) = client.get("/api/v1/runs/comparison", params={"image_set": "Many"}).json()["groups"]
    verdict = group["verdict"]
    assert verdict["told_apart"]
    assert [each["method_title"] for each in verdict["against"]] == ["Linear probe", "Zero-shot"]
    assert verdict["against"][0]["difference"] == pytest.approx(0.45)
    assert verdict["sentence"].startswith(
        "CoOp has the highest balanced accuracy (95.0 %). It is better than every other"
    )
    first = group["rows"][0]["metrics"]["accuracy"]
    assert (first["low"], first["high"]) == pytest.approx((0.8784, 0.9804), abs=1e-4)


def test_leakage_that_was_allowed_stays_with_run_and_model(client, context, uploaded):
    count = {"test_images": 3, "of": 6, "by_drawn": 1}
    found = {"allowed": True, "found": True, "exact_copies": count, "near_duplicates": count}
    found |= {"shared_groups": count, "shared_names": count, "doubts": 6, "groups": 2, "two_classes": 0}
    found["sentence"] = "Leakage was allowed: 3 of 6."
    job = client.post(URL, json=request(uploaded, allow_leakage=True)).json()["items"][0]
    numbers = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa", "ece"), 0.75)
    assert client.get(f"/api/v1/runs/{job['run_id']}").json()["leakage"] is None
    finish(context, job, numbers, leakage=found, known_classes=["dark"])
    with context.db.writing() as session:
        model_id = model_records.add_model(
            session,
            job["run_id"],
            name="m",
            folder="m",
            weights_sha256="0" * 64,
            size_bytes=1,
            card={},
            calibrated=True,
        )
    run = client.get(f"/api/v1/runs/{job['run_id']}").json()
    assert (run["leakage"], run["known_classes"]) == (found, ["dark"])
    for model in (client.get(f"/api/v1/models/{model_id}").json(), client.get("/api/v1/models").json()["items"][0]):
        assert (model["leakage"], model["allowed_leakage"], model["known_classes"]) == (found, True, ["dark"])
    (group,) = client.get("/api/v1/runs/comparison", params={"image_set": "Shades"}).json()["groups"]
    assert group["leakage"] == found
    assert group["warnings"][0] == "Leakage was allowed: 3 of 6."
    assert group["known_classes"] == ["dark"]


def test_service_refuses_unknown_fields(context, uploaded):
    with pytest.raises(training.InvalidOption, match="'shot' is none"):
        training.submit(context, {"image_set": uploaded["id"], "method": "coop", "shot": 3})


def test_descriptions_are_saved_in_versions_and_used(client, context, uploaded, error_of):
    url, sentences = "/api/v1/description-sets", {"dark": ["a dark card."], "bright": ["a bright card.", " "]}
    body = {"image_set_id": uploaded["id"], "name": "Wording", "sentences": sentences, "author": "A. Reader"}
    saved = client.post(url, json=body).json()
    assert saved["sentences"] == {"bright": ["a bright card."], "dark": ["a dark card."]}
    again = client.post(url, json=body | {"based_on": 1}).json()
    assert (again["id"], again["version"]) == (saved["id"], 2)
    error_of(client.post(url, json=body | {"based_on": 1}), 409)
    missing = error_of(client.post(url, json=body | {"sentences": {"dark": ["x"]}}), 422)
    assert missing["found"] == "none for 'bright'"
    unknown = error_of(client.post(url, json=body | {"sentences": sentences | {"grey": ["x"]}}), 422)
    assert unknown["found"] == "found 'grey'"
    assert client.get(f"{url}/{saved['id']}/versions").json()["total"] == 2
    assert client.get(f"{url}/{saved['id']}?version=1").json()["version"] == 1
    job = client.post("/api/v1/jobs", json=request(uploaded, description_set="Wording")).json()["items"][0]
    with context.db.reading() as session:
        asked = run_records.load_request(session, job["run_id"])
    assert asked.description_version_id == descriptions.get_description_set(context, saved["id"])["version_id"]


def test_templates_are_previewed_and_checked(client, uploaded):
    url = "/api/v1/description-sets"
    found = client.get(f"{url}/preview", params={"image_set": "Shades", "template": "a {} card."}).json()
    assert found == {"sentences": {"bright": ["a bright card."], "dark": ["a dark card."]}}
    assert "test card" in client.get(f"{url}/preview", params={"image_set": "Shades"}).json()["sentences"]["dark"][0]
    sentences = {"bright": ["a grey card.", "a grey card."], "dark": ["dark after treatment."]}
    body = {"image_set_id": uploaded["id"], "name": "Poor", "sentences": sentences}
    saved = client.post(url, json=body).json()
    findings = client.post(f"{url}/check", json={"id": saved["id"]}).json()["items"]
    assert {row["finding"] for row in findings} == {"duplicate", "class_missing", "not_visible"}


def test_methods_and_backbones_are_described(client):
    methods = client.get("/api/v1/methods").json()["items"]
    assert {"zero_shot", "linear_probe", "coop", "biomed_dpt"} <= {row["name"] for row in methods}
    coop = client.get("/api/v1/methods/coop").json()
    epochs = next(option for option in coop["options"] if option["name"] == "epochs")
    assert (epochs["type"], epochs["unit"], epochs["bounds"]) == ("int", "epochs", [1, 5000])
    embedded = client.get("/api/v1/backbones").json()["items"][0]
    assert (embedded["name"], embedded["available"]) == ("embedded", True)
