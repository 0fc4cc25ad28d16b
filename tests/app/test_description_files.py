"""Sentences in and out through the API: drafts from files, every layout back again, a methods section."""

from __future__ import annotations

import csv
import io

import pytest

from core.descriptions.layouts.catalogue import layouts
from tests.app.test_description_review import TEXTS, act, listed, url

__all__ = ["url"]


def import_(client, url, text, name, status=201, **more) -> dict:
    answer = client.post(f"{url}/import", json={"text": text, "name": name, "actor": "Bo", **more})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_imported_sentences_are_drafts_from_a_file(client, url):
    lines = (
        "class,sentence,state",
        "BRIGHT,A new bright card.,approved",
        "bright,A bright card of light grey.,",
        "other,x,",
    )
    text = "\r\n".join(lines)
    done = import_(client, url, text, "C:/folder/bank.csv")
    assert (done["added"], done["known"], done["other_classes"], done["layout"]) == (1, 1, ["other"], "csv")
    found = next(row for row in listed(client, url) if row["text"] == "A new bright card.")
    assert (found["class"], found["state"], found["author_kind"], found["author"]) == ("bright", "draft", "file", "Bo")
    assert found["origin"] == {"file": "bank.csv", "layout": "csv"}
    again = import_(client, url, text, "bank.csv")
    assert (again["action"], again["added"], again["known"]) == (None, 0, 2)
    client.post(f"{url}/undo", json={"actor": "Bo"})
    assert len(listed(client, url)) == 4


@pytest.mark.parametrize("layout", list(layouts()))
def test_what_is_exported_comes_back(client, url, uploaded, layout):
    act(client, url, "add", text="Über 'quotes' \"and\" \\ signs, =1+1.", **{"class": "dark"})
    answer = client.get(f"{url}/export", params={"layout": layout})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].endswith(f"words-now-{layout}{layouts()[layout].suffix}")
    made = client.post("/api/v1/description-sets", json={"image_set_id": uploaded["id"], "name": "copy"}).json()
    copy = f"/api/v1/description-sets/{made['id']}"
    import_(client, copy, answer.text, f"copy{layouts()[layout].suffix}", layout=layout)
    assert [(row["class"], row["text"]) for row in listed(client, copy)] == [
        (row["class"], row["text"]) for row in listed(client, url)
    ]
    assert client.get(f"{copy}/export", params={"layout": layout}).text.count("signs") == 1


def test_a_csv_says_how_sentences_stand_and_a_version_stays(client, url):
    act(client, url, "reject", where={"class": "dark"}, reason="vague")
    client.post(f"{url}/plant", json={"actor": "Cy", "n": 1})
    rows = list(csv.DictReader(io.StringIO(client.get(f"{url}/export?layout=csv").text)))
    assert [(row["class"], row["state"], row["reason"], row["author"], row["revision"]) for row in rows] == [
        ("bright", "draft", "", "Ada", "1"),
        ("bright", "draft", "", "Ada", "1"),
        ("dark", "rejected", "vague", "Ada", "2"),
        ("dark", "rejected", "vague", "Ada", "2"),
    ]
    assert client.get(f"{url}/export").json() == {"bright": TEXTS["bright"]}
    assert client.get(f"{url}/export?version=1").json() == TEXTS
    of_version = list(csv.DictReader(io.StringIO(client.get(f"{url}/export?version=1&layout=csv").text)))
    assert {row["state"] for row in of_version} == {"draft"}


def test_files_that_cannot_be_used_are_refused(client, url, error_of):
    def refused(text, name, status=422, **more):
        answer = client.post(f"{url}/import", json={"text": text, "name": name, "actor": "Bo", **more})
        return error_of(answer, status)["message"]

    assert "is no JSON" in refused("{", "a.json")
    assert "Sentences for the classes bright, dark; the file has 'cat'" in refused('{"cat": ["x"]}', "a.json")
    assert "A layout of json, csv" in refused("{}", "a.json", layout="yaml")
    assert "has none" in refused("X = {'bright': [open('/etc/passwd').read()]}", "a.py")
    assert "found more" in refused("x" * 9_000_000, "a.json", 413)
    error_of(client.get(f"{url}/export?layout=yaml"), 422)
    error_of(client.get(f"{url}/export?version=9"), 404)
    assert len(listed(client, url)) == 4


def test_a_methods_section_of_a_review(client, url):
    act(client, url, "approve", where={"class": "bright"})
    act(client, url, "edit", ids=[listed(client, url)[2]["id"]], text="A dark card.", approve=True, seconds=3)
    told = client.get(f"{url}/methods-section").json()["text"]
    assert "made from 4 sentences about 2 classes: 4 written by Ada. 1 sentence was edited by people." in told
    assert "1 reader (Ada) reviewed 3 of 4 sentences: 3 approved, 0 rejected" in told
    assert "The median time per sentence was 3.0 s (1 decision timed)." in told
    assert "Not known: agreement" in told


def test_a_pack_is_added_once_as_drafts_of_its_own_kind_and_taken_back_at_once(client):
    demo = client.post("/api/v1/image-sets/demo").json()
    made = client.post("/api/v1/description-sets", json={"image_set_id": demo["id"], "name": "from a pack"}).json()
    at = f"/api/v1/description-sets/{made['id']}"
    answer = client.post(f"{at}/packs/demo", json={"actor": "Bo"})
    assert answer.status_code == 201, answer.text
    (pack,) = client.get("/api/v1/description-sets/packs", params={"image_set": demo["id"]}).json()["items"]
    assert (answer.json()["added"], answer.json()["known"]) == (pack["sentences"], 0)
    rows = client.get(f"{at}/sentences", params={"limit": 1000}).json()["items"]
    assert {(row["state"], row["author_kind"], row["author"]) for row in rows} == {("draft", "pack", "pack:demo")}
    assert {row["origin"]["status"] for row in rows} == {pack["status"]}
    again = client.post(f"{at}/packs/demo", json={"actor": "Bo"}).json()
    assert (again["action"], again["added"], again["known"]) == (None, 0, pack["sentences"])
    assert client.post(f"{at}/undo", json={"actor": "Bo"}).json()["action"]["changed"] == pack["sentences"]
    assert client.get(f"{at}/sentences").json()["total"] == 0


def test_a_pack_for_other_classes_or_of_another_name_is_refused(client, url):
    assert client.post(f"{url}/packs/demo", json={"actor": "Bo"}).status_code in {409, 422}
    assert client.post(f"{url}/packs/none-such", json={"actor": "Bo"}).status_code == 404
    assert client.post(f"{url}/packs/demo", json={}).status_code == 422


def test_layouts_are_listed_with_how_their_files_end(client):
    found = client.get("/api/v1/description-sets/layouts").json()["items"]
    assert [row["name"] for row in found] == list(layouts())
    assert {row["suffix"] for row in found} == {".json", ".csv", ".py"}
