"""Published numbers over HTTP and on the command line, and where they stand beside rows of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from app.cli import app
from app.services import published_beside
from app.services.context import Context
from tests.app.test_experiments_api import asked, shades, work_off  # noqa: F401

URL = "/api/v1/published-results"
COOP = {"method": "coop", "data_set": "Shades", "value": "92.5 %", "shots": 4, "seeds": 3, "n_test": 60}
COOP |= {"whose": "authors", "source": "A paper, 2025", "place": "Table 3"}


@pytest.fixture
def experiment(client: TestClient, shades: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: F811
    """A finished experiment of two methods, two numbers of shots and three seeds."""
    made = client.post("/api/v1/experiments", json=asked()).json()
    work_off(context, made)
    return made


def keep(client: TestClient, *results: dict[str, Any]) -> list[str]:
    answer = client.post(URL, json={"results": list(results)})
    assert answer.status_code == 201, answer.text
    return answer.json()["ids"]


def beside(client: TestClient, experiment: dict[str, Any], line: str = "coop", shots: int = 4) -> dict[str, Any]:
    """The row of a line of the experiment."""
    rows = client.get(f"/api/v1/experiments/{experiment['id']}").json()["rows"]
    return next(row for row in rows if (row["line"], row["shots"]) == (line, shots))


def test_numbers_are_kept_listed_and_deleted(client: TestClient) -> None:
    (made,) = keep(client, COOP)
    assert client.post(URL, json={"results": [COOP]}).json() == {"added": 0, "known": 1, "ids": []}
    page = client.get(URL, params={"method": "coop"}).json()
    assert page["total"] == 1
    assert (page["items"][0]["value"], page["items"][0]["place"], page["items"][0]["shots"]) == (0.925, "Table 3", 4)
    assert client.get(URL, params={"method": "maple"}).json()["items"] == []
    assert client.delete(f"{URL}/{made}").json() == {"deleted": made}
    assert client.delete(f"{URL}/{made}").status_code == 404


def test_a_file_is_read_whole_or_not_at_all(client: TestClient) -> None:
    text = "method,data_set,value,shots,whose,source,place\ncoop,A,50%,1,authors,P,T\ncoop,B,50,1,authors,P,T\n"
    answer = client.post(URL, json={"name": "a.csv", "text": text})
    assert answer.status_code == 422
    assert "Line 3: 'value' is a fraction" in answer.json()["error"]["message"]
    assert client.get(URL).json()["total"] == 0
    answer = client.post(URL, json={"name": "a.csv", "text": text.replace("B,50,", "B,50%,")})
    assert (answer.status_code, answer.json()["added"]) == (201, 2)


def test_another_value_of_a_number_is_a_conflict(client: TestClient) -> None:
    keep(client, COOP)
    answer = client.post(URL, json={"results": [COOP | {"value": 0.5}]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


def test_those_that_come_with_the_project_are_kept_on_request(client: TestClient) -> None:
    assert client.post(f"{URL}/shipped").json()["added"] == 3
    assert client.post(f"{URL}/shipped").json() == {"added": 0, "known": 3, "ids": []}


def test_a_harmonic_mean_that_is_another_mean_says_so(client: TestClient) -> None:
    half = COOP | {"protocol": "base-to-novel", "shots": 16}
    parts = {"base": "78.06 %", "novel": "75.97 %", "harmonic mean": "77.02 %"}
    keep(client, *({**half, "part": part, "value": value} for part, value in parts.items()))
    told = {row["part"]: row["h_is"] for row in client.get(URL).json()["items"]}
    assert told == {"base": "", "novel": "", "harmonic mean": "listed as harmonic mean, is the arithmetic mean"}


def test_a_number_stands_beside_the_row_of_its_method_and_shots(client: TestClient, experiment: dict[str, Any]) -> None:
    keep(client, COOP)
    (found,) = beside(client, experiment)["published"]
    assert (found["whose"], found["k"], found["seeds"], found["value"]) == ("its authors", 4, 3, 0.925)
    assert (found["ours"], found["n"], found["matched"]) == (pytest.approx(0.95), 60, "name")
    assert found["low"] < found["mark"] <= found["high"]
    assert "Spread over draws is not in this." in found["sentence"]
    assert published_beside.NO_RECIPE in found["notes"]
    assert beside(client, experiment, shots=2)["published"] == []
    assert beside(client, experiment, "linear_probe")["published"] == []


def test_it_stands_on_the_page_of_single_runs_too(client: TestClient, experiment: dict[str, Any]) -> None:
    keep(client, COOP, COOP | {"place": "Table 4", "n_test": 61})
    groups = client.get("/api/v1/runs/comparison").json()["groups"]
    (group,) = (group for group in groups if group["shots"] == 4)
    told = {row["method"]: [each["place"] for each in row["published"]] for row in group["rows"]}
    assert told == {"coop": ["Table 3"], "linear_probe": [], "zero_shot": []}
    assert any("it is of 61 test images, ours of 60" in note for note in group["notes"])


def test_a_number_of_another_name_is_tied_to_the_test_part(client: TestClient, experiment: dict[str, Any]) -> None:
    (made,) = keep(client, COOP | {"data_set": "Grey levels", "n_test": 1000})
    assert beside(client, experiment)["published"] == []
    answer = client.post(f"{URL}/{made}/match", json={"image_set": "Shades"})
    assert (answer.status_code, answer.json()["n_test"]) == (200, 60)
    (found,) = beside(client, experiment)["published"]
    assert (found["matched"], found["n"]) == ("images", 60)
    client.post(f"{URL}/{made}/match", json={"image_set": "Shades", "n_test": 40})
    (found,) = beside(client, experiment)["published"]
    assert (found["matched"], found["n"]) == ("said", 40)
    assert client.post(f"{URL}/{made}/match", json={"image_set": "no such set"}).status_code == 404
    assert client.post(f"{URL}/x/match", json={"image_set": "Shades"}).status_code == 404


def test_zero_shot_is_like_at_any_number_of_shots(client: TestClient, experiment: dict[str, Any]) -> None:
    keep(client, COOP | {"method": "zero_shot", "shots": 0, "value": 0.52})
    assert [len(beside(client, experiment, "zero_shot", shots)["published"]) for shots in (2, 4)] == [1, 1]


def test_a_controlled_comparison_has_no_number_beside_it(
    client: TestClient, experiment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.experiments import controlled

    assert f'"{published_beside.CONTROLLED}: ' in Path(controlled.__file__).read_text("utf-8")
    keep(client, COOP)
    monkeypatch.setattr(published_beside, "_is_controlled", lambda run: True)
    assert beside(client, experiment)["published"] == []


def test_unreadable_requests_are_refused(client: TestClient) -> None:
    for body in (
        {},
        {"results": []},
        {"results": [COOP | {"page": 3}]},
        {"text": 3},
        {"results": [{"method": "coop"}]},
    ):
        assert client.post(URL, json=body).status_code == 422, body


def test_commands_import_list_match_and_delete(
    client: TestClient, experiment: dict[str, Any], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(home))
    monkeypatch.delenv("PROMPTOSCOPE_DATABASE_URL", raising=False)

    def run(*words: Any) -> Any:
        return CliRunner().invoke(app, [str(word) for word in words])

    file = tmp_path / "numbers.toml"
    file.write_text("[[result]]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in COOP.items()))
    assert run("published", "import", file).stdout == "Kept 1 published numbers.\n"
    assert json.loads(run("published", "import", file, "--json").stdout)["known"] == 1
    (row,) = [json.loads(line) for line in run("published", "list", "--json").stdout.splitlines()]
    assert row["value"] == 0.925
    assert "92.5 %" in run("published", "list").stdout
    matched = run("published", "match", row["id"], "--images", "Shades")
    assert matched.stdout == "92.5 % of Shades is of 'Shades', exactly its test part.\n"
    shown = [json.loads(line) for line in run("experiment", "show", "First look", "--json").stdout.splitlines()]
    found = [each for line in shown if line["kind"] == "row" for each in line["published"]]
    assert [each["matched"] for each in found] == ["images"]
    assert "Published 92.5 (its authors), ours 95.0" in run("experiment", "show", "First look").stdout
    compared = [json.loads(line) for line in run("compare", "Shades", "--json").stdout.splitlines()]
    assert [len(line["published"]) for line in compared if line["method"] == "coop"] == [0, 1]
    assert "Published 92.5 (its authors), ours 95.0" in run("compare", "Shades").stdout
    assert run("published", "delete", row["id"]).exit_code == 0
    assert run("published", "delete", row["id"]).exit_code == 2
    (tmp_path / "bad.csv").write_text("method\ncoop\n")
    refused = run("published", "import", tmp_path / "bad.csv")
    assert (refused.exit_code, "missing: data_set" in refused.stderr) == (1, True)
