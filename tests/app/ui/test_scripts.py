"""What holds for every script of ours: no data becomes HTML, nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.ui.layout import STATIC_DIR

SCRIPTS = sorted(STATIC_DIR.rglob("*.js"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_script_reads_html_from_text(script: Path) -> None:
    used = re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script.read_text()
    )
    assert used == []


@pytest.mark.parametrize("file", [*SCRIPTS, *STATIC_DIR.rglob("*.css")], ids=lambda file: file.name)
def test_no_file_loads_from_another_site(file: Path) -> None:
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", file.read_text()))
    assert addresses <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_import_of_a_script_exists(script: Path) -> None:
    for imported in re.findall(r'(?:from|import)\s+"(\.[^"]+)"', script.read_text()):
        assert (script.parent / imported).is_file(), imported


# The site may stand below a path: h(), link() and api put it before an address, and `at` does where they are not used.
ABSOLUTE = re.compile(
    r"""fetch\(\s*["'`]/|location\.(?:assign|replace)\(\s*["'`]/|location(?:\.href)?\s*=\s*["'`]/|url\(\\?["']?/"""
    r"""|import\(\s*["'`]/|\.(?:src|href|action)\s*=\s*["'`]/|(?:push|replace)State\([^)]*["'`]/"""
)


@pytest.mark.parametrize("file", [*SCRIPTS, *STATIC_DIR.rglob("*.css")], ids=lambda file: file.name)
def test_every_address_can_stand_below_a_path(file: Path) -> None:
    assert [found.group() for found in ABSOLUTE.finditer(file.read_text())] == []


def test_the_pattern_finds_what_would_break_below_a_path() -> None:
    wrong = [
        "fetch('/readyz')",
        "location.assign(`/x`)",
        'url("/x")',
        'import("/x")',
        'img.src = "/x"',
        'pushState(a, "/x")',
    ]
    assert [text for text in wrong if not ABSOLUTE.search(text)] == []
    assert ABSOLUTE.search('location.assign(at("/x"))') is None
