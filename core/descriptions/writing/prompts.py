"""Prompts: what a language model is asked, as files that people can read and change.

Shipped ones lie in core/descriptions/prompts; a file of the same name in the home folder's `prompts` takes its place,
and one of another name stands beside them.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from core.errors import InvalidInput, NotFound
from core.text import shown, text_fault

PLACES = ("class", "classes", "modality", "similar", "instructions", "n")
SENTENCES = 30
MOST_SENTENCES = 200
LARGEST_BYTES = 50_000
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
PLACE = re.compile(r"\{([a-z_]+)\}")
TEXTS = ("title", "purpose", "system", "text", "answer")
SHAPE = "A prompt file is TOML with title, purpose, system, text and answer, and optionally sentences"


@dataclass(frozen=True)
class Prompt:
    """What is asked for each class.

    system, text, answer: the message that sets the scene, the question, and what the answer must look like; they hold
    the places {class} {classes} {modality} {similar} {instructions} {n}. sentences: how many are asked for unless said.
    sha256: of the file. own: whether it is a file of the home folder.
    """

    name: str
    title: str
    purpose: str
    system: str
    text: str
    answer: str
    sentences: int
    sha256: str
    own: bool

    @property
    def needs_similar(self) -> bool:
        """Whether it speaks of another class."""
        return "{similar}" in self.system + self.text + self.answer

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        values = {key: getattr(self, key) for key in ("name", *TEXTS, "sentences", "sha256", "own")}
        return values | {"needs_similar": self.needs_similar, "problem": None}


def list_prompts(home: Path | None = None) -> list[dict[str, Any]]:
    """Prompts by name as JSON; of one that cannot be read {name, own, problem} with the reason."""
    return [_listed(name, home) for name in prompt_names(home)]


def prompt_names(home: Path | None = None) -> list[str]:
    """Names of the shipped prompts and of those in the home folder."""
    own = [path.stem for path in _own_folder(home).glob("*.toml")] if home else []
    return sorted({*_shipped(), *(name for name in own if NAME.fullmatch(name))})


def read_prompt(name: str, home: Path | None = None) -> Prompt:
    """A prompt by name. Raises NotFound, or InvalidInput with what is wrong in the file."""
    if name not in prompt_names(home):
        known = ", ".join(prompt_names(home))
        raise NotFound("A prompt of this name", f"'{shown(name, 60)}' is none", f"Known: {known}.")
    own = _own_folder(home) / f"{name}.toml" if home else None
    if own is not None and own.is_file():
        return _parse(name, _read(own), own=True)
    return _parse(name, _shipped()[name].read_bytes(), own=False)


def _listed(name: str, home: Path | None) -> dict[str, Any]:
    try:
        return read_prompt(name, home).as_dict()
    except InvalidInput as error:
        return {"name": name, "own": True, "problem": error.sentence}


def _own_folder(home: Path | None) -> Path:
    assert home is not None
    return home / "prompts"


def _shipped() -> Mapping[str, Any]:
    folder = files("core.descriptions") / "prompts"
    return {entry.name.removesuffix(".toml"): entry for entry in folder.iterdir() if entry.name.endswith(".toml")}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise InvalidInput("A prompt file that can be read", f"'{path.name}' cannot", "Look at its rights.") from error
    if len(found) > LARGEST_BYTES:
        raise InvalidInput(f"A prompt file of at most {LARGEST_BYTES} bytes", f"'{path.name}' has more", "Shorten it.")
    return found


def _parse(name: str, content: bytes, *, own: bool) -> Prompt:
    try:
        found = tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        line = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise InvalidInput(SHAPE, f"'{name}.toml' cannot be read: {shown(line)}", "Mend that place.") from None
    texts = {key: _text(name, key, found) for key in TEXTS}
    asked = found.get("sentences", SENTENCES)
    if not isinstance(asked, int) or isinstance(asked, bool) or not 1 <= asked <= MOST_SENTENCES:
        raise _wrong(name, f"'sentences' must be a whole number from 1 to {MOST_SENTENCES}")
    if "{class}" not in texts["text"]:
        raise _wrong(name, "'text' must say {class} where the class stands")
    return Prompt(name, **texts, sentences=asked, sha256=hashlib.sha256(content).hexdigest(), own=own)


def _text(name: str, key: str, found: Mapping[str, Any]) -> str:
    text = found.get(key)
    if not isinstance(text, str) or not text.strip():
        raise _wrong(name, f"'{key}' must be a text")
    if fault := text_fault(text, lines=True):
        raise _wrong(name, f"'{key}' must hold no control characters ({fault})")
    unknown = sorted({place for place in PLACE.findall(text) if place not in PLACES})
    if unknown:
        known = " ".join(f"{{{place}}}" for place in PLACES)
        raise _wrong(name, f"'{key}' names the unknown place {{{unknown[0]}}}; known are {known}")
    return text.strip()


def _wrong(name: str, what: str) -> InvalidInput:
    return InvalidInput(SHAPE, f"in '{name}.toml' {what}", "Mend that place, or take the file away.")
