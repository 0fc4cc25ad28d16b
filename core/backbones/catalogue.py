"""The backbones known by name, read from catalogue.toml, and where each lies on this machine."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.errors import NotFound, Unavailable
from core.settings import Settings

EMBEDDED_FOLDER = Path(__file__).parent / "embedded"
CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
RECORD_FILE = "backbone.json"
HUB_PREFIX, FOLDER_PREFIX = "hf-hub:", "local-dir:"


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
    if re.fullmatch(rf"{HUB_PREFIX}[\w.-]+/[\w.-]+", name):
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


def find_folder(name_or_path: str, home: Path) -> tuple[str, Path]:
    """The lasting name of a backbone and the folder that holds it.

    The name is what loads it again: a catalogue name, or `local-dir:` and the absolute path.
    Raises NotFound for an unknown name or missing folder, Unavailable for a known one that has not been fetched.
    """
    if name_or_path == "embedded":
        return name_or_path, EMBEDDED_FOLDER
    path = Path(name_or_path.removeprefix(FOLDER_PREFIX)).expanduser()
    if name_or_path.startswith(FOLDER_PREFIX) or (name_or_path not in catalogue() and path.is_dir()):
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
    recorded = read_record(path).get("name") if path.parent == (home / "backbones").resolve() else None
    return str(recorded or f"{FOLDER_PREFIX}{path}"), path


def read_record(folder: Path) -> dict[str, Any]:
    """What `backbones fetch` wrote down about a folder; empty where it did not write it."""
    try:
        found = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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
    names = [str(record.get("name", "")) for record in records]
    return [entry_for(name) for name in names if name.startswith(HUB_PREFIX)]


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
