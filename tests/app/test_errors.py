"""Every error has one shape, and none tells more than it should."""

from __future__ import annotations

import pytest

from app.services import jobs
from core.errors import Conflict


@pytest.mark.parametrize("address", ["/api/v1/nosuch", "/api/nosuch", "/api/v2/jobs", "/api/v1/jobs/x/y/z", "/api/"])
def test_unknown_addresses_answer_404_in_the_one_shape(client, error_of, address):
    for method in ("GET", "POST", "DELETE"):
        error = error_of(client.request(method, address), 404)
        assert error["found"] == f"there is none at {address}"


def test_wrong_methods_answer_405_and_name_the_right_ones(client, error_of):
    answer = client.put("/api/v1/jobs")
    assert error_of(answer, 405)["expected"] == "One of GET, POST at /api/v1/jobs"
    assert answer.headers["allow"] == "GET, POST"
    assert client.delete("/api/v1/methods").headers["allow"] == "GET"


def test_unknown_ids_answer_404_naming_what_was_asked_for(site, client, error_of):
    nouns = {
        "image-sets": "An image set", "images": "An image", "description-sets": "A description set", "jobs": "A job",
        "runs": "A run", "models": "A model", "classifications": "A classification", "explanations": "An explanation",
    }  # fmt: skip
    for noun, name in nouns.items():
        assert error_of(client.get(f"/api/v1/{noun}/none"), 404)["expected"].startswith(name)


def test_bodies_that_do_not_fit_name_each_field(client, error_of):
    error = error_of(client.post("/api/v1/jobs", json={"image_set": "a", "method": "coop", "shots": 0}), 422)
    assert any(field["field"].endswith("shots") for field in error["fields"])
    error = error_of(client.post("/api/v1/explanations", json={"model_id": "a", "imageid": "b"}), 422)
    assert {"field": "body.image_id", "problem": "Field required"} in error["fields"]
    assert {"field": "body.imageid", "problem": "Extra inputs are not permitted"} in error["fields"]


def test_malformed_json_is_a_mistake_of_the_sender(client, error_of):
    answer = client.post("/api/v1/jobs", content="{", headers={"content-type": "application/json"})
    assert error_of(answer, 422)["code"] == "invalid_input"


def test_large_json_is_refused_before_it_is_read(client, error_of):
    answer = client.post("/api/v1/jobs", content=b" " * (9 * 1024**2), headers={"content-type": "application/json"})
    assert error_of(answer, 413)["expected"] == "A JSON body of at most 8 MB"


@pytest.mark.parametrize("query", ["limit=0", "limit=100000", "offset=-1", "limit=x"])
def test_lists_refuse_pages_that_cannot_be(client, error_of, query):
    assert error_of(client.get(f"/api/v1/runs?{query}"), 422)["fields"][0]["field"].startswith("query.")


def test_unforeseen_failures_show_a_log_id_and_no_trace(client, error_of, monkeypatch, caplog):
    def break_down(*_):
        raise RuntimeError("secret detail about a patient")

    monkeypatch.setattr(jobs, "get_job", break_down)
    answer = client.get("/api/v1/jobs/some-id")
    error = error_of(answer, 500)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert error["log_id"] in caplog.text
    assert "GET /jobs/{job_id}: RuntimeError" in caplog.text
    assert "break_down" in caplog.text
    assert "secret" not in caplog.records[-1].getMessage().replace('"secret detail about a patient"', "")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_known_errors_keep_their_status_and_sentence(client, error_of, monkeypatch):
    def refuse(*_):
        raise Conflict("One thing", "two", "Take one.")

    monkeypatch.setattr(jobs, "cancel_job", refuse)
    error = error_of(client.post("/api/v1/jobs/a/cancel"), 409)
    assert error == {
        "code": "conflict", "message": "One thing; two. Take one.", "expected": "One thing", "found": "two",
        "remedy": "Take one.",
    }  # fmt: skip


def test_an_answer_that_is_no_error_of_ours_is_not_made_a_page(client, site, monkeypatch):
    monkeypatch.setattr("app.services.system.migrate.is_current", lambda url: False)
    answer = client.get("/readyz", headers={"accept": "text/html"})
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
