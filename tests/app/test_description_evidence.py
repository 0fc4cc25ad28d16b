"""`descriptions evidence` as a person uses it: files and saved sets, JSON, the report, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.home import opened
from app.services.description_evidence import EvidenceRequest, open_sentences
from core.settings import Settings
from tests.app.conftest import labelled_pictures
from tests.builders import tiny_backbone_folder

TEXTS = {
    "bright": ["A bright square.", "bright: nearly white all over", "Light from edge to edge."],
    "dark": ["A dark square.", "dark: nearly black all over"],
}


@pytest.fixture(autouse=True)
def own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(home))
    monkeypatch.delenv("PROMPTOSCOPE_DATABASE_URL", raising=False)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name, content in labelled_pictures(train=9, test=3).items():
        file = tmp_path / "shades" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "shades"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.json"
    file.write_text(json.dumps(TEXTS))
    return file


def run(*words: object):
    return CliRunner().invoke(app, ["descriptions", "evidence", *map(str, words)])


def options(images: Path | str) -> list[object]:
    return ["--images", images, "--backbone", tiny_backbone_folder(), "--shots", 6, "--replacements", 99]


def test_json_holds_one_object_a_sentence_then_a_summary_with_the_controls(images: Path, texts: Path) -> None:
    done = run(texts, *options(images), "--curve", "--json")
    assert done.exit_code == 0, done.output
    *rows, summary = map(json.loads, done.stdout.splitlines())
    assert [(row["class"], row["sentence"]) for row in rows] == [(name, t) for name, own in TEXTS.items() for t in own]
    keys = {"class", "sentence", "agreement", "effect", "low", "high", "p_adjusted", "verdict"}
    assert all(keys <= set(row) for row in rows)
    assert {row["verdict"] for row in rows} <= {"helpful", "harmful", "cannot_tell"}
    # 6 shots a class and 3 further training images to validate on, none of the 6 test images
    assert (summary["n_images"], summary["n_groups"], summary["groups"]) == (18, 18, "images")
    assert set(summary["controls"]) >= {"template", "random_everyday", "random_radiological", "without_names",
                                        "wrong_classes", "better_than_random_words", "answer"}  # fmt: skip
    assert {row["order"] for row in summary["curve"]["rows"]} == {"given", "random", "evidence", "diversity"}
    assert summary["descriptions"] == "file:texts.json"
    assert summary["disclaimer"].startswith("Research use only")
    assert summary["smallest_effect"] > 0


def test_a_second_call_gives_the_same_and_encodes_nothing(
    images: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.backbones.open_clip_adapter import OpenClipBackbone

    first = run(texts, *options(images), "--json")
    monkeypatch.setattr(OpenClipBackbone, "encode_texts", None)
    monkeypatch.setattr(OpenClipBackbone, "encode_images_frozen", None)
    second = run(texts, *options(images), "--json")
    assert second.exit_code == 0, second.output
    without_seconds = [re.sub(r'"seconds": [\d.]+', "", done.stdout) for done in (first, second)]
    assert without_seconds[0] == without_seconds[1]


def test_saved_sets_are_found_by_name(images: Path, texts: Path) -> None:
    runner = CliRunner()
    runner.invoke(app, ["images", "add", str(images), "--name", "Shades"])
    runner.invoke(app, ["descriptions", "import", str(texts), "--images", "Shades", "--name", "Wording"])
    done = run("Wording", *options("Shades"), "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["descriptions"], summary["images"]) == ("Wording, version 1", "Shades")


def test_the_report_is_one_file_with_pictures_that_asks_for_nothing(images: Path, texts: Path, tmp_path: Path) -> None:
    texts.write_text(json.dumps({**TEXTS, "dark": ["<script>alert(1)</script>", *TEXTS["dark"]]}))
    out = tmp_path / "report.html"
    done = run(texts, *options(images), "--curve", "--out", out)
    assert done.exit_code == 0, done.output
    page = out.read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"""(?:src|href)\s*=|url\((?!data:image/jpeg;base64,)|https?://""", page)
    shown = set(re.findall(r'class="p (i\d+)', page))
    assert shown == set(re.findall(r"\.(i\d+)\{background-image", page))
    # of each sentence the nearest four of all and the farthest four of its class
    assert len(re.findall(r'role="img" aria-label="(?:bright|dark): ', page)) == 8 * 6
    assert page.count("<svg") == 2
    assert "Research use only" in page
    assert f"Report: {out}" in done.stdout


def test_people_read_verdicts_controls_and_the_answer(images: Path, texts: Path) -> None:
    done = run(texts, *options(images))
    assert done.exit_code == 0, done.output
    assert "5 sentences on 18 training images" in done.stdout
    assert "random words of radiology" in done.stdout
    assert "No patients are known: each image counts as one." in done.stdout


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        (["--replacements", "10"], 2, "Between 99 and 99,999 replacements"),
        (["--shots", "50"], 1, "50 shots per class need 50 training images"),
        (["--seed", "-1"], 2, "'seed' lies between 0 and"),
        (["--template", "no slot"], 1, "A template is one sentence with {}"),
        (["--backbone", "nothing-of-the-kind"], 2, "nothing-of-the-kind"),
        (["--out", "/no/such/folder/report.html"], 2, "A report in a folder that exists"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    images: Path, texts: Path, change: list[str], code: int, sentence: str
) -> None:
    done = run(texts, *options(images), *change)
    assert done.exit_code == code, done.output
    assert sentence in done.stderr
    assert "Traceback" not in done.output


def test_missing_names_and_classes_are_refused(images: Path, texts: Path) -> None:
    assert run("no such set", *options(images)).exit_code == 2
    assert run(texts, *options("no such images")).exit_code == 2
    texts.write_text(json.dumps({"bright": ["x"]}))
    done = run(texts, *options(images))
    assert done.exit_code == 1
    assert "none for 'dark'" in done.stderr


def test_images_that_leak_into_the_test_part_are_refused_unless_allowed(images: Path, texts: Path) -> None:
    (images / "test/dark/copy.png").write_bytes((images / "train/dark/0.png").read_bytes())
    done = run(texts, *options(images))
    assert done.exit_code == 1
    assert "sentences would be chosen on test images" in done.stderr
    assert run(texts, *options(images), "--allow-leakage").exit_code == 0


def test_an_edit_is_tried_without_changing_anything(images: Path, texts: Path, home: Path) -> None:
    asked = EvidenceRequest(str(texts), str(images), backbone=str(tiny_backbone_folder()), shots=6)
    ready = open_sentences(Settings(home=home), asked, opened)
    before = ready.scores.log_likelihood
    found = ready.what_if("dark", 1, "dark as the night")
    assert found["before"]["log_likelihood"] == before == ready.scores.log_likelihood
    assert found["after"]["log_likelihood"] != before
    assert [row["class"] for row in found["after"]["classes"]] == ["bright", "dark"]
