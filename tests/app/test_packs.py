"""Built-in packs as people reach them: listed, offered to images, checked, saved, trained with."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.services.experiment_plan import plan
from app.services.foreground import ForegroundTraining, prepare
from core.descriptions.packs import get_pack, packs
from core.errors import ClassMismatch, NotFound
from tests.app.conftest import png, zipped

NAMES = {"bright": "glioma", "dark": "notumor"}
URL = "/api/v1/description-sets/packs"


@pytest.fixture
def run(home, monkeypatch):
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(home))
    monkeypatch.delenv("PROMPTOSCOPE_DATABASE_URL", raising=False)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def scans(tmp_path):
    """A zip of pictures in the classes glioma and notumor."""
    counts = {"train": 4, "test": 2}
    places = [f"{part}/{name}/{i}.png" for part, n in counts.items() for name in NAMES.values() for i in range(n)]
    path = tmp_path / "scans.zip"
    path.write_bytes(zipped({place: png(seed, 60 + 10 * seed) for seed, place in enumerate(places)}))
    return path


def rows(result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_packs_are_listed_with_their_classes_and_counts(run):
    found = {row["name"]: row for row in rows(run("descriptions", "packs", "--json"))}
    assert len(found) == 12
    assert found["btmri"]["classes"] == ["glioma tumor", "meningioma tumor", "pituitary tumor", "normal brain"]
    assert found["btmri"]["sentences"] == 124
    assert {row["status"] for row in found.values()} == {"machine-drafted, unreviewed"}


@pytest.mark.parametrize("name", [pack.name for pack in packs()])
def test_every_pack_is_checked_by_its_name_with_exit_code_0(run, name):
    found = run("descriptions", "check", name, "--json")
    sentences = sum(map(len, get_pack(name).sentences.values()))
    assert found.exit_code == 0
    assert rows(found) == [
        {"classes": len(get_pack(name).sentences), "sentences": sentences, "findings": 0, "ok": True}
    ]


def test_images_are_offered_the_pack_that_fits_and_take_it_under_their_own_class_names(run, scans):
    run("images", "add", scans, "--name", "Scans")
    assert [row["name"] for row in rows(run("descriptions", "packs", "--images", "Scans", "--json"))] == ["btmri"]
    saved = rows(run("descriptions", "import", "btmri", "--images", "Scans", "--json"))[0]
    assert (saved["name"], saved["version"], saved["source"]) == ("btmri", 1, "pack:btmri")
    assert saved["versions"][0]["author"] == "pack:btmri (machine-drafted, unreviewed)"
    assert list(saved["sentences"]) == ["glioma", "notumor"]
    checked = run("descriptions", "check", "btmri", "--json")
    assert checked.exit_code == 0
    assert rows(checked)[-1] == {"classes": 2, "sentences": 62, "findings": 0, "ok": True}


@pytest.mark.parametrize(
    ("name", "modality", "offered"),
    [
        ("Scans", None, ["busi"]),
        ("Skin lesions", None, []),
        ("Scans", "dermatoscopy", []),
        ("Skin", "sonogram", ["busi"]),
    ],
)
def test_images_of_something_else_are_offered_no_pack_of_the_same_classes(run, tmp_path, name, modality, offered):
    places = [f"train/{label}/{i}.png" for label in ("benign", "malignant") for i in range(3)]
    path = tmp_path / "scans.zip"
    path.write_bytes(zipped({place: png(seed, 60 + 10 * seed) for seed, place in enumerate(places)}))
    run("images", "add", path, "--name", name, *(["--modality", modality] if modality else []))
    assert [row["name"] for row in rows(run("descriptions", "packs", "--images", name, "--json"))] == offered


def test_a_file_or_stored_set_with_the_name_of_a_pack_is_meant_and_said(run, scans, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("images", "add", scans, "--name", "Scans")
    run("descriptions", "import", "btmri", "--images", "Scans")
    stored = run("descriptions", "check", "btmri", "--json")
    assert stored.stderr.strip() == (
        "'btmri' is read as the stored set of this name; write pack:btmri for the built-in pack."
    )
    assert rows(run("descriptions", "check", "pack:btmri", "--json"))[-1]["classes"] == 4
    (tmp_path / "retina").write_text(json.dumps({"cyst": ["A round cyst."]}))
    own = run("descriptions", "check", "retina", "--json")
    assert "'retina' is read as the file of this name" in own.stderr
    assert rows(own)[-1]["sentences"] == 1


def test_a_pack_that_does_not_exist_or_fit_is_answered_with_what_there_is(run, scans):
    run("images", "add", scans, "--name", "Scans")
    missing = run("descriptions", "check", "pack:btmr", "--json")
    assert (missing.exit_code, "Did you mean 'btmri'?" in missing.stderr) == (2, True)
    other = run("descriptions", "import", "retina", "--images", "Scans")
    assert other.exit_code == 1
    assert "the images have glioma, notumor" in other.stderr


def test_training_takes_a_packs_name(context, scans):
    def prepared(descriptions):
        asked = ForegroundTraining(str(scans), "zero_shot", descriptions=descriptions)
        return prepare(context.settings, asked, lambda: nullcontext(context))

    found = prepared("btmri")
    assert (found.descriptions.source, found.version_id, found.wording_note) == ("pack:btmri", None, None)
    assert found.descriptions.sentences["notumor"] == get_pack("btmri").sentences["normal brain"]
    assert prepared("pack:btmri").descriptions.source == "pack:btmri"
    with pytest.raises(ClassMismatch, match="The pack 'retina' describes"):
        prepared("retina")
    with pytest.raises(NotFound):
        prepared("pack:none")


def test_experiments_compare_a_pack_with_templates(context, scans):
    given = {
        "name": "wording",
        "images": [str(scans)],
        "methods": ["zero_shot"],
        "shots": [1],
        "seeds": [1],
        "descriptions": ["templates", "btmri"],
    }
    found = plan(context, given, paths=True)
    (text,) = found.texts["btmri"].values()
    assert (text["source"], text["version_id"], len(text["sentences"]["glioma"])) == ("pack:btmri", None, 31)


def test_the_site_lists_packs_and_gives_their_sentences(client, context, scans):
    from app.services.incoming_images import kept_from_path

    kept = kept_from_path(context, str(scans))
    assert client.get(URL).json()["total"] == 12
    offered = client.get(URL, params={"image_set": kept["id"]}).json()["items"]
    assert [row["name"] for row in offered] == ["btmri"]
    found = client.get(f"{URL}/btmri", params={"image_set": kept["id"]}).json()
    assert (found["source"], list(found["sentences"]), found["classes"]) == (
        "pack:btmri",
        ["glioma", "notumor"],
        ["glioma", "notumor"],
    )
    assert client.get(f"{URL}/retina", params={"image_set": kept["id"]}).status_code == 422
    assert client.get(f"{URL}/none").status_code == 404
    assert client.get(URL, params={"image_set": "none"}).status_code == 404


def test_a_text_tower_finds_a_sentence_that_was_dealt_to_another_class(run, tmp_path):
    sentences = {name: list(texts[:12]) for name, texts in get_pack("btmri").sentences.items()}
    stray = next(text for text in sentences["pituitary tumor"] if "sella" in text)
    stray = stray.replace("pituitary tumor", "normal brain")
    sentences["normal brain"].append(stray)
    file = tmp_path / "dealt.json"
    file.write_text(json.dumps(sentences))
    found = run("descriptions", "check", file, "--embedding", "--json")
    assert found.exit_code == 0
    near = [row for row in rows(found)[:-1] if row["sentence"] == stray and row["finding"] == "near_other_class"]
    assert {row["class"] for row in near} == {"normal brain"}
    assert "lies nearer to what the others tell of 'pituitary tumor'" in near[-1]["detail"]
