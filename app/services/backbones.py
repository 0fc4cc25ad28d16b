"""Backbones: which are known by name, whether their weights are on this machine, fetched and checked."""

from __future__ import annotations

from typing import Any

from app.services.context import Context
from core.backbones.catalogue import WEIGHTS_FILE, Entry, catalogue, find_folder
from core.errors import PromptoscopeError
from core.settings import Settings


def list_backbones(ctx: Context) -> list[dict[str, Any]]:
    """Every backbone known by name: {name, title, available, checksum, licence, path, text_kind, note, supported}."""
    return known_backbones(ctx.settings)


def known_backbones(settings: Settings) -> list[dict[str, Any]]:
    """The same without a database."""
    return [_row(entry, settings) for entry in catalogue().values()]


def _row(entry: Entry, settings: Settings) -> dict[str, Any]:
    from core.backbones.loading import file_checksum

    row = {
        "name": entry.name,
        "title": entry.title,
        "licence": entry.licence,
        "note": entry.note,
        "text_kind": entry.text_kind,
        "supported": entry.supported,
    }
    try:
        _, folder = find_folder(entry.name, settings.home)
    except PromptoscopeError:
        return row | {"available": False, "path": None, "checksum": None}
    return row | {
        "available": True,
        "path": str(folder),
        "checksum": file_checksum(folder / WEIGHTS_FILE, settings.home),
    }
