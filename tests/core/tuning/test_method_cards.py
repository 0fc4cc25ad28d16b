"""What methods say of themselves is told without loading one, and is never stale."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import core.methods
from app.services.methods import get_method as method_page
from core.errors import InvalidOption
from core.records.migrate import prepare
from core.settings import Settings
from core.tuning import method_cards as cards
from core.tuning.registry import get_method, method_names

ROOT = Path(__file__).resolve().parents[3]


def plain(value):
    return json.loads(json.dumps(value, default=dict))


def test_the_written_cards_are_those_of_the_methods():
    written = json.loads((ROOT / "core/tuning" / cards.FILE).read_text("utf-8"))
    assert list(written) == method_names(), "run `make docs`"
    for name, entry in written.items():
        method = get_method(name)
        assert entry["card"] == plain(method.card()), name
        assert entry["options"] == plain(method.Config.schema()), name
        assert entry["variants"] == plain(method.variants), name
        assert entry["made_from"] == cards.fingerprint(name), f"{name} has changed: run `make docs`"


def test_a_changed_file_is_asked_itself(monkeypatch):
    stale = {"coop": cards._written()["coop"] | {"made_from": "0", "card": {"title": "stale"}}}
    monkeypatch.setattr(cards, "_written", lambda: stale)
    assert cards.method_card("coop")["title"] == "CoOp"
    assert cards.method_card("vpt")["image_path"] == "trained"


def test_a_new_file_is_a_method_without_being_written_down(tmp_path, monkeypatch):
    source = (ROOT / "core/methods/zero_shot.py").read_text("utf-8").replace("is_baseline = True", "")
    (tmp_path / "brand_new.py").write_text(source.replace('title = "Zero-shot"', 'title = "Brand new"'), "utf-8")
    monkeypatch.setattr(core.methods, "__path__", [*core.methods.__path__, str(tmp_path)])
    assert cards.method_card("brand_new")["title"] == "Brand new"
    assert "brand_new" in [card["name"] for card in cards.method_cards()]
    sys.modules.pop("core.methods.brand_new", None)
    get_method.cache_clear()


def test_an_edit_of_shared_options_changes_the_fingerprint(monkeypatch):
    before = cards.fingerprint("linear_probe")
    monkeypatch.setattr(cards, "ALWAYS", ("contract",))
    assert cards.fingerprint("linear_probe") != before


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(InvalidOption, match="Did you mean 'coop'"):
        cards.method_card("copo")


def test_a_method_is_shown_as_it_declares_itself():
    shown = method_page(None, "biomed_dpt", "embedded")
    declared = {row["name"]: row for row in plain(get_method("biomed_dpt").Config.schema())}
    assert [row["name"] for row in shown["options"]] == list(declared)
    assert all(row["bounds"] == declared[row["name"]]["bounds"] for row in shown["options"])


LIGHT = [
    ["--help"], ["--version"], ["methods", "list", "--json"], ["methods", "show", "coop", "--json"],
    ["backbones", "list", "--json"], ["images", "list", "--json"], ["job", "list", "--json"],
    ["recipes", "list", "--json"], ["db", "check", "--json"], ["doctor", "--help"],
]  # fmt: skip
RUN = """
import sys
from app.cli import app
try:
    app()
except SystemExit as end:
    code = end.code
heavy = {"torch", "transformers", "open_clip", "timm", "gradio", "sklearn", "matplotlib", "scipy", "pandas"}
heavy |= {"numpy", "PIL", "fastapi", "alembic"}
print(sorted(heavy & set(sys.modules)), code, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def used_home(tmp_path_factory):
    """A home folder whose database has its tables, as after the first command."""
    home = tmp_path_factory.mktemp("home")
    prepare(Settings(home=home).database)
    return home


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_what_needs_no_model_or_picture_loads_none(words, used_home):
    environment = {"PROMPTOSCOPE_HOME": str(used_home), "PATH": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True, env=environment)
    assert done.stderr.splitlines()[-1] == "[] 0", done.stderr
    if "--json" in words:
        assert all(isinstance(json.loads(line), dict) for line in done.stdout.splitlines())


def test_the_version_is_printed_with_the_name(tmp_path):
    done = subprocess.run([sys.executable, "-m", "app.cli", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "promptoscope 0.1.0\n")
