"""The backbones known by name, read from catalogue.toml, and where each lies on this machine."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.backbones.folder_rules import (
    TEXT,
    WIDTH,
    Rule,
    check_options,
    one_of,
    optional,
    read_plain_object,
)
from core.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from core.settings import Settings

EMBEDDED_FOLDER = Path(__file__).parent / "embedded"
CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
RECORD_FILE = "backbone.json"
HUB_PREFIX, FOLDER_PREFIX = "hf-hub:", "local-dir:"
GRID = Rule(
    "two whole numbers", lambda value: isinstance(value, list) and len(value) == 2 and all(map(WIDTH.holds, value))
)
RECORD = {
    "name": TEXT,
    **dict.fromkeys(("licence", "hub", "sha256"), optional(TEXT)),
    "text_kind": optional(one_of("bert", "causal")),
    **dict.fromkeys(("image_width", "text_width", "joint_width", "context_length"), optional(WIDTH)),
    "patch_grid": optional(GRID),
}
"""Facts of a folder's record that are shown or compared; all others there are left unread."""


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue.

    weights: "embedded", "open_clip" or "clip" (see catalogue.toml). hub: owner/name, None for the embedded one.
    supported: False where the model's towers cannot be opened.
    """

    name: str
    title: str
    weights: str
    licence: str
    note: str
    hub: str | None = None
    text_kind: str | None = None
    supported: bool = True

    @property
    def lasting_name(self) -> str:
        """What loads it again: its own name, or `hf-hub:` and the hub's where it has none of its own."""
        return self.name if self.name in catalogue() else f"{HUB_PREFIX}{self.hub}"


@cache
def catalogue() -> dict[str, Entry]:
    """All entries by name, in the order of the file."""
    data = tomllib.loads((Path(__file__).parent / "catalogue.toml").read_text(encoding="utf-8"))
    return {name: Entry(name=name, **fields) for name, fields in data.items()}


def backbone_names() -> list[str]:
    """Names that `load_backbone` knows."""
    return list(catalogue())


def hub_slug(hub: str) -> str:
    """The folder name of a hub model that has no name of its own: owner--name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", hub.replace("/", "--"))


def entry_for(name: str) -> Entry:
    """The entry of a known name, or one made up for `hf-hub:owner/name`. Raises NotFound."""
    if name in catalogue():
        return catalogue()[name]
    if _is_hub_name(name):
        hub = name.removeprefix(HUB_PREFIX)
        known = next((entry for entry in catalogue().values() if entry.hub == hub), None)
        return known or Entry(hub_slug(hub), hub, "open_clip", "see the publisher's page", "", hub=hub)
    raise NotFound(
        f"A backbone is one of {', '.join(catalogue())}, hf-hub:OWNER/NAME or a folder with {CONFIG_FILE}",
        f"found '{name}'",
        "`promptoscope backbones list` shows what is on this machine.",
    )


def default_home(home: Path | None) -> Path:
    """The home folder in force."""
    return Settings().home if home is None else Path(home)


def fetched_folder(entry: Entry, home: Path) -> Path:
    """Where `backbones fetch` puts this one."""
    return home / "backbones" / entry.name


def names_folder(name: str) -> bool:
    """Whether a name can only mean a folder of this machine. The disk is not looked at."""
    return name.startswith(FOLDER_PREFIX) or (not _is_hub_name(name) and bool(re.search(r"[/\\~]|^\.+$", name)))


def _is_hub_name(name: str) -> bool:
    return re.fullmatch(rf"{HUB_PREFIX}[\w.-]+/[\w.-]+", name) is not None


def refuse_folder(kind: str) -> NotAllowed:
    """The error for a request that names a folder of the machine, where the setting does not let it."""
    return NotAllowed(
        f"{'An' if kind[0] in 'aeiou' else 'A'} {kind} must be named, not given as a folder of this machine",
        "the request names a folder",
        "Choose one from the list, or have the machine's owner set PROMPTOSCOPE_ALLOW_FOLDERS=true.",
    )


def find_folder(name_or_path: str, home: Path, *, folders: bool = True) -> tuple[str, Path]:
    """The lasting name of a backbone and the folder that holds it.

    The name is what loads it again: a catalogue name, or `local-dir:` and the absolute path. folders: whether a folder
    outside the home may be named; if not, the disk is not asked about one.
    Raises NotFound for an unknown name or missing folder, Unavailable for a known one that has not been fetched,
    NotAllowed for a folder where none may be named.
    """
    if name_or_path == "embedded":
        return name_or_path, EMBEDDED_FOLDER
    if not folders and names_folder(name_or_path):
        raise refuse_folder("backbone")
    if "\0" in name_or_path:
        raise NotFound("The name of a backbone or the path of a folder", "found a null character", "Leave it out.")
    path = user_path(name_or_path.removeprefix(FOLDER_PREFIX))
    named = name_or_path.startswith(FOLDER_PREFIX)
    if folders and (named or (name_or_path not in catalogue() and _is_folder(path))):
        return _given_folder(path.resolve(), home)
    entry = entry_for(name_or_path)
    if not entry.supported:
        raise Unavailable(f"'{entry.name}' cannot be loaded", entry.note, "Choose another backbone.")
    folder = fetched_folder(entry, home)
    if not (folder / CONFIG_FILE).is_file():
        raise Unavailable(
            f"The backbone '{entry.name}' must be fetched once before it can be used",
            f"nothing is in {folder}",
            f"Run `promptoscope backbones fetch {name_or_path}` on a machine with network, or copy that folder here.",
        )
    return entry.lasting_name, folder


def user_path(text: str) -> Path:
    """A path as a person writes it."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # there is no such user
        return Path(text)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long for a path, for example
        return False


