"""A folder's attempts at running code or reaching the network, and what notices them."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

EVIL = """
import pathlib
pathlib.Path({mark!r}).write_text("the code of the folder ran")
class EvilTokenizer:
    @classmethod
    def from_pretrained(cls, *_, **__):
        return cls()
class EvilConfig(EvilTokenizer):
    model_type = "evil"
class EvilModel(EvilTokenizer):
    pass
"""


def plant_code(folder: Path) -> Path:
    """Python files of every name a library might import from the folder; gives the file they would write."""
    mark = folder.parent / "mark-of-code-that-ran"
    for name in ("evil.py", "tokenization_evil.py", "modeling_evil.py", "configuration_evil.py", "__init__.py"):
        (folder / name).write_text(EVIL.format(mark=str(mark)))
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(EVIL.format(mark=str(mark)))
    return mark


def change(file: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Read a JSON file, let `edit` change it, write it back."""
    found = json.loads(file.read_text()) if file.is_file() else {}
    edit(found)
    file.write_text(json.dumps(found))


@contextmanager
def watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The list of what must not happen: sockets, questions on standard input, modules from the folder."""
    seen: list[str] = []

    def refuse(what: str) -> Callable[..., Any]:
        def called(*_: Any, **__: Any) -> Any:
            seen.append(what)
            raise AssertionError(what)

        return called

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse(f"socket.{name}"))
    monkeypatch.setattr("builtins.input", refuse("input"))
    before = set(sys.modules)
    yield seen
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if str(folder) in file or "transformers_modules" in name or "evil" in name:
            seen.append(f"module {name}")
