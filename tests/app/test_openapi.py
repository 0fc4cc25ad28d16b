"""The OpenAPI page tells a programmer everything: each address, its answers and its errors."""

from __future__ import annotations

import pytest

NOUNS = (
    "image-sets", "images", "description-sets", "methods", "backbones", "jobs", "runs", "models", "classifications",
    "explanations", "experiments",
)  # fmt: skip


@pytest.fixture
def schema(client) -> dict:
    return client.get("/api/v1/openapi.json").json()


def operations(schema: dict):
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_noun_has_its_address(schema):
    for noun in NOUNS:
        assert any(path.startswith(f"/api/v1/{noun}") for path in schema["paths"]), noun


def test_every_operation_has_summary_description_and_tag(schema):
    for name, operation in operations(schema):
        for part in ("summary", "description", "tags"):
            assert operation[part], (name, part)
    summaries = [operation["summary"] for _, operation in operations(schema)]
    assert len(set(summaries)) == len(summaries)


def test_every_operation_says_what_it_answers(schema):
    for name, operation in operations(schema):
        good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert len(good) == 1, name
        for media_type, content in good[0]["content"].items():
            assert content["schema"], name
            if media_type == "application/json":
                assert "$ref" in content["schema"], name


def test_every_operation_documents_its_errors_in_the_one_shape(schema):
    for name, operation in operations(schema):
        answers = operation["responses"]
        assert {"401", "403", "500"} <= set(answers), name
        if "{" in name:
            assert "404" in answers, name
        for status, answer in answers.items():
            if status.startswith("4") or status == "500":
                found = answer["content"]["application/json"]["schema"]
                assert found == {"$ref": "#/components/schemas/ErrorAnswer"}, (name, status)


def test_uploads_document_their_form(schema):
    for noun in ("image-sets", "classifications"):
        body = schema["paths"][f"/api/v1/{noun}"]["post"]["requestBody"]
        form = body["content"]["multipart/form-data"]["schema"]
        assert form["properties"]["files"]["items"] == {"type": "string", "format": "binary"}
        assert "files" in form["required"]


def test_lists_take_limit_and_offset(schema):
    for noun in NOUNS:
        operation = schema["paths"].get(f"/api/v1/{noun}", {}).get("get")
        if operation:
            names = {parameter["name"] for parameter in operation["parameters"]}
            assert {"limit", "offset"} <= names, noun


def test_description_says_research_use_only(schema):
    assert "Research use only. Not for use in diagnostic procedures." in schema["info"]["description"]