def _given_folder(path: Path, home: Path) -> tuple[str, Path]:
    """A folder given by its path; the embedded and the fetched ones keep the name they are known by."""
    if not (path / CONFIG_FILE).is_file():
        raise NotFound(
            f"A backbone folder must hold {CONFIG_FILE}",
            f"none is in {path}",
            "Give a folder in open_clip's format.",
        )
    if path == EMBEDDED_FOLDER.resolve():
        return "embedded", path
    return _recorded_name(path, home) or f"{FOLDER_PREFIX}{path}", path


def _recorded_name(path: Path, home: Path) -> str | None:
    """The name a fetched folder is known by, where it leads back to this folder."""
    recorded = read_record(path).get("name") if path.parent == (home / "backbones").resolve() else None
    try:
        leads_here = isinstance(recorded, str) and fetched_folder(entry_for(recorded), home).resolve() == path
    except NotFound:
        return None
    return recorded if leads_here else None


def read_record(folder: Path) -> dict[str, Any]:
    """What `backbones fetch` wrote down about a folder; empty where it did not, or where that is damaged."""
    try:
        found = read_plain_object(folder, RECORD_FILE)
        check_options(folder / RECORD_FILE, found, RECORD, closed=False)
    except InvalidInput:
        return {}
    return found


def check_record(folder: Path) -> None:
    """Raise InvalidInput where a folder's record is there and damaged: its checksum would go unnoticed."""
    if os.path.lexists(folder / RECORD_FILE) and not read_record(folder):
        raise InvalidInput(
            f"{folder / RECORD_FILE} must hold what `backbones fetch` wrote down",
            "it is damaged",
            "Fetch or copy the folder again.",
        )


def list_backbones(home: Path | None = None) -> list[dict[str, Any]]:
    """Every known backbone, and every other that has been fetched: JSON-ready, without loading any.

    Keys: name, title, available, supported, path (None unless available), checksum, licence, hub, text_kind,
    image_width, text_width, joint_width, patch_grid, context_length (None where not known yet), note.
    """
    home = default_home(home)
    return [_listed(entry, _folder_of(entry, home)) for entry in [*catalogue().values(), *_fetched_by_hub_name(home)]]


def _folder_of(entry: Entry, home: Path) -> Path:
    return EMBEDDED_FOLDER if entry.weights == "embedded" else fetched_folder(entry, home)


def _fetched_by_hub_name(home: Path) -> list[Entry]:
    records = [read_record(file.parent) for file in sorted((home / "backbones").glob(f"[!.]*/{RECORD_FILE}"))]
    # a record that names no model of a hub is damaged, and hides no other
    return [entry_for(record["name"]) for record in records if _is_hub_name(record.get("name", ""))]


def _listed(entry: Entry, folder: Path) -> dict[str, Any]:
    record = read_record(folder)
    available = entry.supported and (folder / CONFIG_FILE).is_file()
    facts = ("image_width", "text_width", "joint_width", "patch_grid", "context_length")
    return {
        "name": entry.lasting_name,
        "title": entry.title,
        "available": available,
        "supported": entry.supported,
        "path": str(folder) if available else None,
        "checksum": record.get("sha256"),
        "licence": record.get("licence") or entry.licence,
        "hub": entry.hub,
        "text_kind": record.get("text_kind") or entry.text_kind,
        **{fact: record.get(fact) for fact in facts},
        "note": entry.note,
    }
