"""Adding a method is one file: no other line of the code names one."""

from __future__ import annotations

import re
from pathlib import Path

from core.tuning.registry import method_names

ROOT = Path(__file__).resolve().parents[1]
CODE = ("app", "training_jobs", "core", "static/js", "migrations")
THEIR_OWN = ("core/methods", "core/tuning/presets", "core/tuning/recipes", "core/experiments/ablations")
"""Folders whose files belong to one method each, or are experiments that compare some."""


def code_files() -> list[Path]:
    found = [path for folder in CODE for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".js", ".toml"}]
    own = tuple(ROOT / folder for folder in THEIR_OWN)
    return [path for path in found if not any(path.is_relative_to(folder) for folder in own)]


def quoted_methods(text: str) -> list[str]:
    """Names of methods that stand as a whole word in quotes."""
    return re.findall(rf"""(["'`])({"|".join(method_names())})\1""", text)


def test_no_code_outside_a_methods_own_files_names_it() -> None:
    named = [
        f"{path.relative_to(ROOT)} names {name}"
        for path in code_files()
        for _, name in quoted_methods(path.read_text())
    ]
    assert len(code_files()) > 100
    assert named == []


def test_a_named_method_would_be_found() -> None:
    assert quoted_methods("""if method == "coop" or method === 'vpt':""") == [('"', "coop"), ("'", "vpt")]
