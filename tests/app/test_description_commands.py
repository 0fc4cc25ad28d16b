"""A review of descriptions from the command line, from import to signature, with nothing but JSON where asked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.app.test_cli import own_home, rows, run, zip_path

__all__ = ["own_home", "run", "zip_path"]

BANK = """
BIOMEDCOOP_TEMPLATES = {
    "Bright": ["A bright card of light grey.", "A bright card with an even tone."],
    "dark": ["A dark card of deep grey.", "A dark card with an even tone."],
    "glioma tumor": ["Of another image set."],
}
"""


@pytest.fixture
def bank(run, zip_path, tmp_path):
    """An image set, and a description set imported from a public repository's file."""
    run("images", "add", zip_path, "--name", "Shades")
    file = tmp_path / "prompt_templates.py"
    file.write_text(BANK)
    imported = run("descriptions", "import", file, "--images", "Shades", "--name", "words", "--author", "Ada", "--json")
    (saved,) = rows(imported)
    assert (saved["version"], saved["other_classes"]) == (1, ["glioma tumor"])
    assert "Left out: 1 classes" in imported.stderr
    return "words"


def test_a_review_is_done_and_signed(run, bank, tmp_path):
    listed = rows(run("descriptions", "sentences", bank, "--json"))
    assert [(row["class"], row["author_kind"], row["state"]) for row in listed] == [
        ("bright", "file", "draft"), ("bright", "file", "draft"), ("dark", "file", "draft"), ("dark", "file", "draft")
    ]  # fmt: skip
    refused = run("descriptions", "sign", bank, "--by", "Ada")
    assert (refused.exit_code, "an approved sentence for every class" in refused.stderr) == (1, True)
    done = run("descriptions", "act", bank, "approve", "--by", "Ada", "--json")
    assert rows(done)[0]["action"]["changed"] == 4
    run("descriptions", "act", bank, "reject", "--by", "Bo", "--id", listed[0]["id"], "--reason", "vague")
    run("descriptions", "act", bank, "approve", "--by", "Bo", "--class", "dark")
    assert "reject: 1 sentences" in run("descriptions", "act", bank, "reject", "--by", "Cy", "--q", "deep").stdout
    assert rows(run("descriptions", "undo", bank, "--by", "Cy", "--json"))[0]["action"]["kind"] == "undo"
    pairs = rows(run("descriptions", "agreement", bank, "--json"))
    assert [(row["a"], row["b"], row["n"], row["percent"]) for row in pairs[:-1]] == [
        ("Ada", "Bo", 3, pytest.approx(2 / 3))
    ]
    assert set(pairs[-1]) == {"readers", "several", "catch"}
    (signed,) = rows(run("descriptions", "sign", bank, "--by", "Ada", "--json"))
    assert (signed["version"], signed["signed_by"], signed["counts"]) == (2, "Ada", {"bright": 1, "dark": 2})
    assert signed["left_out"]["needs_second_reader"] == 1
    assert rows(run("descriptions", "review", bank, "--json"))[0]["newest_signed"] == 2
    assert rows(run("descriptions", "diff", bank, "--from", "1", "--to", "2", "--json"))[0]["removed"] == [
        {"class": "bright", "text": "A bright card of light grey."}
    ]
    for words in (("review", bank), ("agreement", bank), ("diff", bank, "--from", "1"), ("sentences", bank)):
        told = run("descriptions", *words)
        assert told.exit_code == 0
        assert told.stdout.strip()


@pytest.mark.parametrize("layout", ["json", "csv", "biomedcoop", "biomedap", "cupl", "biovlm"])
def test_every_layout_comes_back(run, bank, tmp_path, layout):
    file = tmp_path / f"out{'.csv' if layout == 'csv' else '.py' if 'biomed' in layout else '.json'}"
    (told,) = rows(run("descriptions", "export", bank, "--layout", layout, "--out", file, "--json"))
    assert (told["version"], told["sentences"]) == (1, 4)
    run("descriptions", "import", file, "--layout", layout, "--images", "Shades", "--name", "copy")
    again = tmp_path / "again.json"
    run("descriptions", "export", "copy", "--out", again)
    assert json.loads(again.read_text()) == {
        "bright": ["A bright card of light grey.", "A bright card with an even tone."],
        "dark": ["A dark card of deep grey.", "A dark card with an even tone."],
    }


def test_what_cannot_be_done_is_said(run, bank, tmp_path):
    def failed(*words):
        told = run("descriptions", *words)
        return told.exit_code, told.stderr

    assert failed("act", bank, "delete", "--by", "Ada")[0] == 2
    assert failed("sentences", bank, "--state", "good")[0] == 2
    assert failed("diff", bank, "--from", "newest")[0] == 2
    assert failed("sign", "nowhere", "--by", "Ada")[0] == 2
    code, told = failed("undo", bank, "--by", "Bo")
    assert (code, "'Bo' did nothing here that stands" in told) == (1, True)
    assert failed("export", bank, "--layout", "yaml", "--out", tmp_path / "x")[0] == 2


def test_a_summary_loads_nothing_heavy(home, run, bank):
    script = (
        "import sys; from app.cli import app; sys.argv[1:] = ['descriptions', 'review', 'words', '--json']\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'torch', 'PIL', 'alembic'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stderr.strip().splitlines()[-1] == "[]", found.stderr
