"""Planning a source by the table in it: a manifest or split file says which file is which class, part and group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from core.errors import UnreadableSource
from core.images.decode import SUFFIXES
from core.images.image_set import Problem
from core.images.manifest import Listing, is_manifest, parse_manifest, parse_split
from core.images.masks import MASKS_FOLDER
from core.images.plan import Entry, Plan, wrapping_folder
from core.images.source import Source


def plan_by_table(source: Source, table_name: str | None = None) -> Plan | None:
    """The plan a table in the source gives, or None if it holds none that names classes.

    table_name: the table to use, whatever else is there. Raises UnreadableSource if it cannot be used, or if several
    could be meant.
    """
    if table_name is not None:
        return _plan_listing(source, table_name, "")
    top = wrapping_folder(source.names)
    found = _find_listing(source, [name.removeprefix(top) for name in source.names], top)
    return _plan_listing(source, found, top) if found is not None else None


def _find_listing(source: Source, names: Sequence[str], top: str) -> str | None:
    """The one manifest or split file at the root, by its key. Raises UnreadableSource if there are several."""
    at_root = [name for name in names if "/" not in name]
    splits = [n for n in at_root if n.lower().startswith("split") and n.lower().endswith(".json")]
    tables = [n for n in at_root if n.lower().endswith(".csv") and is_manifest(source.read(top + n))]
    found = splits + tables
    preferred = [name for name in found if name.lower() == "manifest.csv"]
    if len(found) > 1 and len(preferred) != 1:
        raise UnreadableSource(
            "One manifest or split file", f"found {', '.join(found)}", "Keep one, or call it manifest.csv."
        )
    chosen = preferred or found
    return top + chosen[0] if chosen else None


def _plan_listing(source: Source, key: str, top: str) -> Plan:
    """Plan the rows of a manifest or split file."""
    name = key.removeprefix(top)
    content = source.read(key)
    listing = parse_split(content, name) if name.lower().endswith(".json") else parse_manifest(content, name)
    base = _image_folder(source, listing, top)
    refused = {problem.file for problem in source.problems}
    has_masks = MASKS_FOLDER in source.folders()
    plan = Plan(listing.classes, [], listing.problems, listing.notes)
    for row in listing.rows:
        at = base + row.path
        if source.has(at):
            masks = _listed_masks(source, base, row.path) if base or has_masks else ()
            plan.entries.append(Entry(at, row.path, row.label, row.part, row.group, masks))
        elif at not in refused:
            plan.problems.append(Problem(row.path, "missing_file", "a file at this path", "found none"))
    plan.notes.insert(0, f"Classes and parts come from '{name}'.")
    return plan


def _listed_masks(source: Source, base: str, path: str) -> tuple[str, ...]:
    """The mask of a listed image in a `masks` folder beside the images."""
    twins = (f"{base}{MASKS_FOLDER}/{PurePosixPath(path).with_suffix(suffix)}" for suffix in SUFFIXES)
    return tuple(twin for twin in twins if source.has(twin))[:1]


def _image_folder(source: Source, listing: Listing, top: str) -> str:
    """The folder that listed paths start from: beside the file, or a folder beside it that holds more of them."""
    sample = listing.rows[:: max(1, len(listing.rows) // 50)]
    folders = [top] if top else ["", *(f"{folder}/" for folder in source.folders())]
    if top:
        folders += sorted({f"{top}{PurePosixPath(n).parts[1]}/" for n in source.names if n.count("/") > 1})
    return max(folders, key=lambda folder: sum(source.has(folder + row.path) for row in sample))
