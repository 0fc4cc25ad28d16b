"""Whatever is sent, the answer is a sentence with a status below 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.main import create_app
from app.services.context import Context
from core.experiments.spec import parse_spec
from core.records import classifications, descriptions, experiments, image_sets, jobs, runs
from core.records.sentences import load_sentences
from core.settings import Settings
from tests.app.hostile import Answer, Attacker, Call, ask
from tests.core.records.databases import ENGINES, database_url
from tests.core.records.samples import add_sample_set, add_sealed_run


def known_values(context: Context) -> dict[str, list[str]]:
    """Values that exist, by the names under which requests ask for them."""
    with context.db.writing() as session:
        set_id = add_sample_set(session, context.settings.images_dir)
        run_id, model_id = add_sealed_run(session, set_id)
        text_id, _ = descriptions.save_version(
            session, set_id, "texts", {"lesion": ["one"], "calm": ["two"]}, author="owner", source="api"
        )
        sentence_id = load_sentences(session, text_id)[0].id
        queued = runs.add_run(session, runs.RunRequest(image_set=set_id, method="coop"))
        job_id = jobs.add_job(session, queued, "coop")
        image_id = image_sets.list_images(session, set_id)[0]["id"]
        answers = [{"image_id": image_id, "label": "calm", "probabilities": {"calm": 1.0}}]
        asked_id = classifications.add_classification(session, model_id, answers)
        planned = add_planned_experiment(session, set_id, run_id)
    return {
        "image_set_id": [set_id, "phantoms"],
        "image_set": [set_id],
        "image_id": [image_id],
        "run_id": [run_id, queued],
        "run": [run_id],
        "model_id": [model_id],
        "model": [model_id],
        "job_id": [job_id],
        "description_set_id": [text_id],
        "description_set": [text_id, "texts"],
        "sentence_id": [sentence_id],
        "ids": [sentence_id],
        "actor": ["Ada"],
        "id": [text_id],
        "classification_id": [asked_id],
        "experiment_id": [planned, "planned"],
        "predicted": ["calm"],
        "label": ["calm", "lesion"],
        "shots": ["4", "all"],
        "name": ["coop", "texts", "zero_shot"],
        "method": ["coop", "zero_shot", "linear_probe"],
        "backbone": ["embedded"],
        "variant": ["default", "paper"],
        "template": ["a photo of a {}."],
        "keys": ["epochs", "batch_size", "learning_rate", "template", "lesion", "calm"],
        "version": ["1"],
        "limit": ["1", "100"],
        "offset": ["0", "1"],
        "part": ["test"],
        "state": ["queued"],
        "kind": ["arrays", "approve", "edit", "add", "settle"],
    }


def add_planned_experiment(session: Session, set_id: str, run_id: str) -> str:
    """An experiment of one cell, which is done."""
    spec = parse_spec({"name": "planned", "images": ["phantoms"], "methods": ["coop"], "shots": [4], "seeds": [1]})
    cell = {"image_set_id": set_id, "image_set_name": "phantoms", "image_set_fingerprint": "f" * 64, "line": "coop"}
    cell |= {"method": "coop", "shots": 4, "share": None, "seed": 1, "descriptions": None}
    made = experiments.add_experiment(
        session,
        name="planned",
        protocol="few-shot",
        backbone="embedded",
        hash="e" * 64,
        spec=spec.as_dict(),
        sources={"images": {"phantoms": set_id}, "targets": {}},
        texts={},
        cells=[cell],
    )
    (claimed,) = experiments.claim_cells(session, made, experiments.Holder("here", 1))
    experiments.finish_cell(session, claimed.claim, run_id, 1.0)
    return made


def answers_to(
    site: FastAPI, calls: Iterable[Call], signed_in: bool = True, *left_out: bytes
) -> list[tuple[Call, Answer]]:
    access = site.state.access
    cookie = f"{access.cookie_name}={access.new_session()}".encode() if signed_in else None

    async def all_of_them() -> list[tuple[Call, Answer]]:
        return [(call, await ask(site, call, cookie, left_out)) for call in calls]

    return asyncio.run(all_of_them())


def refuse_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def check(found: list[tuple[Call, Answer]]) -> None:
    """No answer is a failure, every error has the one shape, and all JSON is JSON as browsers read it."""
    failed = [f"{answer.status} {call}" for call, answer in found if not 200 <= answer.status < 500]
    assert not failed, "\n".join(failed)
    for _, answer in found:
        kind = dict(answer.headers).get(b"content-type", b"")
        if kind.startswith(b"application/json"):
            body = json.loads(answer.body.decode(), parse_constant=refuse_constant)
            assert answer.status < 400 or {"code", "message", "expected", "found", "remedy"} <= set(body["error"])


def attack(site: FastAPI, seed: int, rounds: int) -> list[tuple[Call, Answer]]:
    known = known_values(site.state.context)
    return answers_to(site, Attacker(site.openapi(), known, seed).calls(rounds))


def test_no_route_fails_on_hostile_values(site: FastAPI) -> None:
    found = attack(site, seed=1, rounds=8)
    assert len(found) > 300
    check(found)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("seed", [2, 3])
def test_no_route_fails_on_thousands_of_hostile_values(kind: str, seed: int, tmp_path: Path) -> None:
    with database_url(kind, tmp_path) as url:
        app = create_app(Settings(home=tmp_path / "home", database_url=url), with_worker=False, with_pages=False)
        with TestClient(app):
            found = attack(app, seed, rounds=60)
    assert len(found) > 2000
    check(found)


def test_a_query_that_is_no_text_is_refused_where_nothing_is_found_too(site: FastAPI) -> None:
    [(_, answer)] = answers_to(site, [Call("GET", "/api/v1/images/%2F/file", query=b"\xff=\xff")])
    assert answer.status == 422


@pytest.mark.parametrize(
    "path", ["/api/v1/runs/a%00b", "/api/v1/nosuch%1b", "/%00", "/static/%e2%80%ae.css", "/healthz%0a"]
)
def test_addresses_with_control_characters_are_refused_wherever_they_lead(site: FastAPI, path: str) -> None:
    [(_, answer)] = answers_to(site, [Call("GET", path)])
    assert answer.status == 422
    assert json.loads(answer.body)["error"]["expected"] == "An address without control characters"


@pytest.mark.parametrize("origin", [b"http://[", b"http://]", b"null", b"", b"http://\xe2\x84\x80.x", b"\xff"])
def test_malformed_origins_are_foreign_ones(site: FastAPI, origin: bytes) -> None:
    call = Call("POST", "/api/v1/jobs", headers=((b"origin", origin),), body=b"{}")
    for signed_in in (False, True):
        [(_, answer)] = answers_to(site, [call], signed_in, b"sec-fetch-site")
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (403, "not_allowed")


HOSTILE_BODIES = {
    "half of a surrogate pair": {"template": "a \ud800 {}"},
    "a control character": {"modality": "x\x00"},
    "a mark that turns the direction of text": {"name": "run \u202e"},
    "less than or equal to 2147483647": {"shots": 2**31},
    "fit into 64 bits": {"seed": 2**63},
    "not true or false": {"epochs": True},
    "Numbers should be finite": {"options": {"learning_rate": float("nan")}},
    "at most 32 levels": {"options": {"x": json.loads("[" * 40 + "]" * 40)}},
}


@pytest.mark.parametrize(("problem", "part"), HOSTILE_BODIES.items())
def test_bodies_name_the_field_that_cannot_be_kept(site: FastAPI, problem: str, part: dict[str, Any]) -> None:
    body = json.dumps({"image_set": "x", "method": "coop"} | part).encode()
    [(_, answer)] = answers_to(site, [Call("POST", "/api/v1/jobs/estimate", body=body)])
    error = json.loads(answer.body)["error"]
    assert answer.status == 422
    assert any(problem in field["problem"] for field in error["fields"]), error


def test_a_refused_key_is_shown_fit_for_a_screen(site: FastAPI) -> None:
    body = b'{"image_set": "x", "\\ud800": 1}'
    [(_, answer)] = answers_to(site, [Call("POST", "/api/v1/jobs/estimate", body=body)])
    assert answer.status == 422
    assert "half of a surrogate pair" in json.loads(answer.body)["error"]["found"]


@pytest.mark.parametrize("length", [b"\xb2", b"-1", b"9" * 5000, b"x"])
def test_senseless_lengths_are_not_counted_on(site: FastAPI, length: bytes) -> None:
    [(_, answer)] = answers_to(site, [Call("POST", "/api/v1/jobs", headers=((b"content-length", length),), body=b"{}")])
    assert answer.status == 422


def test_form_fields_follow_the_rule_for_texts(client: TestClient, error_of) -> None:
    file = [("files", ("a.png", b"", "image/png"))]
    for name, found in (("a\x00b", "U+0000"), ("a\u202eb", "U+202E"), ("x" * 201, "found 201")):
        error = error_of(client.post("/api/v1/image-sets", data={"name": name}, files=file), 422)
        assert found in error["found"]


def test_a_large_body_is_refused_whatever_it_calls_itself(client: TestClient, error_of) -> None:
    body, kind = b"x" * (8 * 1024**2 + 1), {"Content-Type": "multipart/form-data; boundary=x"}
    assert error_of(client.post("/api/v1/jobs", content=body, headers=kind), 413)["code"] == "too_large"
    assert error_of(client.post("/api/v1/image-sets", content=body, headers=kind), 422)
